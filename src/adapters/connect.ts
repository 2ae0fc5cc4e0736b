/**
 * `connect`: from a URL, or from a client that you have, to what a queue runs on.
 *
 * Clients are imported only when they are used, so that nobody needs to install one that they do not use.
 *
 * @module
 */
import { consoleLog, type Log } from "../log.ts";
import type { RedisPort } from "../port/redis.ts";
import type { MemoryRedis } from "../store/memory/memory_redis.ts";
import { bunRedis, type BunRedisClient, connectBun, fromBun, isBunRedis } from "./bun.ts";
import { connectIoredis, fromIoredis, type IoredisClient, isIoredis } from "./ioredis.ts";
import { connectNodeRedis, fromNodeRedis, isNodeRedis, type NodeRedisClient } from "./node_redis.ts";
import { warnOfPlainTcp } from "./plain_tcp.ts";
import { withTlsAdvice } from "./tls_advice.ts";
import { parseRedisUrl, redact, type RedisTarget } from "./url.ts";
import type { DialOptions } from "./wire.ts";

/** The clients that `connect` can make, by the name of their package; `bun` is the one built into Bun. */
export type ClientName = "bun" | "ioredis" | "redis";

type Connector = (target: RedisTarget, options: DialOptions) => Promise<RedisPort>;

/** How each client is made. */
const CONNECTORS: Readonly<Record<ClientName, Connector>> = {
  bun: connectBun,
  ioredis: connectIoredis,
  redis: connectNodeRedis,
};

/** Options of {@linkcode connect}. */
export interface ConnectOptions extends DialOptions {
  /**
   * The client to use for a URL.
   * @default "bun" on Bun, "ioredis" on Node and Deno
   */
  readonly client?: ClientName;
  /** Hears what there is to say about the connection. @default warnings and errors go to the console */
  readonly log?: Log;
}

/** Keeps everything in this process: no server, gone when it ends. */
export function connect(target: "memory:"): Promise<MemoryRedis>;
/** Connects to a Redis, or wraps a client that you have (its settings are used for connections of our own). */
export function connect(target: BunRedisClient | IoredisClient | NodeRedisClient): Promise<RedisPort>;
/**
 * Connects to `redis://[user:password@]host[:port][/db]`, `rediss://…` (TLS), `unix:///path?db=0`, or `memory:`.
 * @throws {ConnectionLostError} within about 5 seconds when the Redis cannot be reached, refuses the password, or does not answer.
 * @throws {TypeError} when the URL, the client or an option is not one that is known.
 */
export function connect(target: string, options?: ConnectOptions): Promise<RedisPort | MemoryRedis>;
export async function connect(
  target: string | BunRedisClient | IoredisClient | NodeRedisClient,
  options: ConnectOptions = {},
): Promise<RedisPort | MemoryRedis> {
  if (typeof target === "string") return await connectUrl(target, options);
  if (typeof target === "object" && target !== null) {
    if (isIoredis(target)) return await fromIoredis(target);
    if (isNodeRedis(target)) return await fromNodeRedis(target);
    if (isBunRedis(target)) return await fromBun(target);
  }
  throw new TypeError("Cannot connect: expected a URL, a client of ioredis or node-redis, or a Bun.RedisClient");
}

async function connectUrl(url: string, options: ConnectOptions): Promise<RedisPort | MemoryRedis> {
  checkOptions(options);
  if (url === "memory:") return new (await import("../store/memory/memory_redis.ts")).MemoryRedis();
  const target = parseRedisUrl(url);
  if (options.tls !== undefined && !target.tls) {
    throw new TypeError(`Cannot connect to ${redact(url)} with option "tls": only rediss:// is encrypted`);
  }
  // Bun's client takes no password for a Unix socket.
  const unfit = target.path !== undefined && target.password !== undefined;
  const client = options.client ?? (bunRedis() && !unfit ? "bun" : "ioredis");
  if (client === "bun" && unfit) {
    throw new TypeError(`Cannot use client "bun" for ${redact(url)}: it takes no password for a Unix socket`);
  }
  warnOfPlainTcp(target, options.log ?? consoleLog);
  return await withTlsAdvice(target, CONNECTORS[client](target, options));
}

function checkOptions(options: ConnectOptions): void {
  for (const key of Object.keys(options)) {
    if (key !== "client" && key !== "tls" && key !== "log") {
      throw new TypeError(`Cannot connect: unknown option "${key}". Known are "client", "tls" and "log"`);
    }
  }
  const { client } = options;
  if (client !== undefined && !Object.hasOwn(CONNECTORS, client)) {
    const known = Object.keys(CONNECTORS).map((name) => `"${name}"`).join(", ");
    throw new TypeError(`Cannot connect: unknown client "${String(client)}". Expected one of ${known}`);
  }
}
