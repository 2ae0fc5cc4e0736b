/**
 * Repeating a call with a growing, jittered pause, so that listeners that lost their Redis together do not come back
 * together.
 *
 * @module
 */
import { type Clock, sleep } from "./clock.ts";
import type { Random } from "./random.ts";

const PAUSE_MIN = 50;
const PAUSE_MAX = 2_000;

/** How {@linkcode repeat} goes on. */
export interface RepeatOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Once it aborts there is no further try. */
  readonly signal?: AbortSignal;
  /** Whether to try again after this error; `tries` counts the calls so far. */
  again(error: unknown, tries: number): boolean;
}

/** Milliseconds until the next try: 50 ms doubling to `max` (2 s), of which up to a random half is taken off. */
export function pauseAfter(tries: number, random: Random, max: number = PAUSE_MAX): number {
  return Math.min(max, PAUSE_MIN * 2 ** Math.min(tries - 1, 16)) * (0.5 + random.unit() / 2);
}

/** Calls until one call resolves; rejects with the last error when `again` refuses or `signal` aborts. */
export async function repeat<Value>(call: () => Promise<Value>, options: RepeatOptions): Promise<Value> {
  for (let tries = 1;; tries += 1) {
    try {
      return await call();
    } catch (error) {
      if (options.signal?.aborted || !options.again(error, tries)) throw error;
      await sleep(options.clock, pauseAfter(tries, options.random), options.signal);
      if (options.signal?.aborted) throw error;
    }
  }
}
