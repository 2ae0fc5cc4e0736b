/** How fast one process hands tasks in, and what waiting tasks cost. */
import { AOF, measured, withRedis } from "../lib/cell.ts";
import type { PartOptions } from "../lib/parts.ts";
import { BULLMQ, type Cell, cellsOf, COSTS, type Question, ratio, type Settings, type Target } from "./question.ts";

const MODES = ["in flight", "bulk", "one by one"] as const;

function optionsOf(cell: Cell, { quick }: Settings): PartOptions {
  const mode = cell.mode as PartOptions["mode"];
  if (mode === "one by one") return { count: quick ? 2_000 : 20_000, mode };
  return { count: quick ? 20_000 : 50_000, width: 100, mode: mode! };
}

/** Nobody works; tasks are handed in with 100 calls in flight, by the library's bulk, and one after another. */
export const enqueued: Question = {
  name: "enqueued",
  about:
    "One process hands tasks in, nobody works: with 100 calls in flight, by the library's way for bulk (1,000 a call; " +
    "errand joins what is asked for at once), and one after another. Afterwards Redis is asked how many wait.",
  columns: [{ figure: "rate", title: "tasks/s", digits: 0 }, ...COSTS, {
    figure: "memory",
    title: "Redis bytes a waiting task",
    digits: 0,
  }],
  cells: (settings) => cellsOf("enqueued", MODES, settings),
  measure: (cell, settings) =>
    withRedis(
      cell.aof ? AOF : [],
      (server) => measured(cell.subject, cell.runtime, server, { part: "enqueue", options: optionsOf(cell, settings) }),
    ),
  targets: (medians, runtimes) =>
    runtimes.flatMap((runtime): Target[] => {
      const against = (mode: string, figure: string, sense: "highest" | "lowest") =>
        ratio(medians.of(mode, "errand", runtime, figure), medians.best(mode, BULLMQ, runtime, figure, sense));
      const alone = "one by one";
      return [
        {
          ...{
            what: "enqueued, 100 in flight: rate / BullMQ's",
            runtime,
            bound: 3,
            aim: 4,
            sense: "at least" as const,
          },
          value: against("in flight", "rate", "highest"),
        },
        {
          ...{ what: "enqueued, bulk: rate / BullMQ's", runtime, bound: 3, sense: "at least" as const },
          value: against("bulk", "rate", "highest"),
        },
        {
          ...{
            what: "enqueued, one by one: rate / the least possible",
            runtime,
            bound: 0.8,
            sense: "at least" as const,
          },
          value: ratio(medians.of(alone, "errand", runtime, "rate"), medians.of(alone, "floor", runtime, "rate")),
        },
        ...MODES.map((mode) => ({
          ...{ what: `enqueued, ${mode}: Redis CPU a task / BullMQ's`, runtime, bound: 0.4, sense: "at most" as const },
          value: against(mode, "redisCpu", "lowest"),
        })),
        {
          ...{ what: "memory: Redis bytes a waiting task / BullMQ's", runtime, bound: 0.75, sense: "at most" as const },
          value: against("bulk", "memory", "lowest"),
        },
      ];
    }),
};
