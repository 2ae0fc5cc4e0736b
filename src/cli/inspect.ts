/**
 * `errand get` and `errand cancel`: one task by its id.
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import type { RedisTask } from "../task.ts";
import { type CliContext, type QueueFlags, queueFlags, withQueue } from "./context.ts";
import { CliError, EXIT, exitCodeHelp } from "./exit_codes.ts";
import { parseName } from "./parse.ts";

const positional = {
  kind: "tuple",
  parameters: [{ brief: "Id of the task", parse: parseName, placeholder: "id" }],
} as const;

/** The command `get`. */
export const getCommand: Command<CliContext> = buildCommand<QueueFlags, [string], CliContext>({
  func: get,
  parameters: { flags: queueFlags, positional },
  docs: {
    brief: "Print a task as JSON",
    fullDescription:
      `Prints what Redis knows of a task as one line of JSON; instants are epoch milliseconds.\n\n${exitCodeHelp()}`,
  },
});

/** The command `cancel`. */
export const cancelCommand: Command<CliContext> = buildCommand<QueueFlags, [string], CliContext>({
  func: cancel,
  parameters: { flags: queueFlags, positional },
  docs: {
    brief: "Cancel a task",
    fullDescription:
      `Cancels a task: at once when it waits; when it runs, its listener is told. Prints what became of it.\n\n${exitCodeHelp()}`,
  },
});

async function get(this: CliContext, flags: QueueFlags, id: string): Promise<void> {
  await withQueue(this, flags, {}, async (queue) => {
    const task = await queue.getTask(id);
    if (task === null) throw unknownId(id);
    this.output.result(plain(task));
  });
}

async function cancel(this: CliContext, flags: QueueFlags, id: string): Promise<void> {
  await withQueue(this, flags, {}, async (queue) => {
    if (!await queue.hasTask(id)) throw unknownId(id);
    this.output.result({ id, cancel: await queue.cancel(id) });
  });
}

function unknownId(id: string): CliError {
  return new CliError(EXIT.unknownId, `Cannot find task "${id}": no such id in this queue (see --prefix and --suffix)`);
}

/** A task as a plain object; `expiry` is null when it has no deadline. */
function plain(task: RedisTask): Record<string, unknown> {
  return {
    id: task.id,
    name: task.name,
    state: task.state,
    params: task.params,
    result: task.result,
    error: task.error === undefined ? undefined : plainError(task.error),
    attempt: task.attempt,
    expiry: Number.isFinite(task.expiry) ? task.expiry : null,
    currentProgress: task.currentProgress,
    totalProgress: task.totalProgress,
    updateProgressTime: task.updateProgressTime,
  };
}

function plainError(error: Error): Record<string, unknown> {
  return { name: error.name, message: error.message, stack: error.stack };
}
