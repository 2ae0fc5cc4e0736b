/**
 * `errand enqueue`: hands a task in and does not wait for it.
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import { systemRandom } from "../random.ts";
import { type CliContext, type QueueFlags, queueFlags, withQueue } from "./context.ts";
import { parseDuration } from "./duration.ts";
import { exitCodeHelp } from "./exit_codes.ts";
import { parseCount, parseName } from "./parse.ts";
import { type TaskFlags, taskFlags } from "./task_flags.ts";

interface EnqueueFlags extends QueueFlags, TaskFlags {
  readonly delay?: number;
  readonly timeout?: number;
  readonly maxAttempts?: number;
}

/** The command `enqueue`. */
export const enqueueCommand: Command<CliContext> = buildCommand<EnqueueFlags, [string], CliContext>({
  func: enqueue,
  parameters: {
    flags: {
      ...queueFlags,
      ...taskFlags,
      delay: {
        kind: "parsed",
        parse: parseDuration,
        optional: true,
        placeholder: "5m",
        brief: "Not to be started sooner",
      },
      timeout: {
        kind: "parsed",
        parse: parseDuration,
        optional: true,
        placeholder: "1h",
        brief: "How long the task counts; otherwise until it is done",
      },
      maxAttempts: {
        kind: "parsed",
        parse: parseCount,
        optional: true,
        placeholder: "n",
        brief: "How many attempts it may have, to 999; otherwise 1",
      },
    },
    positional: { kind: "tuple", parameters: [{ brief: "Name of the task", parse: parseName, placeholder: "name" }] },
  },
  docs: {
    brief: "Hand a task in and do not wait for it",
    fullDescription: ["Prints the id and the state of the task as one line of JSON.", "", exitCodeHelp()].join("\n"),
  },
});

async function enqueue(this: CliContext, flags: EnqueueFlags, name: string): Promise<void> {
  const { id = `${name}:${systemRandom.id()}`, params, delay, timeout, maxAttempts, ...rest } = flags;
  const given = Object.entries({ delay, timeout, maxAttempts }).filter(([, value]) => value !== undefined);
  await withQueue(this, rest, {}, async (queue) => {
    const task = await queue.enqueue(id, name, params?.value, Object.fromEntries(given));
    this.output.result({ id, state: task.state }, `task ${id}`);
  });
}
