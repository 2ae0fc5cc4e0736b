/**
 * The adapter for `jsr:@db/redis` (once `deno.land/x/redis`), Deno's own client: it needs no more than `--allow-net`.
 *
 * What has to be known about it:
 * - It dials again by itself and sends again what lost its answer. It is allowed no retry and one dial a client.
 * - It reads an error as the end of a reply, also within an array: what is left of that array is then taken for the next
 *   replies, for ever. And it takes the end of a connection for the end of a reply: half a number is a number, and a text
 *   that has not come is zeros. So every batch is followed by a question whose answer is known (`#write`).
 * - It sends a command when the one before is answered, so batches go through its pipeline.
 * - Asked for bytes, it gives a status such as `OK` as a view of its read buffer, which the next reply of a pipeline
 *   overwrites. So in a batch only the commands of `BULK` are asked for bytes. (No script of errand's answers a status.)
 * - A subscription passes on messages only, no confirmation and no PONG. But it passes on errors, once, and goes on: a
 *   SUBSCRIBE without channels is the question that it lets be answered (`#ask`).
 *
 * Rejected: its `parseURL`, which loses the user; its own re-subscribing, which tells nobody of the gap; a client that the
 * caller has, since no second one can be made of it.
 *
 * @module
 */
import { type Command, type RedisPort, RedisReplyError, type Reply } from "../port/redis.ts";
import {
  type DbRedisClient,
  type DbRedisModule,
  type DbRedisOptions,
  type DbRedisSubscription,
  importDbRedis,
} from "./db_redis_module.ts";
import { openPort } from "./port.ts";
import type { RedisTarget } from "./url.ts";
import type { Dialer, DialOptions, Wire } from "./wire.ts";

/** Why the client cannot be used for this target; undefined when it can. */
export function dbRedisUnfit(target: RedisTarget, options: DialOptions): string | undefined {
  if (target.path !== undefined) return "it knows no Unix sockets";
  const unknown = Object.keys(options.tls ?? {}).find((name) => name !== "ca" && name !== "caCerts");
  return unknown === undefined ? undefined : `it knows no TLS setting "${unknown}", only "ca"`;
}

/** Whether `value` looks like a client of `@db/redis`, which {@linkcode connectDbRedis} cannot make another one of. */
export function isDbRedis(value: object): boolean {
  const has = (name: string): boolean => typeof (value as Record<string, unknown>)[name] === "function";
  return has("sendCommand") && has("pipeline") && has("addEventListener") && !has("duplicate");
}

/**
 * Connects to where `target` says, with the `@db/redis` package: the given one, or else it is imported.
 * @throws {ConnectionLostError} when Redis cannot be used, naming why.
 * @throws {TypeError} on another runtime than Deno, and when the package cannot be imported.
 */
export async function connectDbRedis(
  target: RedisTarget,
  options: DialOptions = {},
  redis?: DbRedisModule,
): Promise<RedisPort> {
  return await openPort(dbRedisDialer(redis ?? await importDbRedis(), target, options));
}

/** Makes wires of the client. */
export function dbRedisDialer(redis: DbRedisModule, target: RedisTarget, options: DialOptions = {}): Dialer {
  const settings: DbRedisOptions = {
    hostname: target.host,
    port: target.port,
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    db: target.db,
    tls: target.tls,
    ...(target.tls ? { caCerts: authorities(options) } : {}),
    maxRetryCount: 0,
    noDelay: true,
  };
  return { address: target.shown, open: (onEnd) => new DbRedisWire(redis, settings, onEnd) };
}

/** The certificates to trust beside those of the system, from Node's name for them or the client's. */
function authorities({ tls = {} }: DialOptions): string[] {
  const text = (one: unknown): string => one instanceof Uint8Array ? new TextDecoder().decode(one) : String(one);
  return [tls.ca, tls.caCerts].flat().filter((one) => one !== undefined).map(text);
}

class DbRedisWire implements Wire {
  readonly opened: Promise<void>;
  readonly #redis: DbRedisModule;
  readonly #client: DbRedisClient;
  readonly #onEnd: (reason: unknown) => void;
  /** Aborted when this wire is over: the client must not dial again. */
  readonly #over = new AbortController();
  /** Whether login and database were accepted. */
  #ready = false;
  readonly #name = crypto.randomUUID().slice(0, 8);
  #batches = 0;
  /** The batch that was sent last. */
  #last: Promise<unknown> = Promise.resolve();
  #subscription: DbRedisSubscription | undefined;
  #asked: PromiseWithResolvers<void> | undefined;

  constructor(redis: DbRedisModule, settings: DbRedisOptions, onEnd: (reason: unknown) => void) {
    this.#redis = redis;
    this.#onEnd = onEnd;
    this.#client = redis.createLazyClient({ ...settings, signal: () => this.#over.signal });
    this.#client.addEventListener("close", () => this.#end(new Error("the server closed it")));
    this.#client.addEventListener("ready", () => this.#ready = true);
    this.#client.addEventListener("connect", (event) => {
      if (!this.#over.signal.aborted) return;
      event.stopImmediatePropagation(); // The client's subscription would subscribe anew, on a closed connection.
      this.destroy();
    });
    this.opened = this.#open();
  }

  send(commands: readonly Command[]): Promise<Reply[]> {
    if (this.#subscription) return this.#ask().then(() => commands.map(() => "PONG"));
    // One batch after the other, as the client does it anyway: none may be read before the order is known to be right.
    const replies = this.#last.then(() => this.#exchange(commands));
    this.#last = replies.catch(() => {}); // It is the caller's.
    return replies;
  }

  async subscribe(channels: readonly string[], onMessage: (message: string, channel: string) => void): Promise<void> {
    const subscription = this.#subscription = await this.#client.subscribe(...channels);
    this.#receive(subscription, onMessage).then(() => new Error("the server closed it"), withReason)
      .then((reason) => this.#end(reason));
    await this.#ask(); // Answers come in order, so this one says that the channels are confirmed.
  }

  keepAlive(): void {} // Deno does it by itself: a pending read keeps the process alive, an idle client has none.

  destroy(): void {
    this.#over.abort();
    try {
      this.#client.close();
    } catch {
      // It has no socket yet, and will dial none after the abort.
    }
  }

  /** Not by `connect()`: the client forgets to close a connection that was made so. */
  async #open(): Promise<void> {
    try {
      await this.#client.sendCommand("PING", []);
    } catch (error) {
      if (!this.#isReply(error)) throw withReason(error);
      if (!this.#ready) throw this.#toReply(error); // Login or database were refused. To PING itself any answer will do.
    }
  }

  async #exchange(commands: readonly Command[]): Promise<Reply[]> {
    try {
      return await this.#write(commands);
    } catch (error) {
      throw withReason(error);
    }
  }

  /** Behind every batch stands a question whose answer is known: only with it are the other answers what they seem. */
  async #write(commands: readonly Command[]): Promise<Reply[]> {
    const token = `${this.#name}-${++this.#batches}`;
    const pipeline = this.#client.pipeline();
    for (const [name, ...args] of commands) pipeline.sendCommand(name, args, BULK.has(name) ? AS_BYTES : undefined);
    pipeline.sendCommand("PING", [token]);
    const replies = (await pipeline.flush()).map((reply) => this.#toReply(reply));
    const answer = replies.pop();
    if (answer === token || (answer instanceof RedisReplyError && NO_PING.has(answer.code))) return replies;
    throw new Error(
      "an error within an array was answered, or half a reply, after which @db/redis mistakes every reply",
    );
  }

  async #receive(
    subscription: DbRedisSubscription,
    onMessage: (message: string, channel: string) => void,
  ): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        for await (const { message, channel } of subscription.receiveBuffers()) {
          onMessage(TEXT.decode(message), channel);
        }
        return;
      } catch (error) {
        if (!this.#isReply(error)) throw error;
        this.#answer(this.#toReply(error) as RedisReplyError);
      }
    }
  }

  #ask(): Promise<void> {
    if (this.#asked) return this.#asked.promise;
    const asked = this.#asked = Promise.withResolvers<void>();
    this.#subscription?.subscribe().catch(asked.reject);
    return asked.promise;
  }

  #answer(error: RedisReplyError): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (/wrong number of arg/i.test(error.message)) asked?.resolve();
    else asked?.reject(error);
  }

  #end(reason: unknown): void {
    this.#over.abort();
    this.#asked?.promise.catch(() => {}); // Who asked may have stopped listening.
    this.#asked?.reject(reason);
    if (this.#ready) this.#onEnd(reason); // Before that, what `opened` rejects with knows more.
  }

  #isReply(error: unknown): error is Error {
    return error instanceof this.#redis.ErrorReplyError;
  }

  #toReply(reply: unknown): Reply {
    if (reply instanceof Uint8Array) return TEXT.decode(reply);
    if (Array.isArray(reply)) return reply.map((one) => this.#toReply(one));
    // The text of an error is the whole line, with its "-".
    return this.#isReply(reply) ? new RedisReplyError(reply.message.replace(/^-/, "")) : reply as Reply;
  }
}

/** Strings are read here: the client loses a byte order mark in front of one. */
const AS_BYTES = { returnUint8Arrays: true };
const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });
/** Commands that answer with texts of users, never with a status: their bytes have a buffer of their own. */
const BULK: ReadonlySet<string> = new Set(
  ("BLPOP BRPOP ECHO EVAL EVALSHA GET GETRANGE MGET HGET HMGET HGETALL HKEYS HVALS LINDEX LPOP LRANGE RPOP SMEMBERS SPOP " +
    "ZRANGE ZRANGEBYSCORE ZPOPMIN ZPOPMAX").split(" "),
);
/** Codes with which PING too is refused. */
const NO_PING = new Set(["NOAUTH", "NOPERM", "LOADING", "MASTERDOWN", "BUSY", "MISCONF"]);

/** The end of a connection is an error without a message. */
function withReason(error: unknown): unknown {
  return error instanceof Error && error.message === "" ? new Error("the server closed it", { cause: error }) : error;
}
