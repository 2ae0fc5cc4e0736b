/** How fast one worker process empties a backlog. */
import { AOF, measured, withRedis } from "../lib/cell.ts";
import { BULLMQ, cellsOf, COSTS, PEERS, type Question, ratio } from "./question.ts";

const MODES = ["100 workers", "128 workers"];

/** 20,000 tasks and more wait; a worker process starts; measured until Redis says that all have ended. */
export const drained: Question = {
  name: "drained",
  about:
    "No-op tasks wait, and one worker process does them all; measured from the start of the worker until Redis says that all have ended, " +
    "then a sample of the results is read back. Connecting and compiling count.",
  columns: [{ figure: "rate", title: "tasks/s", digits: 0 }, ...COSTS],
  cells: (settings) => cellsOf("drained", settings.quick ? MODES.slice(0, 1) : MODES, settings),
  measure: (cell, { quick }) =>
    withRedis(cell.aof ? AOF : [], async (server) => {
      const options = { count: quick ? 20_000 : 50_000, width: Number.parseInt(cell.mode) };
      await measured(cell.subject, cell.runtime, server, { part: "fill", options });
      return await measured(cell.subject, cell.runtime, server, { part: "drain", options });
    }),
  targets: (medians, runtimes) =>
    MODES.flatMap((mode) =>
      runtimes.flatMap((runtime) => {
        const rate = medians.of(mode, "errand", runtime, "rate");
        const cpu = medians.of(mode, "errand", runtime, "redisCpu");
        return [
          {
            what: `drained, ${mode}: rate / the better of BullMQ and bee-queue`,
            runtime,
            value: ratio(rate, medians.best(mode, PEERS, runtime, "rate", "highest")),
            ...(runtime === "bun" ? { bound: 3.5, aim: 5 } : { bound: 2.5 }),
            sense: "at least",
          },
          {
            what: `drained, ${mode}: Redis CPU a task / BullMQ's`,
            runtime,
            value: ratio(cpu, medians.best(mode, BULLMQ, runtime, "redisCpu", "lowest")),
            bound: 0.35,
            aim: 0.25,
            sense: "at most",
          },
        ];
      })
    ),
};
