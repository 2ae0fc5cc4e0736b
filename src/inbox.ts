/**
 * The inbox: where the answers of one client arrive. One per queue object, shared by all its waiters.
 *
 * Its life: 1. the first `expect` opens the subscription (`ready`), *before* the task is sent, so that no answer can
 * be missed. 2. A message names ids that ended, and brings the record of a small lone one; the others
 * are read, and their waiters settle. 3. Messages are
 * hints, so a poll of the waiters' headers is the safety net: every `interval`, and from 50 ms growing while the inbox
 * is unproven: after opening, after a gap, and once per interval the client sends itself a message, and only its echo
 * proves that the inbox hears; of what was told during a gap it says nothing, so a gap is always followed by a look. Without an echo for two intervals it dials anew. 4. A second after the last waiter left
 * the subscription is dropped, so that a script which has its answers ends by itself.
 *
 * Rejected: results inside all messages (no throughput gained); a subscription per task (one round trip
 * each); polling alone (every answer late by half the interval).
 *
 * Previous: `remote.ts`. Next: `waiter.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import type { Subscription } from "./port/redis.ts";
import type { TaskRecord } from "./record.ts";
import type { Store } from "./store/store.ts";
import { closedError, Waiter, type WaiterContext } from "./waiter.ts";

/** What an inbox needs. */
export interface InboxContext {
  readonly store: Store;
  /** The client id. */
  readonly client: string;
  readonly clock: Clock;
  /** Milliseconds between two looks of the safety net. */
  readonly interval: number;
  /** Milliseconds of a lease: how long a running task is believed to run without asking. */
  readonly lease: number;
  readonly log: Log;
}

/** How long the subscription outlives its last waiter, in milliseconds. */
const IDLE = 1_000;
/** The first look of the safety net while the inbox is unproven, in milliseconds. */
const FIRST_LOOK = 50;
/** Headers read in one look. */
const LOOK_MAX = 1_000;

/** The inbox of one client. */
export class Inbox {
  readonly #context: InboxContext;
  readonly #waiters: WaiterContext;
  /** Of most ids there is one. */
  readonly #waiting = new Map<string, Waiter | Set<Waiter>>();
  #opening: Promise<void> | null = null;
  #subscription: Subscription | null = null;
  /** Counts openings, so that what an older one does late is ignored. */
  #epoch = 0;
  #isClosed = false;
  #provenAt = -Infinity;
  #proven = false;
  #delay = FIRST_LOOK;
  #cursor = 0;
  /** Looks that an echo does not save: it says nothing of what was missed before. */
  #owed = 0;
  /** When the next look is due, monotonic. */
  #lookAt = Infinity;
  #cancelLook: () => void = () => {};
  #cancelDrop: () => void = () => {};

  /** An inbox that is closed until something is expected. */
  constructor(context: InboxContext) {
    this.#context = context;
    const { store, log, clock, lease } = context;
    this.#waiters = { store, log, clock, lease, leave: (waiter) => this.#leave(waiter) };
  }

  /**
   * Registers a waiter for an id; call it before the task is sent, and `close` it in the end. Its `ready` rejects with
   * `ConnectionLostError` once the inbox was closed for good.
   */
  expect(id: string): Waiter {
    this.#cancelDrop();
    const ready = this.#isClosed ? Promise.reject(closedError(id)) : this.#subscription === null ? this.#open() : null;
    const waiter = new Waiter(id, this.#waiters, ready);
    if (this.#isClosed) return waiter;
    const others = this.#waiting.get(id);
    if (others === undefined) this.#waiting.set(id, waiter);
    else if (others instanceof Waiter) this.#waiting.set(id, new Set([others, waiter]));
    else others.add(waiter);
    return waiter;
  }

  /** Ends the subscription for good; pending waits reject with `ConnectionLostError`. */
  close(): void {
    this.#isClosed = true;
    for (const waiter of this.#all()) waiter.dismiss();
    this.#drop();
  }

  #drop(): void {
    this.#epoch += 1;
    this.#cancelDrop();
    this.#cancelLook();
    this.#lookAt = Infinity;
    this.#subscription?.close();
    this.#subscription = null;
    this.#opening = null;
  }

  #leave(waiter: Waiter): void {
    const waiters = this.#waiting.get(waiter.id);
    if (waiters === waiter || (waiters instanceof Set && waiters.delete(waiter) && waiters.size === 0)) {
      this.#waiting.delete(waiter.id);
    }
    if (this.#waiting.size > 0 || this.#opening === null) return;
    this.#cancelDrop();
    this.#cancelDrop = this.#context.clock.after(IDLE, () => this.#drop(), { background: true });
  }

  #open(): Promise<void> {
    const epoch = this.#epoch;
    this.#opening ??= this.#subscribe(epoch).catch((error) => {
      if (epoch === this.#epoch) this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #subscribe(epoch: number): Promise<void> {
    const { store, client } = this.#context;
    const mine = () => epoch === this.#epoch;
    const subscription = await store.openInbox(
      client,
      (ids, record) => mine() && this.#hear(ids, record),
      () => mine() && this.#miss(),
    );
    if (!mine()) return subscription.close();
    this.#subscription = subscription;
    this.#provenAt = this.#context.clock.monotonic();
    this.#doubt();
  }

  #hear(ids: readonly string[], record: TaskRecord | null): void {
    if (ids.length === 0) return this.#trust();
    for (const id of ids) {
      const waiters = this.#waiting.get(id);
      if (waiters instanceof Waiter) waiters.ring(record);
      else if (waiters !== undefined) { for (const waiter of waiters) waiter.ring(record); }
    }
  }

  /** The echo came: back to one look an interval, once all was looked at that may have ended unheard. */
  #trust(): void {
    this.#provenAt = this.#context.clock.monotonic();
    if (this.#proven) return;
    this.#proven = true;
    if (this.#owed === 0) this.#lookAfter(this.#context.interval);
  }

  /** Nothing was heard for a while: all who wait are looked at once. */
  #miss(): void {
    this.#owed = Math.ceil(this.#all().length / LOOK_MAX);
    this.#doubt();
  }

  /** Messages may be missing: asks for an echo, and looks sooner until it comes. */
  #doubt(): void {
    this.#proven = false;
    this.#delay = Math.min(FIRST_LOOK, this.#context.interval);
    this.#ping();
    // Doubts that come in quick succession must not put the look off for ever.
    if (this.#lookAt - this.#context.clock.monotonic() > this.#delay) this.#lookAfter(this.#delay);
  }

  #ping(): void {
    this.#context.store.pingInbox(this.#context.client).catch(() => {});
  }

  #lookAfter(delay: number): void {
    const { clock } = this.#context;
    this.#cancelLook();
    this.#lookAt = clock.monotonic() + delay;
    this.#cancelLook = clock.after(delay, () => void this.#look(), { background: true });
  }

  async #look(): Promise<void> {
    const { clock, interval } = this.#context;
    if (this.#waiting.size === 0) {
      this.#provenAt = clock.monotonic();
      return this.#lookAfter(interval);
    }
    if (clock.monotonic() - this.#provenAt > 2 * interval + FIRST_LOOK) this.#redial();
    if (this.#owed > 0) this.#owed -= 1;
    this.#delay = Math.min(this.#proven ? FIRST_LOOK : this.#delay * 2, interval);
    this.#proven = false;
    this.#ping();
    this.#lookAfter(this.#delay);
    await Promise.all(this.#turn().map((waiter) => waiter.look()));
  }

  /** The next waiters to look at: all, or the next thousand of them. */
  #turn(): Waiter[] {
    const all = this.#all();
    if (all.length <= LOOK_MAX) return all;
    const first = this.#cursor % all.length;
    this.#cursor = first + LOOK_MAX;
    return [...all.slice(first), ...all.slice(0, first)].slice(0, LOOK_MAX);
  }

  #all(): Waiter[] {
    return [...this.#waiting.values()].flatMap((waiters) => waiters instanceof Waiter ? [waiters] : [...waiters]);
  }

  #redial(): void {
    this.#drop();
    this.#provenAt = this.#context.clock.monotonic();
    const { log } = this.#context;
    log({ level: "warn", message: "The inbox hears nothing: it dials anew; polls bring the answers" });
    this.#open().catch((error) => {
      if (!this.#isClosed) log({ level: "warn", message: "The inbox cannot dial: polls bring the answers", error });
    });
  }
}
