/**
 * What errand has to say beside results and errors: one function that the user may replace.
 *
 * @module
 */

/** One thing that happened. */
export interface LogEntry {
  /** `info`: as it should be; `warn`: errand deals with it; `error`: somebody should look. */
  readonly level: "info" | "warn" | "error";
  /** A sentence. */
  readonly message: string;
  /** The task it is about. */
  readonly id?: string;
  /** The name of that task. */
  readonly taskName?: string;
  /** The cause. */
  readonly error?: unknown;
}

/** Takes log entries. One that throws is ignored: a broken log harms no task. */
export type Log = (entry: LogEntry) => void;

/** The default log: warnings and errors go to the console, `info` is dropped. */
export function consoleLog(entry: LogEntry): void {
  if (entry.level === "info") return;
  const cause = entry.error === undefined ? [] : [entry.error];
  console[entry.level](`errand: ${entry.message}`, ...cause);
}

/** The same log, of which no call throws or leaves a rejected promise behind. */
export function safeLog(log: Log): Log {
  return (entry) => {
    try {
      const answer: unknown = log(entry);
      if (answer instanceof Promise) answer.catch(() => {});
    } catch {
      // A log that fails has nowhere to be reported.
    }
  };
}
