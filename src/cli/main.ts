/**
 * The command line: which commands there are, how errors are worded, and which exit code they give.
 *
 * Stricli parses, checks and suggests; its own exit codes (251, 252, …) are turned into those of `exit_codes.ts`.
 *
 * @module
 */
import process from "node:process";
import { setTimeout } from "node:timers";
import {
  type Application,
  type ApplicationText,
  ArgumentParseError,
  buildApplication,
  buildRouteMap,
  ExitCode as StricliExit,
  run,
  type StricliProcess,
  text_en,
} from "@stricli/core";
import { benchCommand } from "./bench.ts";
import type { CliContext } from "./context.ts";
import { countsCommand, deadCommands } from "./dead.ts";
import { demoCommand } from "./demo.ts";
import { enqueueCommand } from "./enqueue.ts";
import { EXIT, exitCodeHelp, exitCodeOf } from "./exit_codes.ts";
import { cancelCommand, getCommand } from "./inspect.ts";
import { listenCommand } from "./listen.ts";
import { describeBriefly, describeFully, Output } from "./output.ts";
import { queryCommand } from "./query.ts";
import { Shutdown } from "./shutdown.ts";

/** The version that `errand --version` prints; the same as in deno.json. */
export const VERSION = "0.1.0";

/** How long a module of the user's may keep the process alive after the command is done, in milliseconds. */
const LINGER_MS = 1_000;

const routes = buildRouteMap({
  routes: {
    listen: listenCommand,
    query: queryCommand,
    enqueue: enqueueCommand,
    get: getCommand,
    cancel: cancelCommand,
    dead: deadCommands,
    counts: countsCommand,
    demo: demoCommand,
    bench: benchCommand,
  },
  docs: {
    brief: "A task queue on Redis: ask for tasks, do tasks, look at tasks",
    fullDescription: [
      "A task queue on Redis: ask for tasks, do tasks, look at tasks.",
      "Durations are written 500ms, 30s, 5m or 2h. Redis is where --url or REDIS_URL says.",
      "What begins with - and is no flag stands behind --, as in errand get -- -id.",
      "Errors are one line each; --verbose or ERRAND_DEBUG=1 shows their stacks.",
      "",
      exitCodeHelp(),
    ].join("\n"),
  },
});

/** The texts of stricli with our prefix, and errors as short or as long as was asked for. */
function textsOf(describe: (error: unknown) => string): ApplicationText {
  return {
    ...text_en,
    noCommandRegisteredForInput: (found) => `errand: ${text_en.noCommandRegisteredForInput(found)}`,
    exceptionWhileParsingArguments(error, ansiColor) {
      if (error instanceof ArgumentParseError) {
        const reason = error.exception instanceof Error ? error.exception.message : String(error.exception);
        return `errand: Wrong value for ${error.externalFlagNameOrPlaceholder}: ${reason}`;
      }
      return `errand: ${text_en.exceptionWhileParsingArguments.call(this, error, ansiColor)}`;
    },
    exceptionWhileRunningCommand: (error) => `errand: ${describe(error)}`,
  };
}

function applicationWith(text: ApplicationText): Application<CliContext> {
  return buildApplication<CliContext>(routes, {
    name: "errand",
    versionInfo: { currentVersion: VERSION },
    scanner: { caseStyle: "allow-kebab-for-camel", allowArgumentEscapeSequence: true },
    documentation: { caseStyle: "convert-camel-to-kebab" },
    localization: { text },
    determineExitCode: exitCodeOf,
  });
}

/** Are stacks wanted? Asked before anything is parsed, as parsing may fail. */
function isVerbose(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const flags = end < 0 ? args : args.slice(0, end);
  return flags.includes("--verbose") || process.env.ERRAND_DEBUG === "1";
}

/** Runs the command line `args` in this process, and sets its exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const output = new Output();
  output.redactor.learn(process.env.REDIS_URL);
  for (const arg of args) output.redactor.learn(arg.replace(/^--url=/, ""));
  const shutdown = new Shutdown(output);
  const shell: StricliProcess = {
    stdout: { write: (part) => output.text(part), getColorDepth: () => depthOf(process.stdout) },
    stderr: { write: (part) => output.errorText(part), getColorDepth: () => depthOf(process.stderr) },
    env: process.env,
  };
  process.stdout.on("error", () => process.exit(EXIT.ok)); // The reader has seen enough, as in `errand get x | head -1`.
  const application = applicationWith(textsOf(isVerbose(args) ? describeFully : describeBriefly));
  await run(application, args, { process: shell, output, shutdown });
  shutdown.dispose();
  const code = shutdown.faulted ? EXIT.fault : toExit(shell.exitCode);
  process.exitCode = code;
  await output.flushed();
  setTimeout(() => process.exit(code), LINGER_MS).unref();
}

/** Stricli's own codes are negative: usage, or a fault of ours. */
function toExit(code: StricliProcess["exitCode"]): number {
  if (code === StricliExit.UnknownCommand || code === StricliExit.InvalidArgument) return EXIT.usage;
  return typeof code === "number" && code >= 0 ? code : EXIT.fault;
}

function depthOf(stream: NodeJS.WriteStream): number {
  return stream.isTTY && !process.env.NO_COLOR ? 8 : 1;
}
