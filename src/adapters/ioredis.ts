/**
 * The adapter for `ioredis` 5 and 6 (and `iovalkey`), on Node, Deno and Bun.
 *
 * @module
 */
import { type Command, type RedisPort, RedisReplyError, type Reply } from "../port/redis.ts";
import { openPort } from "./port.ts";
import type { RedisTarget } from "./url.ts";
import type { Dialer, DialOptions, Wire } from "./wire.ts";

/** What errand uses of an ioredis client. */
export interface IoredisClient {
  /** Where the client is in its life, for example `ready`. */
  readonly status: string;
  /** Its socket, while it has one. */
  readonly stream?: IoredisStream | null;
  /** Whether it speaks to a Redis Cluster, which is refused. */
  readonly isCluster?: boolean;
  /** Dials. */
  connect(): Promise<unknown>;
  /** Ends the connection. */
  disconnect(reconnect?: boolean): void;
  /** A new client with the same settings, except for these. */
  duplicate(override?: Record<string, unknown>): IoredisClient;
  /** Sends one command. */
  call(command: string, ...args: string[]): Promise<unknown>;
  /** Begins a batch of commands. */
  pipeline(): IoredisPipeline;
  /** Listens to channels. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Calls back at an event of the connection. */
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** What errand uses of the socket of an {@linkcode IoredisClient}. */
export interface IoredisStream {
  /** Lets it keep the process alive. */
  ref(): unknown;
  /** Lets the process end in spite of it. */
  unref(): unknown;
  /** Closes it at once. */
  destroy(): unknown;
  /** Calls back at an event. */
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A batch of an {@linkcode IoredisClient}: commands that are sent in one write. */
export interface IoredisPipeline {
  /** Adds a command. */
  call(command: string, ...args: string[]): unknown;
  /** Sends them all; an error or a reply for each. */
  exec(): Promise<[error: Error | null, reply?: unknown][] | null>;
}

/** What the foreign client must not do by itself: dial again, queue, re-send, time out, linger, rename keys, reshape replies. */
const ONE_CONNECTION = {
  lazyConnect: true,
  retryStrategy: null,
  maxRetriesPerRequest: null,
  reconnectOnError: null,
  enableOfflineQueue: false,
  enableReadyCheck: false, // It asks for INFO, which a user may not; our PING tells as much.
  autoResubscribe: false,
  enableAutoPipelining: false,
  commandTimeout: undefined,
  socketTimeout: undefined,
  // After a disconnect() of what the server has closed already, its timer of 2 s would keep the process alive.
  disconnectTimeout: 0,
  keyPrefix: "",
  stringNumbers: false,
  replyMapping: "legacy",
  monitor: false,
};

/**
 * Connects to where `target` says, with the `ioredis` package.
 * @throws {ConnectionLostError} when Redis cannot be used, naming why.
 * @throws {TypeError} when the package is not installed.
 */
export async function connectIoredis(target: RedisTarget, options: DialOptions = {}): Promise<RedisPort> {
  const Redis = await importRedis();
  const settings = {
    ...(target.path === undefined ? { host: target.host, port: target.port } : { path: target.path }),
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls ? { tls: { ...options.tls } } : {}),
    db: target.db,
    ...ONE_CONNECTION,
  };
  return await openPort(dialer(target.shown, () => new Redis(settings)));
}

/**
 * Uses the settings of an ioredis client that the caller has. The client itself is left alone: its own way of coming back
 * after a broken connection could run a command twice, so each connection is a duplicate of it.
 * @throws {ConnectionLostError} when Redis cannot be used, naming why.
 */
export async function fromIoredis(client: IoredisClient): Promise<RedisPort> {
  if (client.isCluster) throw new TypeError("Cannot use this ioredis client: Redis Cluster is not supported yet");
  return await openPort(dialer("the address of the given ioredis client", () => client.duplicate(ONE_CONNECTION)));
}

/** Whether `value` looks like an ioredis client. */
export function isIoredis(value: object): value is IoredisClient {
  return ["duplicate", "pipeline", "disconnect", "call"].every((name) =>
    typeof (value as Record<string, unknown>)[name] === "function"
  );
}

type IoredisConstructor = new (options: Record<string, unknown>) => IoredisClient;

async function importRedis(): Promise<IoredisConstructor> {
  try {
    return (await import("ioredis") as unknown as { Redis: IoredisConstructor }).Redis;
  } catch (cause) {
    // One of its packages reads the whole environment as it is loaded.
    const way = (cause as Error).name === "NotCapable"
      ? "Deno lets it read no environment: run with --ignore-env, then it finds none, or with --allow-env"
      : "Install it with `npm install ioredis` (Deno: `deno add npm:ioredis`)";
    throw new TypeError(`Cannot connect with ioredis: the package cannot be imported. ${way}`, { cause });
  }
}

function dialer(address: string, make: () => IoredisClient): Dialer {
  return { address, open: (onEnd) => new IoredisWire(make(), onEnd) };
}

class IoredisWire implements Wire {
  readonly opened: Promise<void>;
  readonly #client: IoredisClient;
  /** What the client said last: its promises only say that the connection is closed, not why. */
  #lastError: unknown;

  constructor(client: IoredisClient, onEnd: (reason: unknown) => void) {
    this.#client = client;
    client.on("error", (error: Error) => {
      this.#lastError = error;
      this.#hushStream();
    });
    client.on("connect", () => {
      this.keepAlive(false);
      this.#hushStream();
    });
    client.on("end", () => onEnd(this.#lastError ?? new Error("the server closed it")));
    this.opened = this.#open();
  }

  async send(commands: readonly Command[]): Promise<Reply[]> {
    const [first] = commands;
    if (commands.length === 1 && first) return [await this.#client.call(...first).then(toReply, toReplyError)];
    const pipeline = this.#client.pipeline();
    for (const command of commands) pipeline.call(...command);
    const results = await pipeline.exec() ?? [];
    return results.map(([error, reply]) => error ? toReplyError(error) : toReply(reply));
  }

  async subscribe(channels: readonly string[], onMessage: (message: string, channel: string) => void): Promise<void> {
    this.#client.on("message", (channel: string, message: string) => onMessage(message, channel));
    await this.#client.subscribe(...channels);
  }

  keepAlive(on: boolean): void {
    if (on) this.#client.stream?.ref();
    else this.#client.stream?.unref();
  }

  destroy(): void {
    this.#client.disconnect();
    this.#client.stream?.destroy(); // disconnect() alone says farewell first.
  }

  /** ioredis hears one error of its socket. A second one (a TLS alert, then a broken pipe) would end the process. */
  #hushStream(): void {
    this.#client.stream?.on("error", () => {});
  }

  async #open(): Promise<void> {
    const failure = await this.#client.connect().then(() => undefined, (error: Error) => error);
    // An unknown database is only an event to ioredis, which would go on in database 0.
    const reason = this.#lastError ?? failure;
    if (reason !== undefined) throw reason;
  }
}

function toReply(reply: unknown): Reply {
  return reply as Reply;
}

/** An error that Redis answered is a value; anything else means that the connection is broken. */
function toReplyError(error: Error): RedisReplyError {
  if (error.name === "ReplyError") return new RedisReplyError(error.message);
  throw error;
}
