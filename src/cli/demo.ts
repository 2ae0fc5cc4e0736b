/**
 * `errand demo`: the main job, shown within a minute on a Redis of its own.
 *
 * 1. A private redis-server and two listeners, each a process of its own, started with `errand listen`.
 * 2. Tasks with progress, done by the listeners. 3. The five policies, and where each ran. 4. A task that fails.
 * 5. A listener killed with -9 in the middle of a task, which the other one finishes. 6. A summary.
 *
 * However it ends (done, failed, Ctrl-C, out of time), every process that it started is ended by its pid.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { buildCommand, type Command } from "@stricli/core";
import { type Child, Children, pathOf } from "./children.ts";
import { type CliContext, withQueue } from "./context.ts";
import { DemoStory } from "./demo_story.ts";
import demoTasks, { DEMO_LISTENER } from "./demo_worker.ts";
import { CliError, EXIT, exitCodeHelp } from "./exit_codes.ts";
import { colorsFor } from "./output.ts";
import { type PrivateRedis, startPrivateRedis } from "./private_redis.ts";

const PREFIX = "errand-demo";
const LEASE_MS = 2_000;
const INTERVAL_MS = 1_000;
/** The demo promises to end within a minute. */
const DEMO_MS = 50_000;
const NAMES = Object.keys(demoTasks);
const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
/** What a listener is started from: files beside this one, from the sources and in the npm package. */
const LISTENER = {
  cli: new URL(`../../cli.${EXTENSION}`, import.meta.url),
  worker: new URL(`./demo_worker.${EXTENSION}`, import.meta.url),
};

/** The command `demo`. */
export const demoCommand: Command<CliContext> = buildCommand<Record<string, never>, [], CliContext>({
  func: demo,
  parameters: { flags: {} },
  docs: {
    brief: "Show it all on a private Redis, within a minute",
    fullDescription: [
      "Starts a redis-server of its own on a free port (the memory store where there is none) and two listeners, then",
      "shows tasks with progress, the five policies, a failing task, and a listener killed in the middle of a task.",
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});

async function demo(this: CliContext): Promise<void> {
  const { shutdown } = this;
  const children = new Children();
  shutdown.configure({ message: "ending the demo", urgent: () => children.killAll() });
  const timer = setTimeout(() => shutdown.stop(new Error(`the demo took longer than ${DEMO_MS / 1_000} s`)), DEMO_MS);
  try {
    await shutdown.race(tell(this, children));
  } catch (error) {
    if (!shutdown.signal.aborted) throw error;
    throw new CliError(EXIT.interrupted, `Stopped: ${(shutdown.signal.reason as Error).message}`);
  } finally {
    clearTimeout(timer);
    await children.endAll();
  }
}

async function tell(context: CliContext, children: Children): Promise<void> {
  const began = performance.now();
  const say = (line: string): void => context.output.text(`${line}\n`);
  const redis = existsSync(LISTENER.cli) ? await startPrivateRedis(children) : null;
  say(opening(redis));
  const story = new DemoStory({
    say,
    colors: colorsFor(process.stdout),
    isTerminal: Boolean(process.stdout.isTTY),
    shutdown: context.shutdown,
    names: NAMES,
  });
  const flags = { url: redis?.url ?? "memory:", prefix: PREFIX, suffix: "task-queue", verbose: false };
  const settings = { taskFn: demoTasks, lease: LEASE_MS, interval: INTERVAL_MS, timeout: 20_000 };
  await withQueue(context, flags, settings, async (queue) => {
    const listeners = redis === null ? [] : await startListeners(children, redis.url);
    await story.run(queue, listeners);
    await Promise.all(listeners.map((listener) => listener.end()));
  });
  await redis?.stop();
  say(`\nDone in ${((performance.now() - began) / 1_000).toFixed(1)} s. Every process of the demo has ended.`);
}

function opening(redis: PrivateRedis | null): string {
  if (redis !== null) {
    return `Redis: a private ${redis.program} at ${redis.url} (pid ${redis.pid}), nothing kept on disk`;
  }
  const [lack, way] = existsSync(LISTENER.cli)
    ? ["there is no redis-server here", "Install redis-server"]
    : ["this is a single binary, which has no listener to start", "Run the demo by npx, bunx or Deno"];
  return `Redis: ${lack}, so this shows the memory store; all runs in this process.\n` +
    `       ${way} to see listeners in processes of their own.`;
}

/** Two listeners, ready for tasks. */
async function startListeners(children: Children, url: string): Promise<readonly Child[]> {
  const durations = ["--lease", `${LEASE_MS}ms`, "--interval", `${INTERVAL_MS}ms`, "--grace", "1s"];
  const args = ["listen", pathOf(LISTENER.worker), "--prefix", PREFIX, "--workers", "2", ...durations];
  const env = { REDIS_URL: url, [DEMO_LISTENER]: "1" };
  const listeners = [1, 2].map(() => children.startModule(LISTENER.cli, args, env));
  await Promise.all(listeners.map((listener) => listener.matches(/listening to/)));
  return listeners;
}
