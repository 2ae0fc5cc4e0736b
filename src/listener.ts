/**
 * A listener: takes the tasks of its names and runs them with so many workers, until it is told to stop.
 *
 * 1. `run` starts the claim loop and, beside it, the subscription to cancel messages (a help only: renewals tell as
 *    well, so nothing waits for it).
 * 2. Each claimed task becomes an attempt in a slot; `leases.ts` keeps what runs.
 * 3. On abort: no more claims; running tasks have `grace` to end; then their signals abort with
 *    `ListenerStoppedError` and they are given back to the head of their queues, presence is removed, and `run`
 *    resolves. With Redis away that takes at most `grace` and {@linkcode STOP_BOUND}: leases do the rest.
 *
 * Rejected: one listener object for many runs. Its id is the owner of its tasks, and a second run would inherit them.
 *
 * Previous: `queue.ts`. Next: `claim_loop.ts`, `slots.ts`, `attempt.ts`, `leases.ts`.
 *
 * @module
 */
import { Attempt } from "./attempt.ts";
import type { AttemptContext } from "./attempt_context.ts";
import { ClaimLoop } from "./claim_loop.ts";
import { ListenerStoppedError } from "./errors.ts";
import { consumes } from "./health.ts";
import { whenAborted } from "./limits.ts";
import { tellReleased } from "./events.ts";
import { Leases } from "./leases.ts";
import { type Log, safeLog } from "./log.ts";
import { NameRota } from "./name_rota.ts";
import type { Subscription } from "./port/redis.ts";
import type { Random } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { repeat } from "./repeat.ts";
import { Retries } from "./retries.ts";
import type { Backoff } from "./retry.ts";
import { Slots } from "./slots.ts";
import type { Ownership } from "./store/store.ts";
import { Unreadable } from "./unreadable.ts";
import { settledWithin, untilAborted } from "./until.ts";

/** Names one listener may have (protocol rule 7). */
export const NAMES_MAX = 256;
/** Milliseconds after the grace in which the last writes must be answered. */
export const STOP_BOUND = 2_000;

/** What a {@linkcode Listener} needs; durations in milliseconds. */
export interface ListenerContext
  extends Omit<AttemptContext, "owner" | "leases" | "unreadable" | "retries" | "hold" | "closed" | "random"> {
  /** 1 to 256 names. */
  readonly names: readonly string[];
  /** Tasks run at a time. */
  readonly workers: number;
  /** An idle listener looks at its queues at least this often; its presence lasts three of them. */
  readonly interval: number;
  /** How long a claimed task is ours without a renewal. */
  readonly lease: number;
  /** How long running tasks may go on after the stop. */
  readonly grace: number;
  /** Ends the grace at once. */
  readonly hurry?: AbortSignal;
  readonly random: Random;
  /** For failed tasks that brought none. @default the default backoff */
  readonly backoff?: Backoff | undefined;
}

/** One listener; `run` once. */
export class Listener {
  /** Owner of what it runs. */
  readonly id: string;
  readonly #context: ListenerContext;
  readonly #log: Log;
  readonly #rota: NameRota;
  readonly #slots: Slots;
  readonly #leases: Leases;
  readonly #loop: ClaimLoop;
  readonly #attempts: AttemptContext;
  /** Aborts when nothing more shall be repeated. */
  readonly #closed = new AbortController();
  #control: Subscription | null = null;
  #presentAt = -Infinity;
  #ran = false;
  #stops = false;

  /** Throws `RangeError` for no name, more than 256, or a number of workers that is not a positive integer. */
  constructor(context: ListenerContext) {
    const { names, workers, random, store, lease, interval, clock } = context;
    this.#rota = new NameRota(names, interval);
    refuseCounts(this.#rota.names.length, workers);
    this.id = random.id();
    this.#context = context;
    this.#log = safeLog(context.log);
    this.#slots = new Slots(workers);
    const presence = () => this.#presence();
    this.#leases = new Leases({ store, owner: this.id, lease, clock, presence, every: interval });
    this.#loop = new ClaimLoop({
      store,
      listener: this.id,
      slots: this.#slots,
      rota: this.#rota,
      lease,
      interval,
      clock,
      random,
      log: this.#log,
      presence,
      start: (record, from, claimedAt) => this.#start(record, from, claimedAt),
    });
    this.#attempts = {
      ...context,
      owner: this.id,
      leases: this.#leases,
      unreadable: new Unreadable({ log: this.#log, interval, random }),
      retries: new Retries({ backoff: context.backoff, clock, random, log: this.#log }),
      hold: (outcome) => this.#loop.hold(outcome),
      closed: this.#closed.signal,
    };
  }

  /**
   * Listens until `signal` aborts. Resolves when all is written, released and closed. A Redis that is away is waited
   * for, for ever; nothing that a task does makes this reject.
   */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#ran) throw new TypeError(`Cannot run listener ${this.id} twice: make another one`);
    this.#ran = true;
    if (signal.aborted) return;
    whenAborted(signal, () => this.#stops = true);
    void this.#openControl(signal);
    const loop = this.#loop.run(signal, this.#closed.signal);
    try {
      await untilAborted(loop, signal);
      await this.#stop(loop);
    } finally {
      this.#closed.abort();
      this.#leases.close();
      this.#control?.close();
      this.#loop.close();
    }
  }

  /**
   * Does it consume? Proved on its own path within `limit` milliseconds (`health.ts`); false before it runs, once it is
   * to stop, and while Redis cannot be reached. Never rejects.
   */
  async health(limit: number): Promise<boolean> {
    if (!this.#ran || this.#stops) return false;
    const { store, clock } = this.#context;
    const parts = { slots: this.#slots, leases: this.#leases, loop: this.#loop };
    return await consumes({ store, clock, listener: this.id, ...parts }, limit) && !this.#stops;
  }

  async #stop(loop: Promise<void>): Promise<void> {
    const { grace, clock, hurry = new AbortController().signal } = this.#context;
    await settledWithin(untilAborted(Promise.all([loop, this.#slots.idle()]), hurry), grace, clock);
    const left = this.#slots.running;
    for (const { stopper, ownership } of left) {
      const reason = `Cannot finish task ${ownership.id} here: the listener stops`;
      stopper.abort(new ListenerStoppedError(reason));
    }
    await settledWithin(this.#finish(loop, left.map((attempt) => attempt.ownership)), STOP_BOUND, clock);
  }

  /** What Redis should still hear of us. */
  async #finish(loop: Promise<void>, left: readonly Ownership[]): Promise<void> {
    const { store, events } = this.#context;
    const release = async () => tellReleased(events, left, await store.release(left));
    const releasing = left.length > 0 ? release() : Promise.resolve();
    const results = await Promise.allSettled([releasing, loop, this.#slots.allWritten()]);
    results.push(...await Promise.allSettled([store.leave(this.id, this.#rota.names)]));
    for (const result of results) {
      if (result.status === "fulfilled") continue;
      this.#log({ level: "warn", message: `Listener ${this.id} could not say good-bye`, error: result.reason });
    }
  }

  #start(record: TaskRecord, from: number, claimedAt: number): Attempt {
    const attempt = new Attempt(record, this.#attempts, this.#slots);
    this.#slots.hold(attempt);
    attempt.start({ from, claimedAt });
    return attempt;
  }

  /** Presence lasts three intervals and is refreshed once in each, with whatever call comes first. */
  #presence(): { names: readonly string[]; duration: number } | undefined {
    const { clock, interval } = this.#context;
    const now = clock.monotonic();
    if (now - this.#presentAt < interval * 0.9) return undefined;
    this.#presentAt = now;
    return { names: this.#rota.active, duration: interval * 3 };
  }

  /** Subscribes to cancel messages, in the background. What may have been missed until then, the renewal tells. */
  async #openControl(stop: AbortSignal): Promise<void> {
    const { store, clock, random } = this.#context;
    const renew = () => void this.#leases.renewNow();
    const open = () => store.openControl(this.id, (ids) => this.#leases.cancelled(ids), renew);
    const again = (error: unknown, tries: number) => {
      if (tries === 1) this.#log({ level: "warn", message: "Cannot subscribe to cancels: trying again", error });
      return true;
    };
    try {
      const control = await repeat(open, { clock, random, signal: stop, again });
      if (stop.aborted) return control.close();
      this.#control = control;
      renew();
    } catch {
      // Stopped before Redis could be reached.
    }
  }
}

function refuseCounts(names: number, workers: number): void {
  if (names < 1 || names > NAMES_MAX) {
    throw new RangeError(`Cannot listen to ${names} names: it must be 1 to ${NAMES_MAX}; use several listeners`);
  }
  if (!Number.isInteger(workers) || workers < 1) {
    throw new RangeError(`Cannot listen with ${workers} workers: it must be an integer of 1 or more`);
  }
}
