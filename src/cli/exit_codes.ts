/**
 * What the exit code of `errand` says. One table, from which the help text, the mapping of errors and the tests are
 * made, so that they cannot disagree.
 *
 * @module
 */
import {
  ConnectionLostError,
  QueueFullError,
  TaskCancelledError,
  TaskConflictError,
  TaskTimeoutError,
} from "../errors.ts";

/** The exit codes by name. */
export const EXIT = {
  ok: 0,
  taskFailed: 1,
  usage: 2,
  unreachable: 3,
  timeout: 4,
  unknownId: 5,
  cancelled: 6,
  refused: 7,
  fault: 70,
  interrupted: 130,
} as const;

/** One of the exit codes. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** What each exit code means, in the order of the help text. */
export const EXIT_MEANINGS: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [EXIT.ok, "done; a listener that was asked to stop has stopped gracefully"],
  [EXIT.taskFailed, "the task failed or cannot be read: its error is on standard error"],
  [EXIT.usage, "wrong usage: unknown command or flag, bad value, module that cannot be loaded"],
  [
    EXIT.unreachable,
    "Redis cannot be reached, refuses the login or the command, or does not answer in time",
  ],
  [EXIT.timeout, "the task was not done before its timeout"],
  [EXIT.unknownId, "no task with this id"],
  [EXIT.cancelled, "the task was cancelled"],
  [EXIT.refused, "the id belongs to a task of another name, the task to cancel had ended, or Redis is full"],
  [EXIT.fault, "unhandled rejection or uncaught exception; running tasks were given back as far as possible"],
  [EXIT.interrupted, "interrupted: a query by Ctrl-C, anything else by a second Ctrl-C"],
];

/** The table as lines for `--help`. */
export function exitCodeHelp(): string {
  return ["EXIT CODES", ...EXIT_MEANINGS.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`)].join(
    "\n",
  );
}

/** An error of ours that ends the command with a certain exit code; only its message is shown. */
export class CliError extends Error {
  override readonly name: string = "CliError";
  /** The exit code that it asks for. */
  readonly exitCode: ExitCode;

  /** Creates the error. */
  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Shorthand for a {@linkcode CliError} about wrong usage. */
export function usageError(message: string, options?: ErrorOptions): CliError {
  return new CliError(EXIT.usage, message, options);
}

/** Whether Redis' access list forbids it to its user. */
export function isNoPermission(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "NOPERM";
}

/** The exit code for an error that a command threw. What is not one of errand's own conditions is the task's failure. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof ConnectionLostError || isNoPermission(error)) return EXIT.unreachable;
  if (error instanceof TaskTimeoutError) return EXIT.timeout;
  if (error instanceof TaskCancelledError) return EXIT.cancelled;
  if (error instanceof TaskConflictError || error instanceof QueueFullError) return EXIT.refused;
  return EXIT.taskFailed;
}
