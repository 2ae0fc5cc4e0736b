/** What errand costs when there is nothing to do. */
import { Child, withRedis } from "../lib/cell.ts";
import { watchCommands } from "../lib/counters.ts";
import type { Cell, Question, Settings, Target } from "./question.ts";

const LISTENER = "listener on 100 names";
const CLIENT = "client that waits for nothing";
const PARTS: Readonly<Record<string, string>> = { [LISTENER]: "idleListener", [CLIENT]: "idleClient" };

/** Commands that clients send (MONITOR), an interval of a second. */
export const idle: Question = {
  name: "idle",
  about:
    "A listener on 100 names whose `interval` is a second, and a client that has had its answer: the commands that they send " +
    "(Redis' MONITOR; not those inside scripts) while nothing is asked.",
  columns: [{ figure: "sent", title: "commands an interval", digits: 2 }, {
    figure: "clientCpu",
    title: "client CPU µs an interval",
    digits: 0,
  }],
  repetitions: 2,
  cells: ({ runtimes }: Settings): Cell[] =>
    Object.keys(PARTS).flatMap((mode) =>
      runtimes.filter((runtime) => runtime !== "node22")
        .map((runtime) => ({ question: "idle", mode, subject: "errand on 100 names", runtime, aof: false }))
    ),
  measure: ({ mode, subject, runtime }, { quick }) =>
    withRedis([], async (server) => {
      const options = { count: quick ? 5 : 20 };
      const serving = mode === CLIENT
        ? await Child.start(subject, runtime, server, { part: "serve", options })
        : undefined;
      const child = await Child.start(subject, runtime, server, { part: PARTS[mode]!, options });
      await serving?.end();
      try {
        const commands = await watchCommands(server);
        const figures = await child.run();
        const sent = await commands();
        if (sent.length > 0) console.error(`  sent: ${[...new Set(sent)].join(", ")}`);
        return { versions: child.versions, figures: { ...figures, sent: sent.length / options.count } };
      } finally {
        await child.end();
      }
    }),
  targets: (medians, runtimes) =>
    runtimes.flatMap((runtime): Target[] => [
      {
        ...{ what: `idle, ${LISTENER}: commands an interval`, runtime, bound: 2, sense: "at most" },
        value: medians.of(LISTENER, "errand on 100 names", runtime, "sent"),
      },
      {
        ...{ what: `idle, ${CLIENT}: commands an interval`, runtime, bound: 0, sense: "at most" },
        value: medians.of(CLIENT, "errand on 100 names", runtime, "sent"),
      },
    ]),
};
