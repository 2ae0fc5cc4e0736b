/**
 * Dialling again and again, for ever, with jittered backoff: many processes that lost one Redis must not all come
 * back in the same millisecond.
 *
 * @module
 */
import { unrefTimer } from "../runtime/mod.ts";

const SHORTEST = 50;
const LONGEST = 2000;

/** Milliseconds to wait before dialling again after `attempt` failures (from 1): 50, 100, 200 … 2000, less up to half by `unit` in [0, 1). */
export function redialDelay(attempt: number, unit: number): number {
  const whole = Math.min(SHORTEST * 2 ** Math.min(attempt - 1, 10), LONGEST);
  return whole * (1 - unit / 2);
}

/** Calls `dial` until it resolves or nobody wants it any more. `background`: the waits do not keep a process alive. */
export async function redial(
  dial: () => Promise<void>,
  options: { wanted: () => boolean; background: boolean },
): Promise<void> {
  for (let attempt = 1; options.wanted(); attempt++) {
    try {
      return await dial();
    } catch {
      await pause(redialDelay(attempt, Math.random()), options.background);
    }
  }
}

function pause(delay: number, background: boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delay);
    if (background) unrefTimer(timer);
  });
}
