/**
 * Waiting with an end: for a promise, but no longer than a signal or a time allows.
 *
 * What is no longer waited for may still settle; a rejection is then ignored.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Settles as `promise` does, or resolves with undefined as soon as `signal` aborts. */
export function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Resolves when `promise` has settled, either way, or after `limit` milliseconds: true when it was in time. */
export function settledWithin(promise: Promise<unknown>, limit: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(limit, () => resolve(false));
    const done = () => {
      cancel();
      resolve(true);
    };
    promise.then(done, done);
  });
}
