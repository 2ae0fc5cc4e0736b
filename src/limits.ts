/**
 * The limits of one call: its deadline and its caller's signal, in one place for everything that the call does.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { TaskTimeoutError } from "./errors.ts";

/** What ends a call from outside. */
export interface Limits {
  readonly id: string;
  /** On the monotonic clock; `Infinity` = none. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

/** The longest timer that is exact on every runtime. */
const TIMER_MAX = 2_000_000_000;

/**
 * Does the work within limits. When one is reached, `gone` aborts first (so that the work lets go of what it holds)
 * and the call rejects at once: with `TaskTimeoutError`, or with the reason of the caller's signal.
 */
export function within<Result>(
  limits: Limits,
  clock: Clock,
  work: (gone: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { id, deadline, signal } = limits;
  const gone = new AbortController();
  const timeout = Math.max(0, Math.round(deadline - clock.monotonic()));
  return new Promise<Result>((resolve, reject) => {
    let cancel = () => {};
    // The work may never settle: what a call holds of a signal that others share goes with the call.
    const leave = (reason: unknown) => {
      end();
      gone.abort(reason);
      reject(reason);
    };
    const abort = () => leave(signal?.reason);
    const watch = () => {
      const left = deadline - clock.monotonic();
      if (left <= 0) {
        leave(new TaskTimeoutError(`Cannot wait for task ${id} any longer: it was not done within ${timeout} ms`));
      } else cancel = clock.after(Math.min(left, TIMER_MAX), watch);
    };
    const end = () => {
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort, { once: true });
    watch();
    if (gone.signal.aborted) return;
    work(gone.signal).then(resolve, reject).finally(end);
  });
}

/** Calls back when a signal aborts, or now when it has. */
export function whenAborted(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true });
}
