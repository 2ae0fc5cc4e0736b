/**
 * The two streams of a command: results on standard output, everything said about them on standard error.
 *
 * @module
 */
import process from "node:process";
import pc from "picocolors";
import type { LogEntry } from "../log.ts";
import { Redactor } from "./redact.ts";

/** The colours of picocolors, as far as the stream shows any. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Where a command writes. */
export class Output {
  /** Masks passwords in all that goes to standard error. */
  readonly redactor: Redactor = new Redactor();
  /** Is standard error a terminal? (Bun leaves `isTTY` undefined in a pipe.) */
  readonly isTerminal: boolean = Boolean(process.stderr.isTTY);
  /** Colours for standard error. */
  readonly colors: Colors = colorsFor(process.stderr);

  /** Writes a value as one line of JSON to standard output; `undefined` becomes `null`. It is data and not redacted. */
  result(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value) ?? "null"}\n`);
  }

  /** Writes text that is no result (help, the demo's story) to standard output. */
  text(text: string): void {
    process.stdout.write(this.redactor.redact(text));
  }

  /** Writes text to standard error. */
  errorText(text: string): void {
    process.stderr.write(this.redactor.redact(text));
  }

  /** Writes a line about what happens to standard error. */
  note(line: string): void {
    this.errorText(`errand: ${line}\n`);
  }

  /** Writes what the queue logs, information dropped. */
  log(entry: LogEntry): void {
    if (entry.level === "info") return;
    const paint = entry.level === "error" ? this.colors.red : this.colors.yellow;
    this.note(`${paint(entry.message)}${entry.error === undefined ? "" : ` (${describeError(entry.error)})`}`);
  }

  /** Resolves when standard output has taken all that was written. */
  flushed(): Promise<void> {
    return new Promise((resolve) => process.stdout.write("", () => resolve()));
  }
}

/** The colours for a stream: none when it is no terminal or `NO_COLOR` is set. */
export function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  return pc.createColors(Boolean(stream.isTTY) && !process.env.NO_COLOR);
}

/** An error in one line: `TypeError: message`. */
export function describeError(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** An error with its stack and its causes, for the person who has to find it. */
export function describeFully(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack?.includes(error.message) ? error.stack : `${describeError(error)}\n${error.stack ?? ""}`;
  return error.cause === undefined ? own : `${own}\ncaused by ${describeError(error.cause)}`;
}
