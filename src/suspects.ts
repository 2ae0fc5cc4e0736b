/**
 * Tasks whose leases were lost twice already: one of them may be what kills its listeners, or hangs them.
 *
 * When a process dies, all that ran in it is lost with the culprit, comes back with it, and would be claimed together
 * again, until the innocent have failed as well. So of such tasks a process runs one at a time; the others are given back
 * before that one starts, uncounted, and wait a little. The culprit then dies alone.
 *
 * Rejected: letting them come back at different times. They meet again at the next listener that comes up late, and tasks
 * of different names know nothing of each other.
 *
 * Previous: `claim_loop.ts`. Next: `give_back.ts`.
 *
 * @module
 */
import { type Random, systemRandom } from "./random.ts";
import type { TaskRecord } from "./record.ts";

/** Leases lost by then; the first loss is most often nobody's fault. */
const SUSPECT_FROM = 2;
/** Milliseconds that the others wait, less up to half. */
const WAIT = 1_000;

/** The suspects of one listener. */
export class Suspects {
  readonly #random: Random;
  #isRunning = false;

  /** None runs yet. */
  constructor(random: Random = systemRandom) {
    this.#random = random;
  }

  /** For how long those wait that are not started, in milliseconds. */
  get delay(): number {
    return Math.ceil(WAIT * (1 - this.#random.unit() / 2));
  }

  /** What of the claimed tasks to start now, and what later. */
  split(tasks: readonly TaskRecord[]): { readonly now: readonly TaskRecord[]; readonly later: readonly TaskRecord[] } {
    if (!tasks.some(isSuspect)) return { now: tasks, later: [] };
    const first = this.#isRunning ? undefined : tasks.find(isSuspect);
    const isLater = (task: TaskRecord) => isSuspect(task) && task !== first;
    return { now: tasks.filter((task) => !isLater(task)), later: tasks.filter(isLater) };
  }

  /** A task has started; `attempt.settled` when its handler is done. */
  started(task: TaskRecord, attempt: { readonly settled: Promise<unknown> }): void {
    if (!isSuspect(task)) return;
    this.#isRunning = true;
    void attempt.settled.then(() => this.#isRunning = false);
  }
}

function isSuspect({ crashes }: TaskRecord): boolean {
  return crashes >= SUSPECT_FROM;
}
