/**
 * What a listener does about claims that Redis answered with an error, for example because of a key of another type.
 *
 * 1. A claim of several names was refused: nothing tells which name it was, so each is claimed alone next.
 * 2. A claim of one name was refused: the name is set aside, for a pause that grows to the interval.
 * 3. A claim of one name worked: the name is taken back. Presence that went with a refused claim is owed, and goes with
 *    the claims of its names alone.
 *
 * Rejected: repeating the claim until somebody repairs the key. One bad key would stop all names of the listener.
 *
 * Previous: `claim_loop.ts`. Next: `name_rota.ts`.
 *
 * @module
 */
import { type Clock, sleep } from "./clock.ts";
import { type Log, safeLog } from "./log.ts";
import type { NameRota } from "./name_rota.ts";
import type { Random } from "./random.ts";
import { pauseAfter } from "./repeat.ts";
import type { ClaimRequest } from "./store/store.ts";

/** What {@linkcode Refusals} need. */
export interface RefusalsOptions {
  readonly rota: NameRota;
  /** Milliseconds after which a name that is set aside is looked at again at the latest. */
  readonly interval: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The refusals of one listener. */
export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #log: Log;
  /** Claims of several names that were refused in a row. */
  #together = 0;
  /** Names whose presence went with a refused claim, and how long it shall last. */
  readonly #owed = new Map<string, number>();

  /** There are none at first. */
  constructor(options: RefusalsOptions) {
    this.#options = options;
    this.#log = safeLog(options.log);
  }

  /** The presence to send with the claim of this name alone. */
  owedFor(names: readonly string[]): ClaimRequest["presence"] {
    const duration = this.#owed.get(names[0]!);
    return duration === undefined ? undefined : { names, duration };
  }

  /** Suspects the names of a claim that was refused, or sets its one name aside. Resolves when to claim again. */
  async refused({ names, presence }: ClaimRequest, error: unknown, stop: AbortSignal): Promise<void> {
    const { rota, clock, random } = this.#options;
    for (const name of presence?.names ?? []) this.#owed.set(name, presence!.duration);
    const asked = new Set([...names, ...presence?.names ?? []]);
    if (asked.size === 1) return this.#setAside(names[0]!, error);
    rota.suspect(asked);
    this.#together += 1;
    const message = `Cannot claim tasks of ${[...asked].join(", ")} together: Redis refuses it, trying one by one`;
    if (isPowerOfTwo(this.#together)) this.#log({ level: "error", message, error });
    // Each alone may work where all together do not: without a pause this would go round and round.
    if (this.#together > 1) await sleep(clock, pauseAfter(this.#together, random), stop);
  }

  /** A claim was answered; tells whether it was of one name because there were refusals. */
  worked({ names, presence }: ClaimRequest): boolean {
    const { rota } = this.#options;
    const wasAlone = rota.isAlone(names);
    if (!wasAlone) this.#together = 0;
    for (const name of presence?.names ?? []) this.#owed.delete(name);
    for (const name of rota.takeBack(names)) {
      this.#log({ level: "info", message: `Tasks of "${name}" can be claimed again`, taskName: name });
    }
    return wasAlone;
  }

  #setAside(name: string, error: unknown): void {
    const { rota, clock, random, interval } = this.#options;
    const refusals = rota.refusals(name) + 1;
    rota.setAside(name, clock.monotonic() + pauseAfter(refusals, random, interval));
    const message = `Cannot claim tasks of "${name}" (try ${refusals}): Redis refuses it, trying again later`;
    if (isPowerOfTwo(refusals)) this.#log({ level: "error", message, taskName: name, error });
  }
}

/** Whether to log a failure that goes on: the 1st, 2nd, 4th, 8th … */
function isPowerOfTwo(count: number): boolean {
  return Number.isInteger(Math.log2(count));
}
