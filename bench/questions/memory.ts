/** Does the heap of a listener or a client grow with what it has done? */
import { measured, withRedis } from "../lib/cell.ts";
import type { Cell, Question, Settings, Target } from "./question.ts";

const TASKS = "tasks, listener and client in one process";
const TIMEOUTS = "queries that time out";
const PARTS: Readonly<Record<string, { readonly part: string; readonly count: number }>> = {
  [TASKS]: { part: "manyTasks", count: 1_000_000 },
  [TIMEOUTS]: { part: "manyTimeouts", count: 100_000 },
};

/** The heap after a fifth of the work and after all of it, garbage collected. */
export const memory: Question = {
  name: "memory",
  about:
    "A listener and a client in one process do 1,000,000 tasks; a client gives up 100,000 queries after 50 ms each, 1,000 at once. " +
    "The heap after garbage collection, at a fifth of it and at its end. Redis' bytes a waiting task stand under `enqueued`.",
  columns: [
    { figure: "growth", title: "grew by KiB", digits: 0 },
    { figure: "heapEarly", title: "heap at a fifth, KiB", digits: 0 },
    { figure: "heapLate", title: "heap at the end, KiB", digits: 0 },
    { figure: "count", title: "tasks or queries", digits: 0 },
  ],
  repetitions: 1,
  cells: ({ runtimes }: Settings): Cell[] =>
    Object.keys(PARTS).flatMap((mode) =>
      runtimes.filter((runtime) => runtime !== "node22")
        .map((runtime) => ({ question: "memory", mode, subject: "errand", runtime, aof: false }))
    ),
  measure: ({ mode, subject, runtime }, { quick }) =>
    withRedis([], async (server) => {
      const { part, count } = PARTS[mode]!;
      return await measured(subject, runtime, server, { part, options: { count: quick ? count / 20 : count } });
    }),
  targets: (medians, runtimes) =>
    Object.keys(PARTS).flatMap((mode) =>
      runtimes.map((runtime): Target => ({
        what: `memory, ${mode}: growth of the heap`,
        runtime,
        value: medians.of(mode, "errand", runtime, "growth"),
        ...{ bound: 1_024, unit: " KiB", sense: "at most" },
      }))
    ),
};
