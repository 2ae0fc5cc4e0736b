/**
 * The workers of a listener: which attempts hold one now, and who waits for one.
 *
 * A slot is free again when the handler settled, not when its outcome was written; the writes still under way are
 * counted apart, for the end of the listener.
 *
 * @module
 */
import type { Attempt, AttemptWatcher } from "./attempt.ts";

/** A fixed number of slots. */
export class Slots implements AttemptWatcher {
  /** How many there are. */
  readonly workers: number;
  readonly #running = new Set<Attempt>();
  readonly #writing = new Set<Attempt>();
  #wakers: (() => void)[] = [];

  /** All are free at first. */
  constructor(workers: number) {
    this.workers = workers;
  }

  /** How many tasks may be claimed now. */
  get free(): number {
    return this.workers - this.#running.size;
  }

  /** The attempts that hold a slot, in the order claimed. */
  get running(): readonly Attempt[] {
    return [...this.#running];
  }

  /** Gives a slot to an attempt that has these slots as its watcher, before it starts. */
  hold(attempt: Attempt): void {
    this.#running.add(attempt);
    this.#writing.add(attempt);
  }

  /** The attempt needs its slot no longer. */
  settled(attempt: Attempt): void {
    this.#running.delete(attempt);
    this.#wake();
  }

  /** The attempt is over. */
  written(attempt: Attempt): void {
    this.#writing.delete(attempt);
  }

  /** Resolves when the next slot becomes free. */
  freed(): Promise<void> {
    return new Promise((resolve) => this.#wakers.push(resolve));
  }

  /** Resolves when no attempt holds a slot. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await this.freed();
  }

  /** Resolves when the outcomes of all attempts so far are written, or given up. */
  async allWritten(): Promise<void> {
    await Promise.all([...this.#writing].map((attempt) => attempt.written));
  }

  #wake(): void {
    if (this.#wakers.length === 0) return;
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
