/**
 * The workers of a listener: which attempts hold one now, and who waits for one.
 *
 * A slot is free again when the handler settled, not when its outcome was written; the writes still under way are
 * counted apart, for the end of the listener.
 *
 * @module
 */
import type { Attempt } from "./attempt.ts";

/** A fixed number of slots. */
export class Slots {
  readonly #workers: number;
  readonly #running = new Set<Attempt>();
  readonly #writing = new Set<Promise<unknown>>();
  #wakers: (() => void)[] = [];

  /** All are free at first. */
  constructor(workers: number) {
    this.#workers = workers;
  }

  /** How many tasks may be claimed now. */
  get free(): number {
    return this.#workers - this.#running.size;
  }

  /** The attempts that hold a slot, in the order claimed. */
  get running(): readonly Attempt[] {
    return [...this.#running];
  }

  /** Gives a slot to an attempt until it has settled. */
  hold(attempt: Attempt): void {
    this.#running.add(attempt);
    this.#writing.add(attempt.written);
    void attempt.settled.then(() => {
      this.#running.delete(attempt);
      this.#wake();
    });
    void attempt.written.then(() => this.#writing.delete(attempt.written));
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
  async written(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}
