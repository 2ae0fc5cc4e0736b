/**
 * The leases of all tasks that one owner runs now: a listener, or a client that runs a task itself.
 *
 * 1. `add` when a claim brought a task, counted from before the claim was sent, so that we never think a lease longer
 *    than Redis does.
 * 2. Every third of the lease all are renewed in one call. Its answers tell what was lost and what shall be cancelled;
 *    a cancel message only hastens the call, because by the time it arrives the id may be another run.
 * 3. A lease that ran out by the monotonic clock is lost, whether or not Redis could be asked. Only when the timer
 *    itself came late by more than a third of the lease (the machine slept) is Redis asked first: nobody else may have
 *    been awake to take the task.
 * 4. `remove` when the outcome was written; without tasks there is no timer.
 *
 * Rejected: a timer and a call per task (as many as 128 of both where one does).
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { ConnectionLostError, LeaseLostError, TaskCancelledError } from "./errors.ts";
import type { Stopper } from "./stopper.ts";
import type { OwnerAnswer, Ownership, RenewRequest, Store } from "./store/store.ts";

/** What {@linkcode Leases} needs. */
export interface LeasesOptions {
  readonly store: Store;
  /** Listener or client id. */
  readonly owner: string;
  /** Milliseconds of a lease. */
  readonly lease: number;
  readonly clock: Clock;
  /** The presence to refresh with the next renewal, or undefined when it is fresh. */
  readonly presence?: () => RenewRequest["presence"];
  /** Renew at least this often, in milliseconds, whatever the lease: for presence that ends sooner than leases do. */
  readonly every?: number;
}

interface Entry {
  readonly ownership: Ownership;
  readonly stopper: Stopper;
  /** Monotonic, and epoch, milliseconds of the last call that is known to have set the lease. */
  from: number;
  fromWall: number;
  /** Monotonic milliseconds at which we give it up. */
  until: number;
}

/** All leases of one owner. */
export class Leases {
  readonly #options: LeasesOptions;
  /** By the very object that `add` was given: one ownership is one attempt. */
  readonly #entries = new Map<Ownership, Entry>();
  readonly #period: number;
  #since = { from: NaN, wall: NaN };
  #renewing: Promise<void> | null = null;
  #renewedAt = -Infinity;
  #renewAgain = false;
  #renewAt = Infinity;
  #due = Infinity;
  #cancelTimer: (() => void) | null = null;

  /** Holds nothing until a task is added. */
  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#period = Math.min(options.lease / 3, options.every ?? Infinity);
  }

  /** How many tasks are owned now. */
  get size(): number {
    return this.#entries.size;
  }

  /** When the last renewal that was answered had been sent, in monotonic milliseconds. */
  get renewedAt(): number {
    return this.#renewedAt;
  }

  /** Keeps the lease of a task; `from` is monotonic milliseconds before the call that gave it was sent. */
  add(ownership: Ownership, stopper: Stopper, from: number): void {
    const { clock, lease } = this.#options;
    // All tasks of a claim have the same.
    if (this.#since.from !== from) this.#since = { from, wall: clock.now() - (clock.monotonic() - from) };
    this.#entries.set(ownership, { ownership, stopper, from, fromWall: this.#since.wall, until: from + lease });
    const renewAt = from + this.#period;
    if (renewAt >= this.#renewAt) return;
    this.#renewAt = renewAt;
    this.#arm();
  }

  /** Keeps it no longer. */
  remove(ownership: Ownership): void {
    this.#entries.delete(ownership);
    if (this.#entries.size === 0) this.#disarm();
  }

  /** Cancel was asked for these ids: asks Redis whether it means what we run, if we run any of them. */
  cancelled(ids: readonly string[]): void {
    const asked = new Set(ids);
    for (const { ownership } of this.#entries.values()) {
      if (asked.has(ownership.id)) return void this.renewNow();
    }
  }

  /** Renews all at once, for example after messages may have been missed. Resolves when answered or failed; never rejects. */
  renewNow(): Promise<void> {
    if (this.#renewing !== null) this.#renewAgain = true;
    else if (this.#entries.size > 0) this.#renewing = this.#renew().then(() => this.#renewed());
    return this.#renewing ?? Promise.resolve();
  }

  /**
   * What to wait for before anything is reported about this task: nothing in the usual case; a renewal when the last
   * one is so old that the machine must have slept.
   */
  fresh(ownership: Ownership): Promise<void> | undefined {
    const { clock, lease } = this.#options;
    const entry = this.#entries.get(ownership);
    if (entry === undefined) return undefined;
    const age = Math.max(clock.monotonic() - entry.from, clock.now() - entry.fromWall);
    return age > (lease * 2) / 3 ? this.renewNow() : undefined;
  }

  /** Forgets everything; nothing is released and no signal aborts. */
  close(): void {
    this.#entries.clear();
    this.#disarm();
  }

  async #renew(): Promise<void> {
    const { store, owner, lease, clock, presence } = this.#options;
    const entries = [...this.#entries.values()];
    const sentAt = clock.monotonic();
    const sentWall = clock.now();
    try {
      const refresh = presence?.();
      const request = { owner, lease, tasks: entries.map((entry) => entry.ownership) };
      const answers = await (refresh ? this.#renewWith(request, refresh) : store.renew(request));
      this.#renewedAt = sentAt;
      entries.forEach((entry, at) => this.#learn(entry, answers[at], sentAt, sentWall));
      this.#renewAt = sentAt + this.#period;
    } catch {
      // Redis is away: the timer tries again and gives each task up when its lease has run out.
      this.#renewAt = clock.monotonic() + this.#period / 3;
    }
  }

  /** Presence that Redis refuses (one of its keys has another type, say) costs no lease. */
  async #renewWith(request: RenewRequest, presence: RenewRequest["presence"]): Promise<readonly OwnerAnswer[]> {
    const { store } = this.#options;
    try {
      return await store.renew({ ...request, presence });
    } catch (error) {
      if (error instanceof ConnectionLostError) throw error;
      return await store.renew(request);
    }
  }

  #renewed(): void {
    this.#renewing = null;
    if (this.#renewAgain) this.#renewAt = this.#options.clock.monotonic();
    this.#renewAgain = false;
    this.#arm();
  }

  #learn(entry: Entry, answer: OwnerAnswer | undefined, sentAt: number, sentWall: number): void {
    if (answer?.verdict !== "accepted") return this.#lose(entry, answer?.verdict ?? "lost");
    entry.from = sentAt;
    entry.fromWall = sentWall;
    entry.until = Math.max(entry.until, sentAt + this.#options.lease);
    if (!answer.cancelAsked) return;
    entry.stopper.abort(new TaskCancelledError(`Cannot finish task ${entry.ownership.id}: it was cancelled`));
  }

  #lose(entry: Entry, verdict: "kept" | "lost" | "gone" | "over"): void {
    this.remove(entry.ownership);
    const reason = {
      kept: "it has ended already",
      lost: "its lease is lost",
      gone: "its record is gone",
      over: "its lease ran out before it could be renewed",
    }[verdict];
    entry.stopper.abort(new LeaseLostError(`Cannot finish task ${entry.ownership.id}: ${reason}`));
  }

  #tick(): void {
    const { clock, lease } = this.#options;
    this.#cancelTimer = null;
    const now = clock.monotonic();
    const slept = now - this.#due > lease / 3;
    for (const entry of [...this.#entries.values()]) {
      if (slept) entry.until = Math.max(entry.until, now + lease / 3);
      else if (entry.until <= now) this.#lose(entry, "over");
    }
    if ((slept || now >= this.#renewAt) && this.#renewing === null) void this.renewNow();
    this.#arm();
  }

  /** One timer: for the next renewal, or for the first lease to run out while Redis does not answer. */
  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#entries.size === 0) return this.#disarm();
    let due = this.#renewing === null ? this.#renewAt : Infinity;
    for (const entry of this.#entries.values()) due = Math.min(due, entry.until);
    this.#due = due;
    const { clock } = this.#options;
    this.#cancelTimer = clock.after(Math.max(0, Math.ceil(due - clock.monotonic())), () => this.#tick());
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#renewAt = Infinity;
  }
}
