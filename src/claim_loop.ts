/**
 * The loop of a listener: claims tasks for its free slots and starts them.
 *
 * 1. While there may be work (the last claim filled all slots or stopped at a bound) it waits for a free slot, then for
 *    the end of the turn: all handlers that end in one turn are counted by one claim, and their outcomes, held back
 *    that long, travel in the same write.
 * 2. Otherwise it sleeps at the bell, until a name rings, something is due, or `interval` is over.
 * 3. One claim is in flight at a time. If its answer is lost, the same claim is repeated under the same sequence until
 *    it is answered: Redis then says again what it gave us.
 * 4. A claim that Redis itself refused brought nothing. The names are then claimed one by one, and those that fail are
 *    set aside (`refusals.ts`): one bad key stops one name, not all. (A Redis that refuses everything, for example
 *    because it still loads, is a lost connection to the store.)
 * 5. Of tasks that were lost twice before, one runs at a time (`suspects.ts`).
 * 6. An abort ends every wait at once, but not a claim that may be in flight: what it brings is released, not started.
 *
 * Rejected: a loop per name (a connection each), and a claim per freed slot (a round trip a task).
 *
 * Previous: `listener.ts`. Next: `slots.ts`, `name_rota.ts`, `refusals.ts`, `attempt.ts`.
 *
 * @module
 */
import { type Clock, sleep } from "./clock.ts";
import { ConnectionLostError } from "./errors.ts";
import { giveBack, ownershipOf } from "./give_back.ts";
import { type Log, safeLog } from "./log.ts";
import type { NameRota } from "./name_rota.ts";
import type { Random } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { Refusals } from "./refusals.ts";
import { pauseAfter } from "./repeat.ts";
import type { Slots } from "./slots.ts";
import type { Bell, ClaimAnswer, ClaimRequest, Store } from "./store/store.ts";
import { Suspects } from "./suspects.ts";
import { untilAborted } from "./until.ts";

/** Timers may be early by so many milliseconds. */
const TICK = 5;
const NO_WAIT = "The bell did not wait: has one of the keys task-bell another type?";

/** What a {@linkcode ClaimLoop} needs. */
export interface ClaimLoopOptions {
  readonly store: Store;
  /** The listener's id. */
  readonly listener: string;
  readonly slots: Slots;
  readonly rota: NameRota;
  /** Milliseconds of a lease, and between two claims of an idle listener. */
  readonly lease: number;
  readonly interval: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The presence to refresh with the next claim, or undefined when it is fresh. */
  presence(): ClaimRequest["presence"];
  /** Starts a claimed task, see `startAttempt`; resolves when its handler is done. */
  start(record: TaskRecord, from: number, claimedAt: number): Promise<unknown>;
}

/** A claim that was answered: when it was first and last sent. */
interface Claimed {
  readonly answer: ClaimAnswer;
  readonly from: number;
  readonly claimedAt: number;
}

/** A claim that was answered with an error: nothing of it is in flight. */
class Refusal {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** The loop; `run` once. */
export class ClaimLoop {
  readonly #options: ClaimLoopOptions;
  readonly #log: Log;
  #sequence = 0;
  #nextIn = Infinity;
  #bell: Bell | null = null;
  #bellFailures = 0;
  readonly #refusals: Refusals;
  readonly #suspects: Suspects;
  readonly #giving: Parameters<typeof giveBack>[1];
  /** Who wants to hear of the next answered claim that was begun after an instant. */
  readonly #provers = new Set<{ readonly since: number; readonly proven: () => void }>();
  #claimsSoon = false;
  #turn: Promise<void> | undefined;

  /** Sends nothing before `run`. */
  constructor(options: ClaimLoopOptions) {
    this.#options = options;
    this.#log = safeLog(options.log);
    this.#refusals = new Refusals(options);
    this.#suspects = new Suspects(options.random);
    this.#giving = { store: options.store, listener: options.listener, log: this.#log };
  }

  /**
   * Claims until `stop` aborts, then resolves when the claim in flight was answered and given back. `closed` ends that
   * wait as well. Never rejects.
   */
  async run(stop: AbortSignal, closed: AbortSignal): Promise<void> {
    let hungry = true;
    while (!stop.aborted) {
      if (hungry) await this.#untilFree(stop);
      else await this.#untilRung(stop);
      if (!stop.aborted) hungry = await this.#claim(stop, closed);
    }
  }

  /** What an outcome waits for: the end of the turn, when the loop is about to claim; nothing otherwise. */
  hold(): Promise<void> | undefined {
    return this.#claimsSoon ? this.#endOfTurn() : undefined;
  }

  /** Calls back once, when a claim begun at `since` (monotonic milliseconds) or later was answered; returns what ends that. */
  onClaimed(since: number, proven: () => void): () => void {
    const prover = { since, proven };
    this.#provers.add(prover);
    return () => this.#provers.delete(prover);
  }

  /** Releases the bell's connection. */
  close(): void {
    this.#bell?.close();
  }

  #endOfTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      this.#options.clock.nextTurn(() => {
        this.#turn = undefined;
        resolve();
      });
    });
    return this.#turn;
  }

  async #untilFree(stop: AbortSignal): Promise<void> {
    const { slots } = this.#options;
    this.#claimsSoon = true;
    if (slots.free === 0) await untilAborted(slots.freed(), stop);
    if (!stop.aborted) await this.#endOfTurn();
    this.#claimsSoon = false;
  }

  async #untilRung(stop: AbortSignal): Promise<void> {
    const { rota, interval, clock, listener } = this.#options;
    const aside = rota.asideUntil - clock.monotonic();
    const wait = Math.max(1, Math.ceil(Math.min(interval * rota.share, this.#nextIn, aside)));
    if (rota.active.length === 0) return sleep(clock, wait, stop);
    const from = clock.monotonic();
    try {
      this.#bell ??= await this.#openBell(stop);
      if (this.#bell === null) return;
      // Its own bell is rung by who wants to know whether this listener consumes (`health.ts`).
      const name = await untilAborted(this.#bell.wait([...rota.active, listener], wait), stop);
      if (name && name !== listener) rota.want(name);
      if (stop.aborted) await this.#bell.cancel();
      else if (!name && clock.monotonic() - from < wait / 2 - TICK) throw new Error(NO_WAIT);
      this.#bellFailures = 0;
    } catch (error) {
      await this.#bellFailed(error, stop);
    }
  }

  async #openBell(stop: AbortSignal): Promise<Bell | null> {
    const opening = this.#options.store.openBell();
    const bell = await untilAborted(opening, stop);
    if (bell !== undefined) return bell;
    opening.then((late) => late.close(), () => {});
    return null;
  }

  async #bellFailed(error: unknown, stop: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    this.#bellFailures += 1;
    if (stop.aborted) return;
    if (this.#bellFailures === 1) this.#log({ level: "warn", message: "Cannot wait at the bell: trying again", error });
    await sleep(clock, pauseAfter(this.#bellFailures, random), stop);
  }

  /** Claims for the slots that are free; answers whether there may be more work. */
  async #claim(stop: AbortSignal, closed: AbortSignal): Promise<boolean> {
    const { slots, rota, start } = this.#options;
    const free = slots.free;
    const request = this.#request(free);
    if (request === null) return false;
    const claimed = await this.#answered(request, stop, closed);
    if (claimed === null) return false;
    if (claimed instanceof Refusal) {
      await this.#refusals.refused(request, claimed.error, stop);
      return true;
    }
    const wasAlone = this.#refusals.worked(request);
    const { tasks, more, nextIn, aside } = claimed.answer;
    for (const id of aside) this.#tellAside(id);
    this.#nextIn = nextIn ?? Infinity;
    const mine = await this.#confirmed(claimed);
    if (stop.aborted) {
      await giveBack(mine.tasks, this.#giving);
      return false;
    }
    const { now, later } = this.#suspects.split(mine.tasks);
    if (later.length > 0) await giveBack(later, this.#giving, this.#suspects.delay);
    for (const record of now) this.#suspects.started(record, start(record, mine.from, claimed.claimedAt));
    for (const name of more) rota.want(name);
    // A repeated claim may have been answered by its replay, which knows only what it gave us before.
    if (tasks.length < free) return wasAlone || more.length > 0 || claimed.from > claimed.claimedAt;
    for (const { name } of tasks) rota.want(name);
    return true;
  }

  /** The next claim; null when all names are set aside. */
  #request(free: number): ClaimRequest | null {
    const { listener, lease, rota, presence, clock } = this.#options;
    const names = rota.next(clock.monotonic());
    if (names.length === 0) return null;
    this.#sequence += 1;
    const request = { listener, sequence: this.#sequence, free, lease, names };
    const refresh = rota.isAlone(names) ? this.#refusals.owedFor(names) : presence();
    return refresh === undefined ? request : { ...request, presence: refresh };
  }

  /** The answer to a claim, however often it must be sent; null when there is none to wait for any more. */
  async #answered(request: ClaimRequest, stop: AbortSignal, closed: AbortSignal): Promise<Claimed | Refusal | null> {
    const { store, clock, random } = this.#options;
    const claimedAt = clock.monotonic();
    let from = claimedAt;
    let waitFor = stop;
    let refused = false;
    for (let tries = 1;; tries += 1) {
      try {
        const answer = await store.claim(request);
        this.#prove(from);
        return { answer, from, claimedAt };
      } catch (error) {
        if (!(error instanceof ConnectionLostError)) {
          // The script may have failed after it gave us tasks: asked again, once, it tells which.
          if (refused || stop.aborted) return new Refusal(error);
          refused = true;
          from = clock.monotonic();
          continue;
        }
        if (error.sent) waitFor = closed;
        if (waitFor.aborted) return null;
        if (tries === 1) this.#log({ level: "warn", message: "Cannot claim tasks: trying again", error });
      }
      await sleep(clock, pauseAfter(tries, random), waitFor);
      if (waitFor.aborted) return null;
      from = clock.monotonic();
    }
  }

  #tellAside(id: string): void {
    const way = "its bytes stay at its key; look at them with `errand dead show`, and delete them there";
    this.#log({ level: "error", message: `Cannot read the record of task ${id}: it is set aside; ${way}`, id });
  }

  #prove(from: number): void {
    for (const prover of this.#provers) {
      if (from < prover.since) continue;
      this.#provers.delete(prover);
      prover.proven();
    }
  }

  /** An answer that took more than a third of the lease may be about leases that have ended: renews them first. */
  async #confirmed({ answer: { tasks }, from }: Claimed): Promise<{ tasks: readonly TaskRecord[]; from: number }> {
    const { store, listener: owner, lease, clock } = this.#options;
    if (tasks.length === 0 || clock.monotonic() - from <= lease / 3) return { tasks, from };
    const sentAt = clock.monotonic();
    try {
      const answers = await store.renew({ owner, lease, tasks: tasks.map((task) => ownershipOf(task, owner)) });
      const kept = tasks.map((task, at) => ({ ...task, cancelAsked: answers[at]?.cancelAsked ?? false }))
        .filter((_, at) => answers[at]?.verdict === "accepted");
      return { tasks: kept, from: sentAt };
    } catch (error) {
      this.#log({ level: "warn", message: `Cannot renew ${tasks.length} tasks that were claimed late`, error });
      return { tasks: [], from };
    }
  }
}
