/**
 * What was measured, a line of JSON a cell and repetition, in `bench/.cache`: a run that was cut off goes on where it was.
 *
 * @module
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Cell, Measured, Medians } from "../questions/question.ts";
import type { Figures } from "./parts.ts";
import { median } from "./time.ts";

const FOLDER = fileURLToPath(new URL("../.cache", import.meta.url));

/** One repetition of one cell. */
export interface Entry extends Cell, Measured {
  readonly repetition: number;
}

/** All repetitions of a cell, together. */
export interface Summary extends Cell {
  readonly versions: string;
  readonly repetitions: number;
  readonly figures: Readonly<Record<string, Spread>>;
}

/** The median and the range of a figure. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

const keyOf = ({ question, mode, subject, runtime, aof }: Cell) => [question, mode, subject, runtime, aof].join("/");

/** The results of one kind of run. */
export class Results {
  readonly #file: string;
  readonly #entries: Entry[] = [];

  /** Reads what an earlier run left, unless a fresh one is wanted. */
  constructor(name: string, fresh: boolean) {
    mkdirSync(FOLDER, { recursive: true });
    this.#file = `${FOLDER}/${name}.jsonl`;
    if (fresh) rmSync(this.#file, { force: true });
    if (!existsSync(this.#file)) return;
    const lines = readFileSync(this.#file, "utf8").split("\n").filter((line) => line.endsWith("}"));
    this.#entries.push(...lines.map((line) => JSON.parse(line) as Entry));
  }

  /** How many cells an earlier run left. */
  get size(): number {
    return this.#entries.length;
  }

  /** Was it measured already? */
  has(cell: Cell, repetition: number): boolean {
    const key = keyOf(cell);
    return this.#entries.some((entry) => entry.repetition === repetition && keyOf(entry) === key);
  }

  /** Keeps it. */
  add(cell: Cell, repetition: number, measured: Measured): void {
    const entry = { ...cell, repetition, ...measured };
    this.#entries.push(entry);
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  /** The medians and ranges of the cells that were asked for. */
  summaries(cells: readonly Cell[]): Summary[] {
    return cells.flatMap((cell) => {
      const entries = this.#entries.filter((entry) => keyOf(entry) === keyOf(cell));
      if (entries.length === 0) return [];
      const names = Object.keys(entries[0]!.figures);
      const figures = Object.fromEntries(
        names.map((name) => [name, spread(entries.map((entry) => entry.figures[name]!))]),
      );
      return [{ ...cell, versions: entries[0]!.versions, repetitions: entries.length, figures }];
    });
  }
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) };
}

/** How targets see the summaries; Node 22 stands for Node where a peer needs it. */
export function mediansOf(summaries: readonly Summary[]): Medians {
  const of = (mode: string, subject: string, runtime: string, figure: keyof Figures): number | undefined =>
    summaries.find((one) =>
      one.mode === mode && one.subject === subject && (one.runtime === runtime || one.runtime === `${runtime}22`)
    )?.figures[figure]?.median;
  return {
    of,
    best: (mode, subjects, runtime, figure, sense) => {
      const values = subjects.map((subject) => of(mode, subject, runtime, figure)).filter((value) =>
        value !== undefined
      );
      if (values.length === 0) return undefined;
      return sense === "highest" ? Math.max(...values) : Math.min(...values);
    },
  };
}
