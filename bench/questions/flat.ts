/** Does the cost of a task grow with how many wait? */
import { measured, withRedis } from "../lib/cell.ts";
import { type Cell, type Measured, type Question, ratio, type Settings, type Target } from "./question.ts";

const FEW = "1,000 waiting";
const MANY = "1,000,000 waiting";
const MANY_QUICK = "100,000 waiting";

/** What must be the same, and how it is called. */
const SAME = { commands: "commands", scripts: "script calls", bytes: "bytes" };

/** Calls are joined by how the processes meet in time, so that no two runs are the same to the last call. */
const NOISE = 1.05;

const waitingOf = (mode: string) => Number(mode.replaceAll(",", "").split(" ")[0]);

/** With so many waiting, 20,000 more are handed in, then 20,000 are done. */
export const flat: Question = {
  name: "flat",
  about:
    "With 1,000 and with 1,000,000 tasks waiting, 20,000 more are handed in (100 in flight), then 20,000 are done by 100 workers. " +
    "What one of them costs must not depend on how many wait.",
  columns: [
    { figure: "enqueueRate", title: "enqueued/s", digits: 0 },
    { figure: "enqueueCommands", title: "commands", digits: 3 },
    { figure: "enqueueScripts", title: "script calls", digits: 4 },
    { figure: "enqueueBytes", title: "bytes", digits: 0 },
    { figure: "enqueueRedisCpu", title: "Redis CPU µs", digits: 1 },
    { figure: "drainRate", title: "drained/s", digits: 0 },
    { figure: "drainCommands", title: "commands", digits: 3 },
    { figure: "drainScripts", title: "script calls", digits: 4 },
    { figure: "drainBytes", title: "bytes", digits: 0 },
    { figure: "drainRedisCpu", title: "Redis CPU µs", digits: 1 },
  ],
  repetitions: 3,
  cells: ({ quick, runtimes }: Settings): Cell[] =>
    [FEW, quick ? MANY_QUICK : MANY].flatMap((mode) =>
      runtimes.filter((runtime) => runtime !== "node22")
        .map((runtime) => ({ question: "flat", mode, subject: "errand", runtime, aof: false }))
    ),
  measure: ({ mode, subject, runtime }): Promise<Measured> =>
    withRedis([], async (server) => {
      const options = { count: 20_000, from: 50_000_000, width: 100, mode: "in flight" } as const;
      await measured(subject, runtime, server, { part: "fill", options: { count: waitingOf(mode) } });
      const enqueue = await measured(subject, runtime, server, { part: "enqueue", options });
      const drain = await measured(subject, runtime, server, { part: "drainSome", options });
      return {
        versions: drain.versions,
        figures: { ...prefixed("enqueue", enqueue.figures), ...prefixed("drain", drain.figures) },
      };
    }),
  targets: (medians, runtimes) =>
    ["enqueue", "drain"].flatMap((verb) =>
      Object.entries(SAME).flatMap(([figure, title]) =>
        runtimes.map((runtime): Target => {
          const of = (mode: string) => medians.of(mode, "errand", runtime, figureOf(verb, figure));
          const [many, few] = [of(MANY) ?? of(MANY_QUICK), of(FEW)];
          return {
            ...{ what: `flat, ${verb}: ${title} a task, many waiting / 1,000 waiting`, runtime, bound: NOISE },
            ...{ value: ratio(many, few), sense: "at most" },
          };
        })
      )
    ),
};

const figureOf = (verb: string, figure: string) => `${verb}${figure[0]!.toUpperCase()}${figure.slice(1)}`;

function prefixed(verb: string, figures: Measured["figures"]): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([figure, value]) => [figureOf(verb, figure), value]));
}
