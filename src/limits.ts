/**
 * The limits of one call: its deadline, its caller's signal, and the task whose handler made it, in one place for
 * everything that the call does.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { TaskTimeoutError } from "./errors.ts";

/** The handler that a call was made in, as `scope.ts` knows it. */
export interface Outer {
  /** Its task. */
  readonly id: string;
  /** Calls back with the reason when its attempt is aborted, now if it has been; returns what ends that. */
  onAbort(callback: (reason: unknown) => void): () => void;
}

/** What ends a call from outside. */
export interface Limits {
  readonly id: string;
  /** On the monotonic clock; `Infinity` = none. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
  readonly outer?: Outer | undefined;
  /** The deadline is what was left of the outer task's time, not what the caller asked for. */
  readonly isOuterDeadline?: boolean;
}

/** The longest timer that is exact on every runtime. */
const TIMER_MAX = 2_000_000_000;

/**
 * Does the work within limits. When one is reached, `gone` aborts first (so that the work lets go of what it holds)
 * and the call rejects at once: with `TaskTimeoutError`, or with the reason of the caller's signal or outer attempt.
 */
export function within<Result>(
  limits: Limits,
  clock: Clock,
  work: (gone: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { deadline, signal, outer } = limits;
  const gone = new AbortController();
  const timeout = Math.max(0, Math.round(deadline - clock.monotonic()));
  return new Promise<Result>((resolve, reject) => {
    const cancels: (() => void)[] = [];
    let cancelTimer = () => {};
    const end = () => {
      cancelTimer();
      for (const cancel of cancels) cancel();
    };
    // The work may never settle: what a call holds of a signal that others share goes with the call.
    const leave = (reason: unknown) => {
      end();
      gone.abort(reason);
      reject(reason);
    };
    const watch = () => {
      const left = deadline - clock.monotonic();
      if (left <= 0) leave(timeoutError(limits, timeout));
      else cancelTimer = clock.after(Math.min(left, TIMER_MAX), watch);
    };
    if (signal?.aborted) return leave(signal.reason);
    if (signal) cancels.push(onAbort(signal, () => leave(signal.reason)));
    if (outer) cancels.push(outer.onAbort(leave));
    if (!gone.signal.aborted) watch();
    if (gone.signal.aborted) return end();
    work(gone.signal).then(resolve, reject).finally(end);
  });
}

function timeoutError({ id, outer, isOuterDeadline }: Limits, timeout: number): TaskTimeoutError {
  const whose = outer && isOuterDeadline ? `, which was all that task ${outer.id}, whose handler asked, had left` : "";
  return new TaskTimeoutError(`Cannot wait for task ${id} any longer: it was not done within ${timeout} ms${whose}`);
}

/** Calls back when a signal aborts, or now when it has. For signals of our own: the listener stays. */
export function whenAborted(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true });
}

/** Who waits for each signal: one listener a signal, however many wait, since Node takes eleven for a leak. */
const waiting = new WeakMap<AbortSignal, Waiting>();

interface Waiting {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Calls back when a signal that many share aborts, or now when it has. Returns what ends that; when nobody waits any
 * more, nothing of ours is left on the signal.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback();
    return () => {};
  }
  const { callbacks, listener } = waitingFor(signal);
  const own = () => callback();
  callbacks.add(own);
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", listener);
  };
}

function waitingFor(signal: AbortSignal): Waiting {
  const known = waiting.get(signal);
  if (known !== undefined) return known;
  const callbacks = new Set<() => void>();
  const listener = () => {
    waiting.delete(signal);
    for (const callback of callbacks) callback();
  };
  const made: Waiting = { callbacks, listener };
  waiting.set(signal, made);
  signal.addEventListener("abort", listener, { once: true });
  return made;
}
