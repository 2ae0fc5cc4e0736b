/**
 * How a connection is made, with which client, and what of it is refused: all that `connect` does.
 *
 * Clients are imported only when they are used, so that nobody needs to install one that they do not use.
 *
 * Previous: `connect.ts`.
 *
 * @module
 */
import { consoleLog, type Log, safeLog } from "../log.ts";
import type { RedisPort } from "../port/redis.ts";
import type { MemoryRedis } from "../store/memory/memory_redis.ts";
import { bunRedis, type BunRedisClient, connectBun, fromBun, isBunRedis } from "./bun.ts";
import { connectDbRedis, dbRedisUnfit, isDbRedis } from "./db_redis.ts";
import { type DbRedisModule, importDbRedis, isDbRedisModule, isDeno } from "./db_redis_module.ts";
import { connectIoredis, fromIoredis, type IoredisClient, isIoredis } from "./ioredis.ts";
import { connectNodeRedis, fromNodeRedis, isNodeRedis, type NodeRedisClient } from "./node_redis.ts";
import { warnOfPlainTcp } from "./plain_tcp.ts";
import { withTlsAdvice } from "./tls_advice.ts";
import { parseRedisUrl, redact, type RedisTarget } from "./url.ts";
import type { DialOptions } from "./wire.ts";

/**
 * The clients that `connect` can make, by the name of their package: `bun` is the one built into Bun, `redis` is
 * node-redis, and `@db/redis` is the one of JSR, for Deno.
 */
export type ClientName = "bun" | "ioredis" | "redis" | "@db/redis";

interface Connector {
  /** Makes it. */
  readonly connect: (target: RedisTarget, options: DialOptions) => Promise<RedisPort>;
  /** Why it cannot be used for a target; undefined when it can. */
  readonly unfit?: (target: RedisTarget, options: DialOptions) => string | undefined;
}

/** How each client is made. */
const CONNECTORS: Readonly<Record<ClientName, Connector>> = {
  bun: { connect: connectBun, unfit: bunUnfit },
  ioredis: { connect: connectIoredis },
  redis: { connect: connectNodeRedis },
  "@db/redis": { connect: connectDbRedis, unfit: dbRedisUnfit },
};

const NO_DUPLICATE = "Cannot connect with this @db/redis client: no second connection can be made of it. " +
  'Use connect(url, { client: "@db/redis" })';
const NO_DB_REDIS =
  "jsr:@db/redis cannot be imported, so npm:ioredis is used, which is the faster one under load. For " +
  'the other one run `deno add jsr:@db/redis` or add it to your import map; connect(url, { client: "ioredis" }) says ' +
  "that this is meant";

/** Options of `connect`. */
export interface ConnectOptions extends DialOptions {
  /**
   * The client to use for a URL. In place of "@db/redis" the module itself, where it cannot be imported by errand (which
   * comes from npm, or was compiled), or stands in for another version: `import * as redis from "jsr:@db/redis"`.
   * @default "bun" on Bun; "@db/redis" on Deno where it can be imported; "ioredis" on Node, and for what those cannot do
   */
  readonly client?: ClientName | DbRedisModule;
  /** Hears what there is to say about the connection. @default warnings and errors go to the console */
  readonly log?: Log;
}

/** Connects, or wraps a client. */
export async function dial(
  target: string | BunRedisClient | IoredisClient | NodeRedisClient,
  options: ConnectOptions = {},
): Promise<RedisPort | MemoryRedis> {
  if (typeof target === "string") return await connectUrl(target, options);
  if (typeof target === "object" && target !== null) {
    if (isIoredis(target)) return await fromIoredis(target);
    if (isNodeRedis(target)) return await fromNodeRedis(target);
    if (isBunRedis(target)) return await fromBun(target);
    if (isDbRedis(target)) throw new TypeError(NO_DUPLICATE);
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
  const client = options.client ?? await defaultClient(target, options);
  const name = typeof client === "string" ? client : "@db/redis";
  const unfit = CONNECTORS[name].unfit?.(target, options);
  if (unfit !== undefined) throw new TypeError(`Cannot use client "${name}" for ${redact(url)}: ${unfit}`);
  warnOfPlainTcp(target, options.log ?? consoleLog);
  const connecting = typeof client === "string"
    ? CONNECTORS[client].connect(target, options)
    : connectDbRedis(target, options, client);
  return await withTlsAdvice(target, connecting);
}

/** The runtime's own client, unless it cannot do what is asked for or is not there. */
async function defaultClient(target: RedisTarget, options: ConnectOptions): Promise<ClientName> {
  const own = bunRedis() ? "bun" : isDeno() ? "@db/redis" : "ioredis";
  if (CONNECTORS[own].unfit?.(target, options) !== undefined) return "ioredis";
  if (own !== "@db/redis") return own;
  try {
    await importDbRedis();
    return own;
  } catch (error) {
    sayOfIoredis(options.log, error);
    return "ioredis";
  }
}

let said = false;

/** Once per process, and to those who listen for it: all is well, only not as they may think. */
function sayOfIoredis(log: Log | undefined, error: unknown): void {
  if (said || !log) return;
  said = true;
  safeLog(log)({ level: "info", message: NO_DB_REDIS, error });
}

function bunUnfit({ path, password }: RedisTarget): string | undefined {
  return path !== undefined && password !== undefined ? "it takes no password for a Unix socket" : undefined;
}

function checkOptions(options: ConnectOptions): void {
  for (const key of Object.keys(options)) {
    if (key !== "client" && key !== "tls" && key !== "log") {
      throw new TypeError(`Cannot connect: unknown option "${key}". Known are "client", "tls" and "log"`);
    }
  }
  const { client } = options;
  if (client !== undefined && !isDbRedisModule(client) && !Object.hasOwn(CONNECTORS, client)) {
    const known = Object.keys(CONNECTORS).map((name) => `"${name}"`).join(", ");
    throw new TypeError(`Cannot connect: unknown client "${String(client)}". Expected one of ${known}`);
  }
}
