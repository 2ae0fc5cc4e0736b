/** Throughput against workers: the backlog of `drained`, done by more and more workers. */
import { measured, withRedis } from "../lib/cell.ts";
import { type Cell, COSTS, type Question, type Settings } from "./question.ts";
import { plotted } from "./plotted.ts";

const WORKERS = [1, 4, 16, 64, 128, 256];

/** A curve, without a target. */
export const workers: Question = {
  name: "workers",
  about: "The backlog of `drained` with more and more workers, each queue on the runtime that suits it.",
  columns: [{ figure: "rate", title: "tasks/s", digits: 0 }, ...COSTS],
  plot: {
    file: "throughput.svg",
    title: "Drained: throughput against workers",
    x: "workers",
    y: "tasks/s",
    figure: "rate",
  },
  repetitions: 3,
  cells: (settings: Settings): Cell[] => plotted("workers", WORKERS.map(String), settings),
  measure: ({ mode, subject, runtime, aof }, { quick }) =>
    withRedis(aof ? ["--appendonly", "yes"] : [], async (server) => {
      const width = Number(mode);
      const count = Math.min(quick ? 5_000 : 30_000, width * (quick ? 1_000 : 4_000));
      await measured(subject, runtime, server, { part: "fill", options: { count } });
      return await measured(subject, runtime, server, { part: "drain", options: { count, width } });
    }),
  targets: () => [],
};
