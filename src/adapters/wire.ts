/**
 * What errand needs of a foreign Redis client: one connection that is used once.
 *
 * Every client reconnects in its own way: one re-sends what was in flight (a task could run twice), one gives up after
 * 31 seconds, one comes back deaf to its channels. So none of that is used: a client is made for one connection, and when
 * it breaks, it is thrown away and a new one is dialled (`connection.ts`). An adapter then has nothing to be careful
 * about, and all of them behave the same.
 *
 * @module
 */
import type { Command, Reply } from "../port/redis.ts";

/** One connection of a foreign client. It ends once and never comes back. */
export interface Wire {
  /** Resolves when commands can be sent; rejects with the reason when that cannot be. */
  readonly opened: Promise<void>;
  /** Sends the commands in one write. Server errors are values; a rejection means that the wire is broken. */
  send(commands: readonly Command[]): Promise<Reply[]>;
  /** Listens to the channels from now on; resolves when the server has confirmed all of them. */
  subscribe(channels: readonly string[], onMessage: (message: string, channel: string) => void): Promise<void>;
  /** Whether this wire alone keeps the process alive. Not so unless asked for. */
  keepAlive(on: boolean): void;
  /** Closes the socket at once. May be called at any time, and twice. */
  destroy(): void;
}

/** Makes wires to one Redis. */
export interface Dialer {
  /** Where to, for messages: without a password. */
  readonly address: string;
  /** Starts one wire. `onEnd` is called when it breaks after it was opened (perhaps more than once). */
  open(onEnd: (reason: unknown) => void): Wire;
}

/** What `connect` passes on to the client. */
export interface DialOptions {
  /** TLS settings as the client takes them, for example `{ ca: "…" }`. Only for `rediss:` URLs. */
  readonly tls?: Readonly<Record<string, unknown>>;
}
