/**
 * What all attempts of one owner share: a listener's, or those of a client that runs what the queue gave to it.
 *
 * Previous: `listener.ts`, `runner.ts`. Next: `attempt.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import type { Events } from "./events.ts";
import type { Leases } from "./leases.ts";
import type { Log } from "./log.ts";
import type { Random } from "./random.ts";
import type { Retries } from "./retries.ts";
import type { Codecs } from "./serializer.ts";
import type { Store } from "./store/store.ts";
import type { TaskFn } from "./task.ts";
import type { Unreadable } from "./unreadable.ts";

/** An outcome that can be sent. */
export interface Held {
  /** Sends it. Never throws. */
  send(): void;
}

/** What all attempts of one owner share. */
export interface AttemptContext extends Codecs {
  readonly store: Store;
  /** Listener or client id. */
  readonly owner: string;
  readonly clock: Clock;
  readonly leases: Leases;
  /** Says what of a task cannot be read here, and how long it is left to others. */
  readonly unreadable: Unreadable;
  /** Decides whether a failed attempt is followed by another. */
  readonly retries: Retries;
  handlerOf(name: string): TaskFn | undefined;
  /** Milliseconds an attempt may take. @default 30 minutes for a task without a deadline, else what is left until it */
  readonly attemptTimeout?: number;
  /** Bytes that a serialized result may have. @default 1 MiB */
  readonly resultLimit?: number;
  readonly log: Log;
  /** Hears of starts and ends; undefined = nobody does. */
  readonly events?: Events | undefined;
  /** For the pauses between repeated writes. @default the machine's */
  readonly random?: Random;
  /** Sends an outcome together with the next claim, and answers true, when that is about to come. */
  hold?(outcome: Held): boolean;
  /** Once it aborts an outcome that could not be sent is not sent again. */
  readonly closed?: AbortSignal;
}
