/**
 * How long a failed task waits before its next attempt. Pure: the jitter is given.
 *
 * The default waits are 1, 2, 4, 8, 16, 32, 64, 128 and 256 seconds, then five minutes each, less up to half of each by
 * jitter: tasks that failed together must not come back together (Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * Rejected: a backoff function that travels with the task. A function is code, and data never chooses code; a function
 * belongs to the queue object of the listener.
 *
 * @module
 */

import { checkCount, checkDuration, checkKeys, checkOptional, show } from "./checks.ts";

/** A backoff as data: it can travel with a task. Durations are milliseconds. */
export interface BackoffPlan {
  /** `constant`: `delay` each time. `exponential`: doubled after each attempt. @default "exponential" */
  readonly type?: "constant" | "exponential";
  /** The wait after the first attempt, in milliseconds. */
  readonly delay: number;
  /** No wait is longer, in milliseconds. @default 300_000 */
  readonly max?: number;
  /** The part of a wait that chance may take away, 0 to 1. @default 0.5; 0 for a constant one */
  readonly jitter?: number;
}

/** Decides by the attempt that failed (from 1) and its error: milliseconds until the next. */
export type BackoffFn = (attempt: number, error: Error) => number;

/**
 * How long a failed task waits for its next attempt: a constant number of milliseconds, a plan, or a function.
 *
 * @example
 * ```ts
 * import type { Backoff } from "@errand/errand";
 *
 * const steady: Backoff = 5_000;
 * const growing: Backoff = { type: "exponential", delay: 500, max: 60_000 };
 * const own: Backoff = (attempt, error) => error.name === "RateLimitError" ? 60_000 : attempt * 1_000;
 * ```
 */
export type Backoff = number | BackoffPlan | BackoffFn;

/** 1 s, 2 s, 4 s … at most 5 min, less up to half. */
export const DEFAULT_BACKOFF: BackoffPlan = { type: "exponential", delay: 1_000, max: 300_000, jitter: 0.5 };

/** The record has three digits for attempts. */
const ATTEMPTS_MAX = 999;

/** Checks how many attempts a task may have, unless that is left out. */
export function checkMaxAttempts(value: number | undefined): number | undefined {
  return checkCount("maxAttempts", value, 1, ATTEMPTS_MAX);
}

/** Checks a backoff, unless it is left out; one that travels with a task is no function. */
export function checkBackoff<Value extends Backoff>(
  backoff: Value | undefined,
  { travels }: { readonly travels: boolean },
): Value | undefined {
  if (backoff === undefined) return undefined;
  if (typeof backoff === "number") return checkDuration("backoff", backoff) as Value;
  if (typeof backoff === "function" && !travels) return backoff;
  if (typeof backoff === "object" && backoff !== null) return checkPlan(backoff as BackoffPlan) as Value;
  const way = travels
    ? "it travels with the task; give a function to the queue whose listener runs it"
    : "it may be milliseconds, { delay, type, max, jitter }, or a function";
  throw new TypeError(`Cannot use the backoff ${show(backoff)} here: ${way}`);
}

function checkPlan(plan: BackoffPlan): BackoffPlan {
  checkKeys("backoff", plan, ["type", "delay", "max", "jitter"]);
  const { type = "exponential", delay, max, jitter = 0 } = plan;
  if (type !== "constant" && type !== "exponential") {
    throw new TypeError(`Cannot use a backoff of type ${show(type)}: it is "constant" or "exponential"`);
  }
  checkDuration("the delay of backoff", delay);
  checkOptional("the max of backoff", max, {});
  if (typeof jitter === "number" && jitter >= 0 && jitter <= 1) return plan;
  throw new RangeError(`Cannot use a backoff with jitter ${show(jitter)}: it is a part of the wait, 0 to 1`);
}

/** The wait after `attempt` (from 1) failed, in whole milliseconds; `unit` in [0, 1) is the jitter's chance. */
export function backoffDelay(backoff: Exclude<Backoff, BackoffFn>, attempt: number, unit: number): number {
  const plan = typeof backoff === "number" ? { type: "constant", delay: backoff } as const : backoff;
  const { type = "exponential", delay, max = DEFAULT_BACKOFF.max!, jitter = type === "constant" ? 0 : 0.5 } = plan;
  const whole = type === "constant" ? delay : Math.min(delay * 2 ** Math.min(attempt - 1, 40), Math.max(max, delay));
  return Math.round(whole * (1 - jitter * unit));
}
