/**
 * The adapter for Bun's built-in `Bun.RedisClient`.
 *
 * @module
 */
import { type Command, type RedisPort, RedisReplyError, type Reply } from "../port/redis.ts";
import { openPort } from "./port.ts";
import { probe } from "./probe.ts";
import type { RedisTarget } from "./url.ts";
import type { Dialer, DialOptions, Wire } from "./wire.ts";

/** What errand uses of a `Bun.RedisClient`. */
export interface BunRedisClient {
  /** Called when it is connected. */
  onconnect: ((this: never) => void) | null;
  /** Called when its connection ended. */
  onclose: ((this: never, error: Error) => void) | null;
  /** Dials. */
  connect(): Promise<void>;
  /** Ends the connection. */
  close(): void;
  /** A new client with the same settings. */
  duplicate(): Promise<BunRedisClient>;
  /** Sends one command. */
  send(command: string, args: string[]): Promise<unknown>;
  /** Listens to channels. */
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<unknown>;
}

type BunRedisConstructor = new (url: string, options: Record<string, unknown>) => BunRedisClient;

/** Bun's client, or undefined on another runtime. */
export function bunRedis(): BunRedisConstructor | undefined {
  return (globalThis as { Bun?: { RedisClient?: BunRedisConstructor } }).Bun?.RedisClient;
}

/**
 * Connects to where `target` says.
 * @throws {ConnectionLostError} when Redis cannot be used, naming why.
 * @throws {TypeError} on another runtime than Bun.
 */
export async function connectBun(target: RedisTarget, options: DialOptions = {}): Promise<RedisPort> {
  const RedisClient = bunRedis();
  if (!RedisClient) throw new TypeError('Cannot use client "bun" on this runtime: it has no Bun.RedisClient');
  const settings = { autoReconnect: false, ...(target.tls && options.tls ? { tls: options.tls } : {}) };
  const make = () => Promise.resolve(new RedisClient(bunUrl(target), settings));
  const why = () => probe(target, options);
  return await openPort({
    address: target.shown,
    open: (onEnd) => new BunWire(make, onEnd, { why, db: target.db }),
  });
}

/**
 * Uses the settings of a `Bun.RedisClient` that the caller has. The client itself is left alone: each connection is a
 * duplicate of it. A database chosen with SELECT is not copied by Bun: put it into the client's URL.
 * @throws {ConnectionLostError} when Redis cannot be used.
 */
export async function fromBun(client: BunRedisClient): Promise<RedisPort> {
  const dialer: Dialer = {
    address: "the address of the given Bun.RedisClient",
    open: (onEnd) => new BunWire(() => client.duplicate(), onEnd, { why: () => Promise.resolve(undefined), db: 0 }),
  };
  return await openPort(dialer);
}

/** Whether `value` looks like a `Bun.RedisClient`. */
export function isBunRedis(value: object): value is BunRedisClient {
  return ["duplicate", "send", "close", "subscribe"].every((name) =>
    typeof (value as Record<string, unknown>)[name] === "function"
  );
}

class BunWire implements Wire {
  readonly opened: Promise<void>;
  #client: BunRedisClient | undefined;
  #destroyed = false;

  constructor(
    make: () => Promise<BunRedisClient>,
    onEnd: (reason: unknown) => void,
    options: { why: () => Promise<string | undefined>; db: number },
  ) {
    this.opened = this.#open(make, onEnd, options.db).catch(async (error) => {
      if (this.#destroyed || isServerError(error)) throw error;
      const why = await options.why(); // Bun says "Connection closed" for everything, a wrong password included.
      throw why === undefined ? error : new Error(why, { cause: error });
    });
  }

  async send(commands: readonly Command[]): Promise<Reply[]> {
    const client = this.#client;
    if (!client) throw new Error("not connected");
    const [first] = commands;
    if (commands.length === 1 && first) return [await sendOne(client, first)];
    // Bun writes at the end of the turn, so these sends share one write.
    return await Promise.all(commands.map((command) => sendOne(client, command)));
  }

  async subscribe(channels: readonly string[], onMessage: (message: string, channel: string) => void): Promise<void> {
    await this.#client?.subscribe([...channels], onMessage);
  }

  keepAlive(): void {} // Bun does it by itself: a pending call or a subscription keeps the process alive, an idle client does not.

  destroy(): void {
    this.#destroyed = true;
    this.#client?.close();
  }

  async #open(make: () => Promise<BunRedisClient>, onEnd: (reason: unknown) => void, db: number): Promise<void> {
    const client = this.#client = await make();
    if (this.#destroyed) return client.close();
    await client.connect();
    client.onclose = (error) => onEnd(error);
    // A duplicate may reconnect by itself, deaf to its channels: what was one connection is over.
    client.onconnect = () => onEnd(new Error("the server closed it"));
    if (db > 0) await client.send("SELECT", [String(db)]); // In the URL a wrong number would be one more "Connection closed".
  }
}

function bunUrl(target: RedisTarget): string {
  if (target.path !== undefined) return `redis+unix://${target.path}`;
  const login = target.username === undefined && target.password === undefined
    ? ""
    : `${encodeURIComponent(target.username ?? "")}:${encodeURIComponent(target.password ?? "")}@`;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  return `${target.tls ? "rediss" : "redis"}://${login}${host}:${target.port}`;
}

/** `slice`: a batch has a thousand words, and to spread them takes as long as to send them. */
function sendOne(client: BunRedisClient, command: Command): Promise<Reply> {
  return client.send(command[0], command.slice(1)).then(toReply, toReplyError);
}

function toReply(reply: unknown): Reply {
  return reply as Reply;
}

/** An error that Redis answered is a value; anything else means that the connection is broken. */
function toReplyError(error: Error): RedisReplyError {
  if (isServerError(error)) return new RedisReplyError(error.message);
  throw error;
}

function isServerError(error: Error & { code?: string }): boolean {
  return error.code === "ERR_REDIS_SERVER_ERROR";
}
