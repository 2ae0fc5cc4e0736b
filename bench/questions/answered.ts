/** How fast a question gets its answer from another process. */
import { AOF, Child, measured, withRedis } from "../lib/cell.ts";
import { ANSWERING, cellsOf, COSTS, type Question, ratio, type Settings, type Target } from "./question.ts";

const MODES = ["100 in flight", "one after another"];

/** Enough for each: bee-queue pauses between answers. */
function countOf(subject: string, mode: string, quick: boolean): number {
  if (subject === "bee-queue") return quick ? 200 : 1_000;
  if (mode === MODES[1]) return quick ? 1_000 : 3_000;
  const slow = subject !== "errand" && subject !== "floor";
  return (quick ? 10_000 : 40_000) / (slow ? 5 : 1);
}

/** Every answer is checked; 200 questions before are not measured. */
export const answered: Question = {
  name: "answered",
  about:
    "One process asks and waits for the results, another one works with 100 workers: with 100 questions in flight, and one " +
    "after another. Every answer is checked. The floor is a bare push and blocking pop both ways on the same client.",
  columns: [{ figure: "rate", title: "answers/s", digits: 0 }, { figure: "p50", title: "p50 ms", digits: 3 }, {
    figure: "p99",
    title: "p99 ms",
    digits: 2,
  }, ...COSTS],
  cells: (settings: Settings) => cellsOf("answered", MODES, settings),
  measure: ({ aof, subject, runtime, mode }, { quick }) =>
    withRedis(aof ? AOF : [], async (server) => {
      const options = { count: 0, width: 100 };
      const serving = await Child.start(subject, runtime, server, { part: "serve", options });
      try {
        const count = countOf(subject, mode, quick);
        const width = mode === MODES[0] ? 100 : 1;
        return await measured(subject, runtime, server, { part: "ask", options: { count, width } });
      } finally {
        await serving.end();
      }
    }),
  targets: (medians, runtimes) =>
    runtimes.flatMap((runtime): Target[] => {
      const many = medians.of(MODES[0]!, "errand", runtime, "rate");
      const one = medians.of(MODES[1]!, "errand", runtime, "p50");
      return [
        {
          ...{ what: "answered, 100 in flight: rate / the best peer's", runtime, bound: 4, aim: 8 },
          value: ratio(many, medians.best(MODES[0]!, ANSWERING, runtime, "rate", "highest")),
          sense: "at least",
        },
        {
          ...{ what: "answered, one after another: p50 / the best peer's", runtime, bound: 0.6, aim: 0.4 },
          value: ratio(one, medians.best(MODES[1]!, ANSWERING, runtime, "p50", "lowest")),
          sense: "at most",
        },
        {
          ...{ what: "answered, one after another: p50 / the least possible", runtime, bound: 3 },
          value: ratio(one, medians.of(MODES[1]!, "floor", runtime, "p50")),
          sense: "at most",
        },
      ];
    }),
};
