/**
 * A process of a simulation: its clock, its chance, and what can become of a process.
 *
 * All that happens inside is an event that passes `at`. So a crash is a flag: its timers never fire and no answer comes,
 * nothing is released. Stopped (SIGSTOP, or a machine that sleeps), its events pile up until it goes on.
 *
 * @module
 */
import type { Clock } from "../../src/clock.ts";
import type { Random } from "../../src/random.ts";
import type { Rng } from "./rng.ts";
import type { Scheduler } from "./scheduler.ts";

/** Where virtual time begins, epoch milliseconds. */
export const EPOCH = 1_750_000_000_000;

interface Entry {
  at: number;
  run: () => void;
  readonly isTimer: boolean;
  lag: number;
  cancelled: boolean;
}

/** A time in which a process could not be expected to reach Redis, and why. */
export interface Outage {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
}

/** A timer of the runtimes: whole milliseconds, one at least, and at most what 31 bits hold. */
function timerDelay(delay: number): number {
  return Math.min(Math.max(1, Math.floor(delay)), 2_147_483_647);
}

/** One process. */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Ids of clients and listeners that live here. */
  readonly ids: string[] = [];
  readonly outages: Outage[] = [];
  /** Milliseconds by which its wall clock is wrong. */
  wall = 0;
  /** It has crashed, or was closed. */
  dead = false;
  /** When its queue began to close; Infinity = it did not. */
  closedAt = Infinity;
  frozen = false;
  readonly #scheduler: Scheduler;
  readonly #rng: Rng;
  #lag = 0;
  #backlog: Entry[] = [];

  /** A process that runs from now on. */
  constructor(name: string, scheduler: Scheduler, rng: Rng) {
    this.name = name;
    this.#scheduler = scheduler;
    this.#rng = rng;
    const began = scheduler.now;
    this.clock = {
      now: () => Math.floor(EPOCH + scheduler.now + this.wall),
      monotonic: () => scheduler.now - this.#lag - began,
      after: (delay, callback) => this.at(scheduler.now + timerDelay(delay), callback, true),
      nextTurn: (callback) => void this.at(scheduler.now, callback),
    };
    this.random = {
      id: () => {
        const id = rng.hex(12);
        this.ids.push(id);
        return id;
      },
      unit: () => rng.unit(),
    };
  }

  /** Lets something happen here at an instant; returns what ends that. */
  at(time: number, run: () => void, isTimer: boolean = false): () => void {
    const entry: Entry = { at: time, run, isTimer, lag: this.#lag, cancelled: false };
    const event = this.#scheduler.at(time, () => this.#happen(entry));
    return () => {
      entry.cancelled = true;
      event.run = null;
    };
  }

  /** Notes that it could not be expected to reach Redis. */
  noteOutage(kind: string, duration: number): void {
    this.outages.push({ from: this.#scheduler.now, to: this.#scheduler.now + duration, kind });
  }

  /** Milliseconds of outages between two instants; overlapping ones count twice, which only makes us milder. */
  outageBetween(from: number, to: number): number {
    let sum = 0;
    for (const outage of this.outages) sum += Math.max(0, Math.min(to, outage.to) - Math.max(from, outage.from));
    return sum;
  }

  /** Ends it without a word. */
  crash(): void {
    this.dead = true;
    this.#backlog = [];
  }

  /** Stops it for so long; `isAsleep`: its machine sleeps, so that its monotonic clock stands still. */
  freeze(duration: number, isAsleep: boolean): void {
    if (this.frozen || this.dead) return;
    this.frozen = true;
    this.noteOutage(isAsleep ? "suspend" : "freeze", duration);
    this.#scheduler.at(this.#scheduler.now + duration, () => {
      if (isAsleep) this.#lag += duration;
      this.#resume();
    });
  }

  #happen(entry: Entry): void {
    if (this.dead || entry.cancelled) return;
    if (this.frozen) return void this.#backlog.push(entry);
    if (!entry.isTimer || entry.lag === this.#lag) return entry.run();
    // The machine slept since this timer was made: by its clock, it is not due yet.
    entry.at += this.#lag - entry.lag;
    entry.lag = this.#lag;
    this.#scheduler.at(entry.at, () => this.#happen(entry));
  }

  /** Timers or messages are seen first, as it happens; in themselves they keep their order. */
  #resume(): void {
    this.frozen = false;
    const timersFirst = this.#rng.chance(0.5);
    const backlog = this.#backlog;
    this.#backlog = [];
    const first = backlog.filter(({ isTimer }) => isTimer === timersFirst);
    for (const entry of [...first, ...backlog.filter(({ isTimer }) => isTimer !== timersFirst)]) {
      this.#scheduler.at(this.#scheduler.now, () => this.#happen(entry));
    }
  }
}
