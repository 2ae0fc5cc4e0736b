/**
 * The limits of one call: its deadline, its caller's signal, and the task whose handler made it, in one place for
 * everything that the call does.
 *
 * @module
 */
import { type Alarm, alarmsOf } from "./alarms.ts";
import type { Clock } from "./clock.ts";
import { TaskTimeoutError } from "./errors.ts";
import { Stopper } from "./stopper.ts";

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

/**
 * Does the work within limits. When one is reached, `gone` aborts first (so that the work lets go of what it holds)
 * and the call rejects at once: with `TaskTimeoutError`, or with the reason of the caller's signal or outer attempt.
 * `told`: what the caller is told of an error of the work, if not the error itself.
 */
export function within<Result>(
  limits: Limits,
  clock: Clock,
  work: (gone: Stopper) => Promise<Result>,
  told?: (error: unknown) => unknown,
): Promise<Result> {
  const { deadline, signal, outer } = limits;
  const gone = new Stopper();
  const from = clock.monotonic();
  return new Promise<Result>((resolve, reject) => {
    const alarms = alarmsOf(clock);
    let alarm: Alarm | null = null;
    let cancels: (() => void)[] | null = null;
    const end = () => {
      if (alarm !== null) alarms.cancel(alarm);
      if (cancels !== null) { for (const cancel of cancels) cancel(); }
    };
    // The work may never settle: what a call holds of a signal that others share goes with the call.
    const leave = (reason: unknown) => {
      end();
      gone.abort(reason);
      reject(reason);
    };
    const late = () => leave(timeoutError(limits, Math.max(0, Math.round(deadline - from))));
    if (signal?.aborted) return leave(signal.reason);
    if (signal) cancels = [onAbort(signal, () => leave(signal.reason))];
    if (outer) (cancels ??= []).push(outer.onAbort(leave));
    if (!gone.aborted && deadline <= from) late();
    if (gone.aborted) return end();
    alarm = alarms.set(deadline, late);
    work(gone).then((result) => {
      end();
      resolve(result);
    }, (error) => {
      end();
      reject(told === undefined ? error : told(error));
    });
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
