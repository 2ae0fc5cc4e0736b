/**
 * Tasks whose leases were lost twice already: one of them may be what kills its listeners, or hangs them.
 *
 * When a process dies, all that ran in it is lost with the culprit, comes back with it, and would be claimed together
 * again, until the innocent have failed as well. So of such tasks a process starts one at a time; the others are given
 * back before that one starts, uncounted, and wait a little. The culprit then dies alone.
 *
 * A Redis that was away for longer than a lease, twice, makes suspects of all that ran. So when one has run for a while
 * and the process lives, the next may start beside it; only a task that has no other chance runs without another.
 *
 * Rejected: letting them come back at different times. They meet again at the next listener that comes up late, and tasks
 * of different names know nothing of each other.
 *
 * Previous: `claim_loop.ts`. Next: `give_back.ts`.
 *
 * @module
 */
import { type Clock, systemClock } from "./clock.ts";
import { type Random, systemRandom } from "./random.ts";
import type { TaskRecord } from "./record.ts";

/** Leases lost by then; the first loss is most often nobody's fault. */
const SUSPECT_FROM = 2;
/** With so many its next loss is its end (`CRASHES_MAX` in `store/redis/script.ts`). */
const LAST_CHANCE_FROM = 3;
/** Milliseconds that the others wait, less up to half; and that a suspect runs before the next one starts beside it. */
const WAIT = 1_000;

/** Claimed tasks, by when they start. */
export interface SplitTasks {
  /** No suspects: at once. */
  readonly now: readonly TaskRecord[];
  /** A suspect that starts when the others are given back, or none. */
  readonly suspect: readonly TaskRecord[];
  /** To be given back. */
  readonly later: readonly TaskRecord[];
}

/** The suspects of one listener. */
export class Suspects {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #running = new Set<TaskRecord>();
  #startedAt = 0;

  /** None runs yet. */
  constructor(
    { clock = systemClock, random = systemRandom }: { readonly clock?: Clock; readonly random?: Random } = {},
  ) {
    this.#clock = clock;
    this.#random = random;
  }

  /** For how long those wait that are not started, in milliseconds. */
  get delay(): number {
    return Math.ceil(WAIT * (1 - this.#random.unit() / 2));
  }

  /** What of the claimed tasks to start, and what to give back. */
  split(tasks: readonly TaskRecord[]): SplitTasks {
    if (!tasks.some(isSuspect)) return { now: tasks, suspect: [], later: [] };
    const first = tasks.find((task) => isSuspect(task) && this.#mayStart(task));
    return {
      now: tasks.filter((task) => !isSuspect(task)),
      suspect: first === undefined ? [] : [first],
      later: tasks.filter((task) => isSuspect(task) && task !== first),
    };
  }

  /** A task has started; `attempt.settled` when its handler is done. */
  started(task: TaskRecord, attempt: { readonly settled: Promise<unknown> }): void {
    if (!isSuspect(task)) return;
    this.#running.add(task);
    this.#startedAt = this.#clock.monotonic();
    void attempt.settled.then(() => this.#running.delete(task));
  }

  #mayStart(task: TaskRecord): boolean {
    if (this.#running.size === 0) return true;
    if (hasLastChance(task) || [...this.#running].some(hasLastChance)) return false;
    return this.#clock.monotonic() - this.#startedAt >= WAIT;
  }
}

function isSuspect({ crashes }: TaskRecord): boolean {
  return crashes >= SUSPECT_FROM;
}

function hasLastChance({ crashes }: TaskRecord): boolean {
  return crashes >= LAST_CHANCE_FROM;
}
