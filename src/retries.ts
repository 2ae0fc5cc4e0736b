/**
 * Decides, for whoever runs tasks, whether a failed attempt is followed by another one, and when.
 *
 * 1. A task has `maxAttempts`, in its header; lost leases count as attempts, because the header counts starts.
 * 2. `FatalTaskError`, and what no other attempt could do better (params that cannot be read, a missing handler), ends it.
 * 3. The wait is by the backoff that the task brought, else the queue's, else the default (`retry.ts`).
 * 4. Beyond the budget (`retry_budget.ts`) the wait is half a minute to a whole one at least; said once per outage.
 *
 * Whether there is time for it before the deadline is Redis' to say: `fail` then ends the task with this error.
 *
 * Previous: `attempt.ts`. Next: `retry.ts`, `retry_budget.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { FatalTaskError, SerializationError } from "./errors.ts";
import { type Log, safeLog } from "./log.ts";
import { type Random, systemRandom } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { type Backoff, backoffDelay, checkBackoff, DEFAULT_BACKOFF } from "./retry.ts";
import { RetryBudget } from "./retry_budget.ts";
import { foreignMaxAttempts } from "./store/foreign.ts";

/** A retry beyond the budget waits at least half of this, in milliseconds. */
const OVER_BUDGET = 60_000;

/** What {@linkcode Retries} need. */
export interface RetriesOptions {
  /** For tasks that brought none. @default the default backoff */
  readonly backoff?: Backoff | undefined;
  readonly clock: Clock;
  readonly random?: Random;
  readonly log: Log;
}

/** The retries of one owner. */
export class Retries {
  readonly #backoff: Backoff;
  readonly #random: Random;
  readonly #log: Log;
  readonly #budget: RetryBudget;
  #overBudget = false;

  /** With a full budget. */
  constructor({ backoff = DEFAULT_BACKOFF, clock, random = systemRandom, log }: RetriesOptions) {
    this.#backoff = backoff;
    this.#random = random;
    this.#log = safeLog(log);
    this.#budget = new RetryBudget(clock);
  }

  /** An attempt began. */
  began(): void {
    this.#budget.earn();
  }

  /** Milliseconds until the next attempt of a task that failed; undefined when there is none. */
  next(record: TaskRecord, error: Error): number | undefined {
    const { attempt, maxAttempts, kind, params } = record;
    const most = kind === "foreign" ? foreignMaxAttempts(params) : maxAttempts;
    if (attempt >= most || isFatal(error)) return undefined;
    const wait = this.#wait(record, error);
    if (this.#budget.spend()) {
      this.#overBudget = false;
      return wait;
    }
    this.#tellOverBudget(record);
    return Math.max(wait, OVER_BUDGET * (1 - this.#random.unit() / 2));
  }

  #wait(record: TaskRecord, error: Error): number {
    const { attempt } = record;
    const backoff = backoffOf(record.options) ?? this.#backoff;
    const unit = this.#random.unit();
    if (typeof backoff !== "function") return backoffDelay(backoff, attempt, unit);
    try {
      const wait = backoff(attempt, error);
      if (wait >= 0 && Number.isFinite(wait)) return wait;
      throw new RangeError(`the backoff function gave ${String(wait)}; it must give milliseconds`);
    } catch (cause) {
      const { id, name: taskName } = record;
      const message = `Cannot use the backoff function for task ${id}: the default backoff is used`;
      this.#log({ level: "error", message, id, taskName, error: cause });
      return backoffDelay(DEFAULT_BACKOFF, attempt, unit);
    }
  }

  #tellOverBudget({ name: taskName }: TaskRecord): void {
    if (this.#overBudget) return;
    this.#overBudget = true;
    const message = "More tasks fail than are retried at once: their next attempts wait half a minute and more";
    this.#log({ level: "warn", message, taskName });
  }
}

/** What cannot be serialized today cannot be tomorrow. */
function isFatal(error: Error): boolean {
  return error instanceof FatalTaskError || error instanceof SerializationError;
}

/** What the options of a record say of its backoff. Anybody can write to Redis: what makes no sense counts as absent. */
function backoffOf(options: string): Exclude<Backoff, (...args: never[]) => number> | undefined {
  if (options === "") return undefined;
  try {
    const { backoff } = JSON.parse(options) as { backoff?: number };
    return checkBackoff(backoff, { travels: true });
  } catch {
    return undefined;
  }
}

/** The options of a record for a backoff that travels with it; empty when there is none. */
export function optionsWith(backoff: Backoff | undefined): string {
  return backoff === undefined || typeof backoff === "function" ? "" : JSON.stringify({ backoff });
}
