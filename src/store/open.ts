/**
 * Picks the store that belongs to a connection.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { Keys } from "../keys.ts";
import type { RedisPort } from "../port/redis.ts";
import type { Bounds } from "./ended.ts";
import { MemoryRedis } from "./memory/memory_redis.ts";
import { MemoryStore } from "./memory/memory_store.ts";
import { RedisStore } from "./redis/redis_store.ts";
import type { Store } from "./store.ts";

/** What `connect` returns: a connection to a Redis server, or the embedded memory store. */
export type RedisConnection = RedisPort | MemoryRedis;

/** Opens the store of one base on a connection; `bounds` of what is kept of ended tasks, the usual ones by default. */
export function openStore(redis: RedisConnection, keys: Keys, clock: Clock, bounds: Bounds = {}): Store {
  if (redis instanceof MemoryRedis) return new MemoryStore(redis, keys, clock, bounds);
  return new RedisStore(redis, keys, { clock, bounds });
}
