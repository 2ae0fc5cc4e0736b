/**
 * `connect`: from a URL, or from a client that you have, to what a queue runs on.
 *
 * What does it is loaded when it is first called: it is an eighth of all modules, and a program that only imports errand
 * starts without it.
 *
 * Next: `dial.ts`.
 *
 * @module
 */
import type { RedisPort } from "../port/redis.ts";
import type { MemoryRedis } from "../store/memory/memory_redis.ts";
import type { BunRedisClient } from "./bun.ts";
import type { ConnectOptions } from "./dial.ts";
import type { IoredisClient } from "./ioredis.ts";
import type { NodeRedisClient } from "./node_redis.ts";

export type { ClientName, ConnectOptions } from "./dial.ts";

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
  options?: ConnectOptions,
): Promise<RedisPort | MemoryRedis> {
  const { dial } = await import("./dial.ts");
  return await dial(target, options);
}
