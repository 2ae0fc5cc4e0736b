/**
 * `errand listen`: does the tasks of some names with the handlers of a module, until it is told to stop.
 *
 * @module
 */
import process from "node:process";
import { buildCommand, type Command } from "@stricli/core";
import { asUsage, type CliContext, type QueueFlags, queueFlags, urlOf, withQueue } from "./context.ts";
import { parseDuration } from "./duration.ts";
import { CliError, EXIT, exitCodeHelp } from "./exit_codes.ts";
import { parseCount, parseNames } from "./parse.ts";
import { redactUrls } from "./redact.ts";
import { loadTaskFns, namesToListen } from "./task_module.ts";

/** After a fault: how much longer than its grace a listener may take to give its tasks back, in milliseconds. */
const FAULT_MARGIN_MS = 2_000;

interface ListenFlags extends QueueFlags {
  readonly names?: readonly string[];
  readonly workers: number;
  readonly interval: number;
  readonly lease: number;
  readonly grace: number;
}

/** The command `listen`. */
export const listenCommand: Command<CliContext> = buildCommand({
  func: listen,
  parameters: {
    flags: {
      ...queueFlags,
      names: {
        kind: "parsed",
        parse: parseNames,
        optional: true,
        placeholder: "a,b",
        brief: "Names to listen to; all names of the module's map unless given",
      },
      workers: { kind: "parsed", parse: parseCount, default: "128", placeholder: "n", brief: "Tasks at the same time" },
      interval: {
        kind: "parsed",
        parse: parseDuration,
        default: "5s",
        placeholder: "5s",
        brief: "Looks for tasks at least this often; presence lasts three times as long",
      },
      lease: {
        kind: "parsed",
        parse: parseDuration,
        default: "30s",
        placeholder: "30s",
        brief: "After this long without a sign of life another listener takes a task over",
      },
      grace: {
        kind: "parsed",
        parse: parseDuration,
        default: "10s",
        placeholder: "10s",
        brief: "How long running tasks may go on after Ctrl-C",
      },
    },
    positional: {
      kind: "tuple",
      parameters: [{
        brief: "Module whose default export is a taskFn, or a map of name to taskFn",
        parse: String,
        placeholder: "module",
      }],
    },
  },
  docs: {
    brief: "Do tasks with the handlers of a module",
    fullDescription: [
      "Does tasks with the handlers of a module until Ctrl-C or SIGTERM. The first one stops gracefully: running tasks",
      "have --grace to end, what is left is given back to the queue. The second one stops at once.",
      "TypeScript modules are loaded on Deno and Bun; on Node under tsx, otherwise .js and .mjs.",
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});

async function listen(this: CliContext, flags: ListenFlags, module: string): Promise<void> {
  const { output, shutdown } = this;
  output.redactor.learn(urlOf(flags));
  const taskFn = await loadTaskFns(module);
  const names = namesToListen(taskFn, flags.names);
  const { interval, lease, grace, workers } = flags;
  await withQueue(this, flags, { taskFn, interval, lease }, async (queue) => {
    shutdown.configure({
      message: `stopping: running tasks have ${grace / 1_000} s to end; once more to stop at once`,
      drain: grace + FAULT_MARGIN_MS,
      urgent: () => queue.close({ atOnce: true }),
    });
    const shown = `${names.join(", ")} with ${workers} worker${workers === 1 ? "" : "s"} at ${
      redactUrls(urlOf(flags))
    }`;
    output.note(`listening to ${shown} (pid ${process.pid})`);
    try {
      await queue.listen(names, { workers, grace, signal: shutdown.signal });
    } catch (error) {
      throw asUsage(error);
    }
    output.note("stopped");
  });
  if (shutdown.faulted) throw new CliError(EXIT.fault, "Stopped after an unhandled error");
}
