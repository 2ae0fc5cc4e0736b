/**
 * Where a claim loop sleeps: at the bell of its names, on a connection of its own, until one of them rings.
 *
 * A bell that cannot be opened or does not wait is tried again, with growing pauses.
 *
 * Previous: `claim_loop.ts`. Next: `store/store.ts`, `name_rota.ts`.
 *
 * @module
 */
import { type Clock, sleep } from "./clock.ts";
import type { Log } from "./log.ts";
import type { NameRota } from "./name_rota.ts";
import type { Random } from "./random.ts";
import { pauseAfter } from "./repeat.ts";
import type { Bell, Store } from "./store/store.ts";
import { untilAborted } from "./until.ts";

/** Timers may be early by so many milliseconds. */
const TICK = 5;
const NO_WAIT = "The bell did not wait: has one of the keys task-bell another type?";

/** What a {@linkcode SleepAtBell} needs. */
export interface SleepAtBellOptions {
  readonly store: Store;
  /** The listener's id. */
  readonly listener: string;
  readonly rota: NameRota;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The bell of one loop. */
export class SleepAtBell {
  readonly #options: SleepAtBellOptions;
  #bell: Bell | null = null;
  #failures = 0;

  /** Opens nothing before `wait`. */
  constructor(options: SleepAtBellOptions) {
    this.#options = options;
  }

  /** Sleeps until a name rings, something is due in `nextIn` milliseconds, or the next look is. */
  async wait(nextIn: number, stop: AbortSignal): Promise<void> {
    const { rota, clock, listener } = this.#options;
    const from = clock.monotonic();
    const wait = Math.max(1, Math.ceil(Math.min(rota.dueIn(from), nextIn, rota.asideUntil - from)));
    if (rota.active.length === 0) return sleep(clock, wait, stop);
    try {
      this.#bell ??= await this.#open(stop);
      if (this.#bell === null) return;
      // Its own bell is rung by who wants to know whether this listener consumes (`health.ts`).
      const name = await untilAborted(this.#bell.wait([...rota.active, listener], wait), stop);
      if (name && name !== listener) rota.want(name);
      if (stop.aborted) await this.#bell.cancel();
      else if (!name && clock.monotonic() - from < wait / 2 - TICK) throw new Error(NO_WAIT);
      this.#failures = 0;
    } catch (error) {
      await this.#failed(error, stop);
    }
  }

  async #open(stop: AbortSignal): Promise<Bell | null> {
    const opening = this.#options.store.openBell();
    const bell = await untilAborted(opening, stop);
    if (bell !== undefined) return bell;
    opening.then((late) => late.close(), () => {});
    return null;
  }

  async #failed(error: unknown, stop: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    this.#failures += 1;
    if (stop.aborted) return;
    if (this.#failures === 1) {
      this.#options.log({ level: "warn", message: "Cannot wait at the bell: trying again", error });
    }
    await sleep(clock, pauseAfter(this.#failures, random), stop);
  }

  /** Releases the bell's connection. */
  close(): void {
    this.#bell?.close();
  }
}
