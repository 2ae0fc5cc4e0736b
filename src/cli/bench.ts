/**
 * `errand bench`: how fast errand is on the Redis that is in use, within a minute. What it does is in `bench_run.ts`,
 * loaded only when it is asked for.
 *
 * @module
 */
import { buildCommand, type Command } from "@stricli/core";
import type { BenchFlags } from "./bench_run.ts";
import { type CliContext, queueFlags } from "./context.ts";
import { parseDuration } from "./duration.ts";
import { exitCodeHelp } from "./exit_codes.ts";
import { parseCount } from "./parse.ts";

/** The command `bench`. */
export const benchCommand: Command<CliContext> = buildCommand<BenchFlags, [], CliContext>({
  loader: async () => (await import("./bench_run.ts")).bench,
  parameters: {
    flags: {
      ...queueFlags,
      prefix: {
        kind: "parsed",
        parse: String,
        default: "errand-bench",
        placeholder: "text",
        brief: "Prefix of its keys; the suffix is made up for each run",
      },
      tasks: {
        kind: "parsed",
        parse: parseCount,
        default: "20000",
        placeholder: "n",
        brief: "At most so many tasks a row; half a KiB of Redis memory each",
      },
      duration: {
        kind: "parsed",
        parse: parseDuration,
        default: "8s",
        placeholder: "8s",
        brief: "At most so long a row; there are five",
      },
      workers: {
        kind: "parsed",
        parse: parseCount,
        default: "128",
        placeholder: "n",
        brief: "Workers of its listener",
      },
    },
  },
  docs: {
    brief: "Measure errand on your Redis, within a minute",
    fullDescription: [
      "Hands tasks in, does them, and asks questions, from this one process: no-op tasks with params of 200 bytes.",
      "It uses keys of its own and deletes them afterwards, also after Ctrl-C; what it could not delete expires within",
      "ten minutes. Do not run it where others need the last of Redis' time or memory.",
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});
