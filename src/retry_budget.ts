/**
 * A bound on the retries of one listener, so that an outage of something that its handlers need does not become a storm
 * of attempts: while everything fails, retries may be a fifth of the attempts beside ten a second; what is beyond that
 * waits longer, and is never dropped.
 *
 * A token bucket, as in Finagle's `RetryBudget`: each attempt earns a token, time earns fifty a second, a retry costs five,
 * and no more than ten seconds' worth can be saved.
 *
 * Rejected: failing what is beyond the budget. The tasks would be dead letters for no fault of their own.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Tokens that a retry costs; an attempt earns one. */
const PER_RETRY = 5;
/** Tokens that a second earns. */
const PER_SECOND = 10 * PER_RETRY;
/** Tokens that can be saved. */
const SAVED_MAX = 10 * PER_SECOND;

/** The budget of one listener. */
export class RetryBudget {
  readonly #clock: Clock;
  #tokens = SAVED_MAX;
  #countedAt: number;

  /** It is full at first. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#countedAt = clock.monotonic();
  }

  /** An attempt began. */
  earn(): void {
    this.#tokens = Math.min(this.#tokens + 1, SAVED_MAX);
  }

  /** Takes one retry out of the budget: false when there is none left. */
  spend(): boolean {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(this.#tokens + ((now - this.#countedAt) / 1_000) * PER_SECOND, SAVED_MAX);
    this.#countedAt = now;
    if (this.#tokens < PER_RETRY) return false;
    this.#tokens -= PER_RETRY;
    return true;
  }
}
