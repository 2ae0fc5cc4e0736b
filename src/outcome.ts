/**
 * The outcome part of a record: how far a task is, then its result or its error. Opaque to the scripts.
 *
 * `<head>\n<body>`: the head is empty or a JSON object (`progress`: [current, total, updated at in epoch ms];
 * `attempts`: those that failed, each [attempt, ended at in epoch ms, name and message of its error]); the body is empty,
 * a value (`serializer.ts`) or `!` and an error as JSON (`remote_error.ts`).
 *
 * @module
 */

/** How far a task is. */
export interface Progress {
  /** Steps done. */
  readonly current: number;
  /** Steps in all. */
  readonly total: number;
  /** Epoch milliseconds of the listener's clock. */
  readonly updatedAt: number;
}

/** An attempt that failed. A number that is missing among those of a task is an attempt whose lease was lost. */
export interface FailedAttempt {
  /** From 1. */
  readonly attempt: number;
  /** Epoch milliseconds of its listener's clock. */
  readonly endedAt: number;
  /** The name of its error. */
  readonly name: string;
  /** The message of its error, at most 200 characters. */
  readonly message: string;
}

/** An outcome, taken apart. `body` is still serialized. */
export interface Outcome {
  readonly progress: Progress | null;
  /** Oldest first. */
  readonly attempts: readonly FailedAttempt[];
  readonly body: string;
}

/** Characters kept of a failed attempt's message. */
const MESSAGE_MAX = 200;
/** Failed attempts kept after the first: what a task did last matters more than what it did in between. */
const LAST_ATTEMPTS = 9;
const NONE: readonly FailedAttempt[] = [];

/** The attempts so far and one more. Only the first and the last nine are kept. */
export function withAttempt(
  attempts: readonly FailedAttempt[],
  failed: { readonly attempt: number; readonly endedAt: number; readonly error: Error },
): readonly FailedAttempt[] {
  const { attempt, endedAt, error } = failed;
  const [name, message] = [String(error.name), String(error.message)].map((text) => text.slice(0, MESSAGE_MAX));
  const all = [...attempts, { attempt, endedAt, name: name!, message: message! }];
  return all.length <= LAST_ATTEMPTS + 1 ? all : [all[0]!, ...all.slice(-LAST_ATTEMPTS)];
}

/** Writes an outcome. */
export function encodeOutcome(outcome: Omit<Outcome, "attempts"> & Partial<Pick<Outcome, "attempts">>): string {
  const { progress, attempts = NONE, body } = outcome;
  if (progress === null && attempts.length === 0) return `\n${body}`;
  const head = {
    ...(progress ? { progress: [progress.current, progress.total, progress.updatedAt] } : {}),
    ...(attempts.length > 0
      ? { attempts: attempts.map(({ attempt, endedAt, name, message }) => [attempt, endedAt, name, message]) }
      : {}),
  };
  return `${JSON.stringify(head)}\n${body}`;
}

/** Reads an outcome; an empty text is one without progress and body. Throws on a head that is no JSON object. */
export function decodeOutcome(text: string): Outcome {
  const end = text.indexOf("\n");
  if (end <= 0) return { progress: null, attempts: NONE, body: text.slice(1) };
  const head = JSON.parse(text.slice(0, end)) as {
    readonly progress?: [number, number, number];
    readonly attempts?: readonly [number, number, string, string][];
  };
  const [current, total, updatedAt] = head.progress ?? [0, 0, 0];
  const attempts = head.attempts?.map(([attempt, endedAt, name, message]) => ({ attempt, endedAt, name, message }));
  return {
    progress: head.progress ? { current, total, updatedAt } : null,
    attempts: attempts ?? NONE,
    body: text.slice(end + 1),
  };
}
