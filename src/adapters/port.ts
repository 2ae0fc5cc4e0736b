/**
 * The {@linkcode RedisPort} over any {@linkcode Dialer}: one connection for all that does not block, one for each
 * blocking caller, one for each subscription.
 *
 * @module
 */
import { ConnectionLostError } from "../errors.ts";
import type { BlockingConnection, Command, RedisPort, Reply, Subscription } from "../port/redis.ts";
import { Connection } from "./connection.ts";
import type { Link } from "./link.ts";
import type { Dialer, Wire } from "./wire.ts";

/** How long any command that does not block may take, in milliseconds. */
const COMMAND_LIMIT = 10_000;
/** How often a subscription proves that its connection still lives, in milliseconds: a link can die without a word. */
const PROOF_INTERVAL = 10_000;
const CANCELLED = "the blocking call was cancelled";

/** Dials once and returns the port; rejects with `ConnectionLostError` when Redis cannot be used. */
export async function openPort(dialer: Dialer): Promise<RedisPort> {
  const port = new DialledPort(dialer);
  await port.open();
  return port;
}

class DialledPort implements RedisPort {
  readonly #dialer: Dialer;
  readonly #main: Connection;
  readonly #others = new Set<{ close(): void }>();

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
    this.#main = new Connection(dialer, { background: true });
  }

  open(): Promise<void> {
    return this.#main.open();
  }

  exec(commands: readonly Command[]): Promise<Reply[]> {
    if (commands.length === 0) return Promise.resolve([]);
    const link = this.#main.current;
    if (link) return link.send(commands, COMMAND_LIMIT);
    return this.#main.link().then((link) => link.send(commands, COMMAND_LIMIT));
  }

  blocking(): Promise<BlockingConnection> {
    const connection = new Connection(this.#dialer, { background: true });
    return Promise.resolve(this.#keep(new Blocking(connection, (link) => this.#evict(link), this.#forget)));
  }

  async subscribe(
    channels: readonly string[],
    onMessage: (message: string, channel: string) => void,
    onGap: () => void,
  ): Promise<Subscription> {
    const subscriber = this.#keep(new Subscriber(this.#dialer, { channels, onMessage, onGap }, this.#forget));
    try {
      await subscriber.open();
    } catch (error) {
      subscriber.close();
      throw error;
    }
    return subscriber;
  }

  close(): void {
    this.#main.close();
    for (const other of [...this.#others]) other.close();
  }

  #keep<Other extends { close(): void }>(other: Other): Other {
    this.#others.add(other);
    return other;
  }

  readonly #forget = (other: { close(): void }): void => {
    this.#others.delete(other);
  };

  /**
   * Makes sure that the server has forgotten a connection: it may not have seen our end of the socket yet, and behind a dead
   * link it never would. `CLIENT KILL` has freed it when it answers. Without permission for that, the closed socket must do.
   */
  async #evict(link: Link): Promise<void> {
    if (link.id === undefined) return;
    await this.#main.current?.send([["CLIENT", "KILL", "ID", link.id]], COMMAND_LIMIT).catch(() => {});
  }
}

class Blocking implements BlockingConnection {
  readonly #connection: Connection;
  readonly #evict: (link: Link) => Promise<void>;
  readonly #forget: (self: Blocking) => void;
  /** Counts calls and cancels: a call that finds another number than its own was cancelled. */
  #turn = 0;
  #waiting: Link | undefined;

  constructor(connection: Connection, evict: (link: Link) => Promise<void>, forget: (self: Blocking) => void) {
    this.#connection = connection;
    this.#evict = evict;
    this.#forget = forget;
  }

  async call(command: Command, deadline: number): Promise<Reply> {
    const turn = ++this.#turn;
    const link = await this.#connection.link();
    // Cancelled while it was still dialling: nothing was sent.
    if (turn !== this.#turn) throw new ConnectionLostError(CANCELLED, { sent: false });
    try {
      this.#waiting = link;
      const [reply] = await link.send([command], deadline);
      return reply ?? null;
    } catch (error) {
      void this.#evict(link); // Behind a dead link the server would go on waiting for us, and eat a wake-up.
      throw error;
    } finally {
      this.#waiting = undefined;
    }
  }

  async cancel(): Promise<void> {
    this.#turn++;
    const link = this.#waiting;
    if (!link) return;
    link.end(new Error(CANCELLED));
    await this.#evict(link);
  }

  close(): void {
    this.#forget(this);
    this.#connection.close();
  }
}

interface Listening {
  readonly channels: readonly string[];
  readonly onMessage: (message: string, channel: string) => void;
  readonly onGap: () => void;
}

class Subscriber implements Subscription {
  readonly #listening: Listening;
  readonly #connection: Connection;
  readonly #forget: (self: Subscriber) => void;
  #cancelProof = (): void => {};
  #confirmed = false;
  #closed = false;

  constructor(dialer: Dialer, listening: Listening, forget: (self: Subscriber) => void) {
    this.#listening = listening;
    this.#forget = forget;
    this.#connection = new Connection(dialer, {
      background: false,
      prepare: (wire) => this.#subscribe(wire),
      onBreak: () => this.#restore(),
    });
  }

  /** Resolves when the channels are confirmed for the first time. */
  async open(): Promise<void> {
    await this.#connection.link();
    this.#confirmed = true;
    this.#prove();
  }

  close(): void {
    this.#closed = true;
    this.#cancelProof();
    this.#forget(this);
    this.#connection.close();
  }

  async #subscribe(wire: Wire): Promise<void> {
    wire.keepAlive(true);
    await wire.subscribe(this.#listening.channels, (message, channel) => {
      if (!this.#closed) this.#listening.onMessage(message, channel);
    });
  }

  #restore(): void {
    this.#cancelProof();
    if (this.#closed || !this.#confirmed) return;
    this.#connection.link({ patient: true }).then(() => {
      if (this.#closed) return;
      this.#prove();
      this.#listening.onGap();
    }, () => {}); // It rejects only when this subscription was closed.
  }

  #prove(): void {
    this.#cancelProof();
    const timer = setInterval(() => {
      this.#connection.current?.send([["PING"]], COMMAND_LIMIT).catch(() => {}); // A failure has broken the link: it is restored.
    }, PROOF_INTERVAL);
    this.#cancelProof = () => clearInterval(timer);
  }
}
