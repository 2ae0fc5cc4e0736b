/**
 * The outcome part of a record: how far a task is, then its result or its error. Opaque to the scripts.
 *
 * `<head>\n<body>`: the head is empty or a JSON object (`progress`: [current, total, updated at in epoch ms]); the
 * body is empty, a value (`serializer.ts`) or `!` and an error as JSON (`remote_error.ts`).
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

/** An outcome, taken apart. `body` is still serialized. */
export interface Outcome {
  readonly progress: Progress | null;
  readonly body: string;
}

/** Writes an outcome. */
export function encodeOutcome(outcome: Outcome): string {
  const { progress, body } = outcome;
  if (progress === null) return `\n${body}`;
  return `{"progress":[${progress.current},${progress.total},${progress.updatedAt}]}\n${body}`;
}

/** Reads an outcome; an empty text is one without progress and body. */
export function decodeOutcome(text: string): Outcome {
  const end = text.indexOf("\n");
  if (end <= 0) return { progress: null, body: text.slice(1) };
  const head = JSON.parse(text.slice(0, end)) as { progress?: [number, number, number] };
  const [current, total, updatedAt] = head.progress ?? [0, 0, 0];
  return { progress: head.progress ? { current, total, updatedAt } : null, body: text.slice(end + 1) };
}
