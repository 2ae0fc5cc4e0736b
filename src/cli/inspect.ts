/**
 * `errand get` and `errand cancel`: one task by its id.
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { systemClock } from "../clock.ts";
import { ConnectionLostError } from "../errors.ts";
import { keysOf } from "../keys.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { type CliContext, type QueueFlags, queueFlags, urlOf, withQueue } from "./context.ts";
import { parseDuration } from "./duration.ts";
import { CliError, EXIT, exitCodeHelp, isNoPermission } from "./exit_codes.ts";
import { parseName } from "./parse.ts";
import { plainRecord, plainTask } from "./raw_record.ts";

const positional = {
  kind: "tuple",
  parameters: [{ brief: "Id of the task", parse: parseName, placeholder: "id" }],
} as const;

interface CancelFlags extends QueueFlags {
  readonly timeout?: number;
}

/** The command `get`. */
export const getCommand: Command<CliContext> = buildCommand<QueueFlags, [string], CliContext>({
  func: get,
  parameters: { flags: queueFlags, positional },
  docs: {
    brief: "Print a task as JSON",
    fullDescription: [
      "Prints what Redis knows of a task as one line of JSON; instants are epoch milliseconds. Params or a result that",
      "cannot be read are shown as the text that Redis holds, with exit code 1.",
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});

const timeoutFlag = {
  kind: "parsed",
  parse: parseDuration,
  optional: true,
  placeholder: "duration",
  brief: "How long to wait for the end of a running task, such as 500ms or 30s; otherwise 5s",
} as const;

/** The command `cancel`. */
export const cancelCommand: Command<CliContext> = buildCommand<CancelFlags, [string], CliContext>({
  func: cancel,
  parameters: { flags: { ...queueFlags, timeout: timeoutFlag }, positional },
  docs: {
    brief: "Cancel a task",
    fullDescription: [
      "Cancels a task: at once when it waits; when it runs, its listener is told and its end is waited for. Prints what",
      'became of it: "cancelled", "completed" (it ended otherwise, before or in spite of the cancel; exit code 7), or',
      '"unreachable" (it runs still; the cancel stays and counts when it fails or its listener is lost; exit code 4).',
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});

async function get(this: CliContext, flags: QueueFlags, id: string): Promise<void> {
  await withQueue(this, flags, {}, async (queue, redis) => {
    let shown: Record<string, unknown> | null;
    try {
      const task = await queue.getTask(id);
      shown = task && plainTask(task);
    } catch (error) {
      if (isOfRedis(error)) throw error;
      await showRest(this, openStore(redis, keysOf(flags.prefix, flags.suffix), systemClock), id);
      throw unreadable(id, error);
    }
    if (shown === null) throw unknownId(id, flags);
    this.output.result(shown, `task ${id}`);
  });
}

async function cancel(this: CliContext, { timeout, ...flags }: CancelFlags, id: string): Promise<void> {
  await withQueue(this, flags, {}, async (queue) => {
    const result = await queue.cancel(id, timeout === undefined ? {} : { timeout }).catch((error) => {
      throw isOfRedis(error) ? error : unreadable(id, error);
    });
    if (result === "unknown") throw unknownId(id, flags);
    this.output.result({ id, cancel: result }, `task ${id}`);
    if (result === "completed") throw new CliError(EXIT.refused, `Cannot cancel task "${id}": it has ended already`);
    if (result === "unreachable") {
      const rest = "its cancel stays and counts when it fails or its listener is lost";
      throw new CliError(EXIT.timeout, `Cannot cancel task "${id}" yet: it runs still; ${rest}`);
    }
  });
}

/** Prints what can be read of a task; nothing when that is nothing. */
async function showRest({ output }: CliContext, store: Store, id: string): Promise<void> {
  try {
    const record = await store.read(id);
    if (record !== null) output.result(plainRecord(record), `task ${id}`);
  } catch {
    // Not a record at all: the error that is about to be thrown says so.
  }
}

/** Not about the task, but about the way to it. */
function isOfRedis(error: unknown): boolean {
  return error instanceof ConnectionLostError || isNoPermission(error);
}

function unreadable(id: string, cause: unknown): CliError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CliError(EXIT.taskFailed, `Cannot read task "${id}": ${reason}`, { cause });
}

function unknownId(id: string, flags: QueueFlags): CliError {
  const why = urlOf(flags) === "memory:"
    ? "a memory store is empty in each new process, so name a Redis with --url or REDIS_URL"
    : "no such id in this queue (see --prefix and --suffix)";
  return new CliError(EXIT.unknownId, `Cannot find task "${id}": ${why}`);
}
