/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */
import type { Clock } from "../../src/clock.ts";
import { nextTurn } from "../../src/runtime/mod.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/**
 * Virtual time. Timers fire only in {@linkcode FakeClock.advance}, in the order of their instants; `nextTurn` is a
 * real turn of the event loop, since what happens at one instant may take several.
 */
export class FakeClock implements Clock {
  #now: number;
  readonly #start: number;
  readonly #timers = new Set<Timer>();

  /** Begins at `start` (epoch milliseconds). */
  constructor(start: number = 1_750_000_000_000) {
    this.#now = start;
    this.#start = start;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.#start;
  }

  after(delay: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(delay, 0), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  nextTurn(callback: () => void): void {
    nextTurn(callback);
  }

  /** How many timers are pending. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms`, firing what comes due on the way; whatever follows from a timer runs before the next one. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turn();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await turn();
    }
    this.#now = end;
    await turn();
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (timer.at <= end && (!first || timer.at < first.at)) first = timer;
    return first;
  }
}

/** Two turns of the event loop: one for what is ready, one for what it asked `nextTurn` for. */
async function turn(): Promise<void> {
  for (let turns = 0; turns < 2; turns++) await new Promise<void>((resolve) => nextTurn(resolve));
}
