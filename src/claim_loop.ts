/**
 * The loop of a listener: claims tasks for its free slots and starts them.
 *
 * 1. While there may be work (the last claim got all that it asked for, or stopped at a bound) it waits for a free slot,
 *    then for the end of the turn: all handlers that end in one turn are counted by one claim, and their outcomes, held
 *    back that long, travel in the same write.
 * 2. Otherwise it sleeps at the bell (`sleep_at_bell.ts`), until a name rings, something is due, or `interval` is over.
 * 3. One claim is in flight at a time, for half of the slots at most. When its answer has come the next one leaves for
 *    the other half, before the tasks start: so Redis and this process work at the same time, not in turns. If an
 *    answer is lost, the same claim is repeated under the same sequence until it is answered: Redis then says again
 *    what it gave us.
 * 4. A claim that Redis itself refused brought nothing. The names are then claimed one by one, and those that fail are
 *    set aside (`refusals.ts`): one bad key stops one name, not all. (A Redis that refuses everything, for example
 *    because it still loads, is a lost connection to the store.)
 * 5. Of tasks that were lost twice before, one runs at a time (`suspects.ts`).
 * 6. An abort ends every wait at once, but not a claim that may be in flight: what it brings is released, not started.
 *
 * Rejected: a loop per name (a connection each), and a claim per freed slot (a round trip a task).
 *
 * Previous: `listener.ts`. Next: `slots.ts`, `sleep_at_bell.ts`, `name_rota.ts`, `refusals.ts`, `attempt.ts`.
 *
 * @module
 */
import type { Held } from "./attempt_context.ts";
import { type Clock, sleep } from "./clock.ts";
import { ConnectionLostError } from "./errors.ts";
import { giveBack, ownershipOf } from "./give_back.ts";
import { type Log, safeLog } from "./log.ts";
import type { NameRota } from "./name_rota.ts";
import type { Random } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { Refusals } from "./refusals.ts";
import { pauseAfter } from "./repeat.ts";
import { SleepAtBell } from "./sleep_at_bell.ts";
import type { Slots } from "./slots.ts";
import type { ClaimAnswer, ClaimRequest, Store } from "./store/store.ts";
import { Suspects } from "./suspects.ts";
import { untilAborted } from "./until.ts";

/** Claims of so many tasks and fewer are not cut in half: two writes would cost more than waiting does. */
const WHOLE_MAX = 16;

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
  /** Starts a claimed task, see `startAttempt`. */
  start(record: TaskRecord, from: number, claimedAt: number): { readonly settled: Promise<unknown> };
}

/** A claim that was answered: when it was first and last sent. */
interface Claimed {
  readonly answer: ClaimAnswer;
  readonly from: number;
  readonly claimedAt: number;
}

/** A claim that was sent. */
interface Flight {
  readonly request: ClaimRequest;
  readonly answered: Promise<Claimed | Refusal | null>;
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
  readonly #bell: SleepAtBell;
  readonly #refusals: Refusals;
  readonly #suspects: Suspects;
  readonly #giving: Parameters<typeof giveBack>[1];
  /** Who wants to hear of the next answered claim that was begun after an instant. */
  readonly #provers = new Set<{ readonly since: number; readonly proven: () => void }>();
  /** The claim that was sent and is not answered yet. */
  #flight: Flight | null = null;
  #signals: { readonly stop: AbortSignal; readonly closed: AbortSignal } | null = null;
  #claimsSoon = false;
  /** Outcomes that go out with the next claim. */
  #held: Held[] = [];

  /** Sends nothing before `run`. */
  constructor(options: ClaimLoopOptions) {
    this.#options = options;
    this.#log = safeLog(options.log);
    this.#bell = new SleepAtBell({ ...options, log: this.#log });
    this.#refusals = new Refusals(options);
    this.#suspects = new Suspects(options);
    this.#giving = { store: options.store, listener: options.listener, log: this.#log };
  }

  /**
   * Claims until `stop` aborts, then resolves when the claim in flight was answered and given back. `closed` ends that
   * wait as well. Never rejects.
   */
  async run(stop: AbortSignal, closed: AbortSignal): Promise<void> {
    this.#signals = { stop, closed };
    let hungry = true;
    while (!stop.aborted || this.#flight !== null) {
      if (this.#flight === null) {
        if (hungry) await this.#untilFree(stop);
        else await this.#bell.wait(this.#nextIn, stop);
        if (!stop.aborted && this.#flight === null) this.#send(this.#most(this.#options.slots.free));
      }
      if (this.#flight !== null) hungry = await this.#land(this.#flight, stop);
      else if (!stop.aborted) hungry = false; // All names are set aside.
    }
    this.#sendHeld();
  }

  /** Sends an outcome at the end of the turn, and answers true, when the loop is about to claim then. */
  hold(outcome: Held): boolean {
    if (this.#claimsSoon) this.#held.push(outcome);
    return this.#claimsSoon;
  }

  /** Calls back once, when a claim begun at `since` (monotonic milliseconds) or later was answered; returns what ends that. */
  onClaimed(since: number, proven: () => void): () => void {
    const prover = { since, proven };
    this.#provers.add(prover);
    return () => this.#provers.delete(prover);
  }

  /** Releases the bell's connection. */
  close(): void {
    this.#bell.close();
  }

  #endOfTurn(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.nextTurn(resolve));
  }

  /** Waits for a free slot; at the end of that turn all outcomes go out, and with them the claim. */
  async #untilFree(stop: AbortSignal): Promise<void> {
    const { slots } = this.#options;
    this.#claimsSoon = true;
    if (slots.free === 0) await untilAborted(slots.freed(), stop);
    if (!stop.aborted) await this.#endOfTurn();
    this.#sendHeld();
  }

  #sendHeld(): void {
    this.#claimsSoon = false;
    const held = this.#held;
    this.#held = [];
    for (const outcome of held) outcome.send();
  }

  /** How many tasks to ask for: so many at most that the other half of the workers is busy while Redis looks. */
  #most(free: number): number {
    return Math.min(free, Math.max(WHOLE_MAX, Math.ceil(this.#options.slots.workers / 2)));
  }

  /** Sends a claim, unless all names are set aside. */
  #send(free: number): void {
    const request = this.#request(free);
    const { stop, closed } = this.#signals!;
    this.#flight = request && { request, answered: this.#answered(request, stop, closed) };
  }

  /** Waits for a claim and starts what it brings; answers whether there may be more work. */
  async #land({ request, answered }: Flight, stop: AbortSignal): Promise<boolean> {
    const claimed = await answered;
    this.#flight = null;
    if (claimed === null) return false;
    if (claimed instanceof Refusal) {
      await this.#refusals.refused(request, claimed.error, stop);
      return true;
    }
    const wasAlone = this.#refusals.worked(request);
    const { tasks, more, nextIn, aside } = claimed.answer;
    for (const id of aside) this.#tellAside(id);
    this.#nextIn = nextIn ?? Infinity;
    for (const name of more) this.#options.rota.want(name);
    const isFull = tasks.length >= request.free;
    if (isFull) { for (const { name } of tasks) this.#options.rota.want(name); }
    // A repeated claim may have been answered by its replay, which knows only what it gave us before.
    const hungry = isFull || wasAlone || more.length > 0 || claimed.from > claimed.claimedAt;
    const { tasks: mine, from } = await this.#confirmed(claimed);
    const start = (record: TaskRecord) =>
      this.#suspects.started(record, this.#options.start(record, from, claimed.claimedAt));
    const now = stop.aborted ? mine : await this.#apart(mine, start);
    if (hungry && !stop.aborted) await this.#sendAhead(now.length);
    if (stop.aborted) {
      await giveBack(now, this.#giving);
      return false;
    }
    this.#claimsSoon = hungry && this.#flight === null;
    now.forEach(start);
    return hungry;
  }

  /** Gives back the suspects that are to wait, and starts the others before Redis has answered; what is left to start. */
  async #apart(tasks: readonly TaskRecord[], start: (record: TaskRecord) => void): Promise<readonly TaskRecord[]> {
    const { now, suspect, later } = this.#suspects.split(tasks);
    if (later.length === 0) return tasks;
    now.forEach(start);
    await giveBack(later, this.#giving, this.#suspects.delay);
    return suspect;
  }

  /** Claims for the slots that are free still beside so many tasks; the write leaves before these tasks keep us busy. */
  async #sendAhead(busy: number): Promise<void> {
    const free = this.#options.slots.free - busy;
    if (free <= 0 || busy === 0) return;
    this.#send(this.#most(free));
    await this.#endOfTurn();
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
