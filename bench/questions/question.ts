/** What all questions have in common: the cells that they need, how a cell is measured, and what its figures must show. */
import type { Figures } from "../lib/parts.ts";
import { type Runtime, SUBJECTS } from "../subjects/all.ts";

/** One thing to measure, once a repetition. */
export interface Cell {
  readonly question: string;
  /** Which part of the question, for example "100 workers". */
  readonly mode: string;
  readonly subject: string;
  readonly runtime: Runtime;
  /** With a journal that is synced every second. */
  readonly aof: boolean;
}

/** A measured cell. */
export interface Measured {
  readonly versions: string;
  readonly figures: Figures;
}

/** How much is measured. */
export interface Settings {
  readonly quick: boolean;
  readonly aof: boolean;
  readonly subjects: readonly string[];
  readonly runtimes: readonly Runtime[];
}

/** What is asked of the figures: a ratio and its bound. */
export interface Target {
  readonly what: string;
  readonly runtime: string;
  /** Undefined when what it needs was not measured. */
  readonly value: number | undefined;
  readonly bound: number;
  readonly aim?: number;
  /** Must the value be at least the bound, or at most? */
  readonly sense: "at least" | "at most";
  readonly unit?: string;
}

/** The medians of what was measured. */
export interface Medians {
  /** One figure; undefined when it was not measured. */
  of(mode: string, subject: string, runtime: string, figure: string): number | undefined;
  /** The best of several subjects on a runtime, the highest or the lowest. */
  best(
    mode: string,
    subjects: readonly string[],
    runtime: string,
    figure: string,
    sense: "highest" | "lowest",
  ): number | undefined;
}

/** A curve over the modes of a question, which are numbers. */
export interface Plot {
  readonly file: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly figure: string;
}

/** One question. */
export interface Question {
  readonly name: string;
  /** What is measured and how, in a sentence or two. */
  readonly about: string;
  /** The figures that its table shows. */
  readonly columns: readonly Column[];
  readonly plot?: Plot;
  /** Repetitions of a full run, where fewer than five tell enough. @default 5 */
  readonly repetitions?: number;
  cells(settings: Settings): readonly Cell[];
  measure(cell: Cell, settings: Settings): Promise<Measured>;
  targets(medians: Medians, runtimes: readonly string[]): readonly Target[];
}

/** A column of a table. */
export interface Column {
  readonly figure: string;
  readonly title: string;
  readonly digits: number;
}

/** Those that both keep jobs and let one choose how many run at once. */
export const PEERS: readonly string[] = ["bullmq", "bullmq-bun", "bee-queue"];

/** All that can answer. */
export const ANSWERING: readonly string[] = [...PEERS, "job-queue"];

/** What BullMQ is measured with. */
export const BULLMQ: readonly string[] = ["bullmq", "bullmq-bun"];

/** What the work costs, beside how long it takes. */
export const COSTS: readonly Column[] = [
  { figure: "redisCpu", title: "Redis CPU µs", digits: 1 },
  { figure: "clientCpu", title: "client CPU µs", digits: 1 },
  { figure: "commands", title: "commands", digits: 2 },
  { figure: "scripts", title: "script calls", digits: 3 },
  { figure: "bytes", title: "bytes", digits: 0 },
];

/** Every subject on every runtime where it runs, as far as asked for, in each of these modes. */
export function cellsOf(question: string, modes: readonly string[], settings: Settings): Cell[] {
  const { subjects, runtimes, aof } = settings;
  return modes.flatMap((mode) =>
    subjects.flatMap((subject) =>
      SUBJECTS[subject]!.on.filter((runtime) => runtimes.includes(runtime))
        .map((runtime) => ({ question, mode, subject, runtime, aof }))
    )
  );
}

/** `a / b`, if both were measured. */
export function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
