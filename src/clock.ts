/**
 * Time as errand sees it, passed in everywhere so that a whole system can run under virtual time.
 *
 * Two clocks, as in Sidekiq's `component.rb`: `now` for what is stored or shown, `monotonic` for what is measured.
 *
 * @module
 */
import { nextTurn, unrefTimer } from "./runtime/mod.ts";

/** The source of time and timers. */
export interface Clock {
  /** Epoch milliseconds: for what is stored or shown. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start that never jump: for measuring. */
  monotonic(): number;
  /** Calls back once after `delay` milliseconds, and returns what cancels that. `background`: does not keep a process alive. */
  after(delay: number, callback: () => void, options?: { background?: boolean }): () => void;
  /** Calls back after the present turn of the event loop. */
  nextTurn(callback: () => void): void;
}

/** Longer timers overflow to 1 ms on every runtime (a 32-bit signed count), so they are cut and re-armed by their users. */
const TIMER_MAX = 2_147_483_647;

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delay, callback, options) {
    const timer = setTimeout(callback, Math.min(Math.max(delay, 0), TIMER_MAX));
    if (options?.background) unrefTimer(timer);
    return () => clearTimeout(timer);
  },
  nextTurn,
};

/** Resolves after `delay` milliseconds, or as soon as `signal` aborts (it never rejects: the caller looks at the signal). */
export function sleep(clock: Clock, delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delay, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}
