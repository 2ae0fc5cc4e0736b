/**
 * `errand query`: asks for a task to be done and prints its result.
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { type RedisTaskQueue, TaskExecutePolicy } from "../../mod.ts";
import { TaskTimeoutError } from "../errors.ts";
import { keysOf } from "../keys.ts";
import { systemRandom } from "../random.ts";
import { MemoryRedis } from "../store/memory/memory_redis.ts";
import { type CliContext, type Connection, type QueueFlags, queueFlags, urlOf, withQueue } from "./context.ts";
import { parseDuration } from "./duration.ts";
import { CliError, EXIT, exitCodeHelp, usageError } from "./exit_codes.ts";
import { parseName } from "./parse.ts";
import { type TaskFlags, taskFlags } from "./task_flags.ts";
import { ProgressBars } from "./progress.ts";
import { loadTaskFns } from "./task_module.ts";
import { watched } from "./watch.ts";

const POLICIES = {
  auto: TaskExecutePolicy.Auto,
  local: TaskExecutePolicy.Local,
  remote: TaskExecutePolicy.Remote,
  "local-first": TaskExecutePolicy.LocalFirst,
  "remote-first": TaskExecutePolicy.RemoteFirst,
} as const;

interface QueryFlags extends QueueFlags, TaskFlags {
  readonly timeout: number;
  readonly policy: keyof typeof POLICIES;
  readonly once: boolean;
  readonly module?: string;
}

/** The command `query`. */
export const queryCommand: Command<CliContext> = buildCommand<QueryFlags, [string], CliContext>({
  func: query,
  parameters: {
    flags: {
      ...queueFlags,
      ...taskFlags,
      timeout: {
        kind: "parsed",
        parse: parseDuration,
        default: "30s",
        placeholder: "30s",
        brief: "How long the task may take, waiting included",
      },
      policy: {
        kind: "enum",
        values: Object.keys(POLICIES) as (keyof typeof POLICIES)[],
        default: "auto",
        brief: "Where it may run; without --module always at a listener",
      },
      once: { kind: "boolean", default: false, brief: "Delete the task when its answer was read", withNegated: false },
      module: {
        kind: "parsed",
        parse: String,
        optional: true,
        placeholder: "module",
        brief: "Module with handlers, so that the task may run in this process",
      },
    },
    positional: { kind: "tuple", parameters: [{ brief: "Name of the task", parse: parseName, placeholder: "name" }] },
  },
  docs: {
    brief: "Ask for a task to be done and print its result",
    fullDescription: [
      "Asks for a task to be done and prints its result as one line of JSON (null when there is none).",
      "On a terminal a progress bar is shown. Ctrl-C cancels the task unless somebody else waits for it too.",
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});

async function query(this: CliContext, flags: QueryFlags, name: string): Promise<void> {
  this.output.redactor.learn(urlOf(flags));
  const taskFn = flags.module === undefined ? undefined : await loadTaskFns(flags.module);
  if (taskFn === undefined && flags.policy.startsWith("local")) {
    throw usageError(
      `Cannot run "${name}" with --policy ${flags.policy}: name the module of its handler with --module`,
    );
  }
  const id = flags.id ?? `${name}:${systemRandom.id()}`;
  await withQueue(this, flags, { taskFn, timeout: flags.timeout }, async (queue, redis) => {
    this.shutdown.configure({ message: "cancelling; once more to leave at once", urgent: () => queue.close() });
    try {
      this.output.result(await ask(this, queue, { flags, name, id }), `the result of task ${id}`);
    } catch (error) {
      const remote = taskFn === undefined || flags.policy === "remote";
      if (remote && error instanceof TaskTimeoutError && !await isHeard(redis, flags, name)) {
        this.output.note(`nobody listens to ${name} under prefix ${flags.prefix}`);
      }
      throw error;
    }
  });
}

/** Does anybody listen to this name, as far as can be known? Presences go by themselves, with their key. */
async function isHeard(redis: Connection, flags: QueueFlags, name: string): Promise<boolean> {
  if (redis instanceof MemoryRedis) return true;
  try {
    const [count] = await redis.exec([["ZCARD", keysOf(flags.prefix, flags.suffix).listen(name)]]);
    return count !== 0;
  } catch {
    return true; // The timeout is what matters.
  }
}

interface Asked {
  readonly flags: QueryFlags;
  readonly name: string;
  readonly id: string;
}

async function ask(context: CliContext, queue: RedisTaskQueue, { flags, name, id }: Asked): Promise<unknown> {
  const { output, shutdown } = context;
  const { signal } = shutdown;
  const { timeout, once } = flags;
  const answer = queue.query(id, name, flags.params?.value, { timeout, once, policy: POLICIES[flags.policy], signal });
  const view = output.isTerminal ? new ProgressBars() : undefined;
  try {
    return await (view === undefined ? answer : watched(answer, { queue, id, label: name, view }));
  } catch (error) {
    if (signal.aborted && !shutdown.faulted) throw new CliError(EXIT.interrupted, "Interrupted");
    throw error;
  } finally {
    view?.stop();
  }
}
