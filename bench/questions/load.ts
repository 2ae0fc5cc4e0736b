/** Latency against load: the questions of `answered`, more and more of them in flight. */
import { Child, measured, withRedis } from "../lib/cell.ts";
import { type Cell, COSTS, type Question, type Settings } from "./question.ts";
import { plotted } from "./plotted.ts";

const IN_FLIGHT = [1, 4, 16, 64, 256];

/** A curve, without a target. */
export const load: Question = {
  name: "load",
  about: "The questions of `answered` with more and more in flight, each queue on the runtime that suits it.",
  columns: [{ figure: "p50", title: "p50 ms", digits: 3 }, { figure: "p99", title: "p99 ms", digits: 2 }, {
    figure: "rate",
    title: "answers/s",
    digits: 0,
  }, ...COSTS],
  plot: {
    file: "latency.svg",
    title: "Answered: latency against questions in flight",
    x: "questions in flight",
    y: "p50 ms",
    figure: "p50",
  },
  repetitions: 3,
  cells: (settings: Settings): Cell[] => plotted("load", IN_FLIGHT.map(String), settings),
  measure: ({ mode, subject, runtime }, { quick }) =>
    withRedis([], async (server) => {
      const width = Number(mode);
      const serving = await Child.start(subject, runtime, server, { part: "serve", options: { count: 0, width: 100 } });
      try {
        const most = subject === "bee-queue" ? 400 : subject === "errand" || subject === "floor" ? 20_000 : 4_000;
        const count = Math.min(most, (quick ? 300 : 1_000) * width);
        return await measured(subject, runtime, server, { part: "ask", options: { count, width } });
      } finally {
        await serving.end();
      }
    }),
  targets: () => [],
};
