/**
 * One live wire with its calls: the place where a call gets its time limit, and where a call whose wire broke is told so.
 *
 * Its life: opened (handshake, PING) → calls → ended once, by the server, by a limit, or by us. When it ends, all its calls
 * reject at once with `sent: true`, whatever the foreign client does with its own promises.
 *
 * @module
 */
import { ConnectionLostError } from "../errors.ts";
import { type Command, RedisReplyError, type Reply } from "../port/redis.ts";
import { startDeadline } from "./deadline.ts";
import type { Dialer, Wire } from "./wire.ts";

/** Answers to PING that mean "not usable (yet)"; any other error, such as a missing permission, is still an answer. */
const UNUSABLE = new Set(["NOAUTH", "WRONGPASS", "LOADING", "MASTERDOWN"]);

/** A wire that answers, and the calls on it. */
export class Link {
  /** The id that the server gave this connection, for `CLIENT KILL`; undefined when it may not be asked for. */
  readonly id: string | undefined;
  readonly #wire: Wire;
  readonly #address: string;
  readonly #pending = new Set<(error: Error) => void>();
  #ended: ConnectionLostError | undefined;
  #onEnd: (() => void) | undefined;

  private constructor(wire: Wire, address: string, id: string | undefined) {
    this.#wire = wire;
    this.#address = address;
    this.id = id;
  }

  /** Dials, proves that the server answers and runs `prepare` on the wire; rejects with a plain reason, in at most `limit` milliseconds. */
  static open(
    dialer: Dialer,
    options: { limit: number; background: boolean; prepare?: (wire: Wire) => Promise<void> },
  ): Promise<Link> {
    return new Promise((resolve, reject) => {
      let link: Link | undefined;
      let failed = false;
      const fail = (reason: unknown): void => {
        cancel();
        if (link) return link.end(reason);
        if (failed) return; // A client may report its own end while it is being destroyed.
        failed = true;
        reject(reason);
        wire.destroy();
      };
      const wire = dialer.open(fail);
      const late = () => fail(new Error(`no answer within ${options.limit} ms`));
      const cancel = startDeadline(options.limit, late, options);
      prove(wire, options.prepare).then((id) => {
        cancel();
        resolve(link = new Link(wire, dialer.address, id));
      }).catch(fail);
    });
  }

  /** Whether the link has ended. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Calls back once when the link ends. */
  set onEnd(callback: () => void) {
    this.#onEnd = callback;
    if (this.#ended) callback();
  }

  /** Sends the commands; rejects only with `ConnectionLostError`. A limit that strikes ends the link. */
  send(commands: readonly Command[], limit: number): Promise<Reply[]> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const cancel = startDeadline(limit, () => this.end(new Error(`no answer within ${limit} ms`)));
      const fail = (error: Error): void => {
        cancel();
        reject(error);
      };
      this.#pending.add(fail);
      const done = (replies: Reply[]): void => {
        cancel();
        this.#pending.delete(fail);
        resolve(replies);
      };
      this.#wire.send(commands).then(done, (reason) => this.end(reason));
    });
  }

  /** Closes the socket; the pending calls reject with `sent: true`. */
  end(reason: unknown): void {
    if (this.#ended) return;
    this.#ended = new ConnectionLostError(`The connection to Redis at ${this.#address} broke: ${reasonText(reason)}`, {
      sent: true,
      cause: reason,
    });
    this.#wire.destroy();
    for (const reject of this.#pending) reject(this.#ended);
    this.#pending.clear();
    this.#onEnd?.();
  }
}

/** The message of a reason, whatever it is. */
export function reasonText(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  // Node leaves the message of an error with several causes (IPv4 and IPv6 both refused) empty.
  return reason.message || String((reason as { code?: unknown }).code ?? reason.name);
}

async function prove(wire: Wire, prepare?: (wire: Wire) => Promise<void>): Promise<string | undefined> {
  await wire.opened;
  const [pong, id] = await wire.send([["PING"], ["CLIENT", "ID"]]);
  if (pong instanceof RedisReplyError && UNUSABLE.has(pong.code)) throw pong;
  await prepare?.(wire);
  return typeof id === "number" ? String(id) : undefined;
}
