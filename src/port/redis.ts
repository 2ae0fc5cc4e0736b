/**
 * The Redis port: the thin interface between errand's core and any Redis client.
 *
 * It is command-shaped and takes batches, because every client can send a list of words and nothing batches better
 * than one write. Strings go in; flat strings, integers, null and arrays of them come out: errand's own scripts
 * return nothing else, which is what makes the port the same over RESP2, RESP3 and six clients.
 *
 * Next: `coalescer.ts` (joins calls into batches) and `../store/redis` (the only user of the port).
 *
 * @module
 */

/** One Redis command: its name and its arguments, all as strings. */
export type Command = readonly [name: string, ...args: string[]];

/** What Redis may answer to errand's commands. Server errors are values, not exceptions. */
export type Reply = null | number | string | RedisReplyError | Reply[];

/** An error that Redis itself answered: `code` is the first word (`NOSCRIPT`, `OOM`, `WRONGTYPE`, …), cleaned of client decoration. */
export class RedisReplyError extends Error {
  /** Always "RedisReplyError". */
  override readonly name = "RedisReplyError";
  /** The first word of Redis' message, for example `NOSCRIPT`. */
  readonly code: string;

  /** Wraps the raw text that Redis sent, for example `"OOM command not allowed …"`. */
  constructor(text: string) {
    const clean = text.startsWith("-") ? text.slice(1) : text;
    super(clean);
    this.code = clean.split(" ", 1)[0] ?? "";
  }
}

/** A subscription of its own connection. */
export interface Subscription {
  /** Ends it and releases its connection; no callback is called afterwards. */
  close(): void;
}

/** A connection of its own for one blocking command at a time. */
export interface BlockingConnection {
  /**
   * Sends one blocking command. If no answer came within `deadline` milliseconds the connection is destroyed and the
   * call rejects with `ConnectionLostError`; the next call dials again.
   */
  call(command: Command, deadline: number): Promise<Reply>;
  /** Ends a pending call (it rejects); when this resolves, no waiter is left on the server. */
  cancel(): Promise<void>;
  /** Releases the connection at once. */
  close(): void;
}

/** A connection to Redis, made by {@linkcode connect} from a URL or from a client that you have. */
export interface RedisPort {
  /**
   * Sends the commands in one write; answers come in order. Never given blocking commands.
   * Rejects only with `ConnectionLostError`: `sent: false` when nothing left this process (it is safe to do
   * something else instead), `sent: true` when the outcome is unknown. An adapter never re-sends by itself.
   */
  exec(commands: readonly Command[]): Promise<Reply[]>;
  /** Opens a connection of its own for blocking commands. */
  blocking(): Promise<BlockingConnection>;
  /**
   * Subscribes on a connection of its own, which restores itself. `onGap` is called whenever messages may have been
   * missed (after each re-subscription). Resolves when the server has confirmed the subscription.
   */
  subscribe(
    channels: readonly string[],
    onMessage: (message: string, channel: string) => void,
    onGap: () => void,
  ): Promise<Subscription>;
  /** Releases every connection of this port at once. Pending calls reject. */
  close(): void;
}
