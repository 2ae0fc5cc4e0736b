/**
 * How far tasks are, as the person at the terminal sees it: bars on a terminal, a few plain lines elsewhere.
 *
 * @module
 */
import process from "node:process";
import cliProgress from "cli-progress";

const SHOW_CURSOR = "\x1b[?25h";
const LABEL_WIDTH = 14;

/** Shows the progress of tasks by their labels. */
export interface ProgressView {
  /** Says how far the task of this label is. */
  show(label: string, current: number, total: number): void;
  /** Leaves the last picture and ends. */
  stop(): void;
}

/** Bars on a terminal. */
export class ProgressBars implements ProgressView {
  readonly #bars = new Map<string, cliProgress.SingleBar>();
  readonly #multi: cliProgress.MultiBar;
  readonly #restore: () => void;

  /** Draws on this stream, which is a terminal. */
  constructor(stream: NodeJS.WriteStream = process.stderr) {
    const format = "  {label} {bar} {value}/{total}";
    this.#multi = new cliProgress.MultiBar(
      { format, stream, hideCursor: true, clearOnComplete: false, gracefulExit: false, fps: 15 },
      cliProgress.Presets.shades_classic,
    );
    this.#restore = () => void stream.write(SHOW_CURSOR);
    process.on("exit", this.#restore); // A second Ctrl-C leaves no time for `stop`.
  }

  /** Draws or moves the bar of a label. */
  show(label: string, current: number, total: number): void {
    const bar = this.#bars.get(label) ?? this.#multi.create(total, 0, { label: label.padEnd(LABEL_WIDTH) });
    this.#bars.set(label, bar);
    bar.setTotal(total);
    bar.update(current);
  }

  /** Draws the last picture and gives the cursor back. */
  stop(): void {
    this.#multi.stop();
    process.off("exit", this.#restore);
  }
}

/** A line for each quarter, for pipes and logs. */
export class ProgressLines implements ProgressView {
  readonly #quarters = new Map<string, number>();
  readonly #write: (line: string) => void;

  /** Writes its lines with `write`. */
  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Writes a line when another quarter is done. */
  show(label: string, current: number, total: number): void {
    const quarter = total > 0 ? Math.floor(current / total * 4) : 0;
    if (quarter === (this.#quarters.get(label) ?? 0)) return;
    this.#quarters.set(label, quarter);
    this.#write(`  ${label} ${String(Math.round(current / total * 100)).padStart(3)} % (${current}/${total})`);
  }

  /** Nothing is left to write. */
  stop(): void {}
}
