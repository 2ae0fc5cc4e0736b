/**
 * The adapter for node-redis (the package `redis`, 6.x), on Node, Deno and Bun.
 *
 * It speaks RESP2 whatever the client's default is: errand's scripts return nothing that RESP3 could say better, and so the
 * replies are those of the other adapters.
 *
 * @module
 */
import { type Command, type RedisPort, RedisReplyError, type Reply } from "../port/redis.ts";
import { openPort } from "./port.ts";
import type { RedisTarget } from "./url.ts";
import type { Dialer, DialOptions, Wire } from "./wire.ts";

/** What errand uses of a node-redis client. */
export interface NodeRedisClient {
  /** Whether commands can be sent: connected, logged in, not ended. */
  readonly isReady: boolean;
  /** The settings that it was made with. */
  readonly options?: { readonly socket?: object };
  /** Dials. */
  connect(): Promise<unknown>;
  /** Ends the connection. */
  destroy(): void;
  /** A new client with the same settings, except for these. */
  duplicate(overrides?: Record<string, unknown>): NodeRedisClient;
  /** Sends one command. */
  sendCommand(command: readonly string[]): Promise<unknown>;
  /** Listens to channels. */
  subscribe(channels: string[], listener: (message: string, channel: string) => void): Promise<unknown>;
  /** Lets its socket keep the process alive. */
  ref(): void;
  /** Lets the process end in spite of its socket. */
  unref(): void;
  /** Calls back at an event of the connection. */
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** What the foreign client must not do by itself: queue, time out, send commands of its own, reshape replies. */
const ONE_CONNECTION = {
  RESP: 2,
  disableOfflineQueue: true,
  disableClientInfo: true,
  maintNotifications: "disabled",
  commandOptions: { timeout: 0 },
  commandsQueueMaxLength: undefined,
  pingInterval: undefined,
  clientSideCache: undefined,
  emitInvalidate: false,
};

/** Neither must its socket: dial again, or end what is silent because it waits. */
const ONE_SOCKET = { reconnectStrategy: false, socketTimeout: undefined };

/** Makes a client that gives up its socket, in whatever state that is, when the signal says so. */
type Make = (signal: AbortSignal) => NodeRedisClient;

/**
 * Connects to where `target` says, with the `redis` package.
 * @throws {ConnectionLostError} when Redis cannot be used, naming why.
 * @throws {TypeError} when the package is not installed.
 */
export async function connectNodeRedis(target: RedisTarget, options: DialOptions = {}): Promise<RedisPort> {
  const createClient = await importCreateClient();
  const place = target.path === undefined ? { host: target.host, port: target.port } : { path: target.path };
  const socket = { ...(target.tls ? { ...options.tls, tls: true } : {}), ...place, ...ONE_SOCKET };
  // Never dialled: createClient() builds a class of a thousand commands whenever its settings differ from the last ones,
  // which costs some 30 ms; a duplicate is of the same class.
  const pattern = createClient({
    socket,
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    database: target.db,
    ...ONE_CONNECTION,
  });
  const make: Make = (signal) => pattern.duplicate({ ...ONE_CONNECTION, socket: { ...socket, signal } });
  return await openPort(dialer(target.shown, make));
}

/**
 * Uses the settings of a node-redis client that the caller has. The client itself is left alone: each connection is a
 * duplicate of it, which does not come back by itself. A database chosen with SELECT is not copied: put it into its URL.
 * @throws {ConnectionLostError} when Redis cannot be used, naming why.
 * @throws {TypeError} when it is a cluster or a sentinel.
 */
export async function fromNodeRedis(client: NodeRedisClient): Promise<RedisPort> {
  if (typeof client.unref !== "function") {
    throw new TypeError("Cannot use this node-redis client: only what createClient() makes is supported yet");
  }
  const make: Make = (signal) =>
    client.duplicate({ ...ONE_CONNECTION, socket: { ...client.options?.socket, ...ONE_SOCKET, signal } });
  return await openPort(dialer("the address of the given node-redis client", make));
}

/** Whether `value` looks like a node-redis client. */
export function isNodeRedis(value: object): value is NodeRedisClient {
  return ["duplicate", "sendCommand", "destroy", "subscribe"].every((name) =>
    typeof (value as Record<string, unknown>)[name] === "function"
  );
}

type CreateClient = (options: Record<string, unknown>) => NodeRedisClient;

/** Not written into the `import`: a tool that follows imports would make everyone install it. */
const PACKAGE: string = "redis";

async function importCreateClient(): Promise<CreateClient> {
  try {
    return (await import(PACKAGE) as { createClient: CreateClient }).createClient;
  } catch (cause) {
    const way = "Install it with `npm install redis` (Deno: `deno add npm:redis`, Bun: `bun add redis`)";
    throw new TypeError(`Cannot connect with redis: the package cannot be imported. ${way}`, { cause });
  }
}

function dialer(address: string, make: Make): Dialer {
  return { address, open: (onEnd) => new NodeRedisWire(make, onEnd) };
}

class NodeRedisWire implements Wire {
  readonly opened: Promise<void>;
  readonly #client: NodeRedisClient;
  readonly #socket = new AbortController();

  constructor(make: Make, onEnd: (reason: unknown) => void) {
    this.#client = make(this.#socket.signal);
    this.#client.on("error", onEnd); // It comes with every end but our own, a refused login included.
    this.#client.unref();
    this.opened = this.#client.connect().then(() => {});
  }

  async send(commands: readonly Command[]): Promise<Reply[]> {
    // The client writes at the end of the turn, so these sends share one write.
    return await Promise.all(commands.map((command) => this.#client.sendCommand(command).then(toReply, this.#refused)));
  }

  async subscribe(channels: readonly string[], onMessage: (message: string, channel: string) => void): Promise<void> {
    await this.#client.subscribe([...channels], onMessage);
  }

  keepAlive(on: boolean): void {
    if (on) this.#client.ref();
    else this.#client.unref();
  }

  destroy(): void {
    this.#client.destroy();
    this.#socket.abort(); // The client knows nothing of a socket that is still dialling.
  }

  /**
   * An error that Redis answered is a value; anything else means that the connection is broken. The classes of the client's
   * errors tell that only by their names, which a bundler may change.
   */
  readonly #refused = (error: Error): RedisReplyError => {
    if (this.#client.isReady) return new RedisReplyError(error.message);
    throw error;
  };
}

function toReply(reply: unknown): Reply {
  return reply as Reply;
}
