/// <reference types="bun-types" />
/**
 * Does not compile unless the foreign clients are what the adapters take them for. Checked by `tools/ok.mjs` apart from
 * all else: Bun's types replace globals (`URL`, `fetch`) that the other files use as Node and Deno have them.
 *
 * @module
 */
import type { Redis } from "ioredis";
import type { RedisClientType } from "redis";
import type { BunRedisClient } from "../../src/adapters/bun.ts";
import type { IoredisClient } from "../../src/adapters/ioredis.ts";
import type { NodeRedisClient } from "../../src/adapters/node_redis.ts";

/** Bun's own client. */
export function fromBun(client: Bun.RedisClient): BunRedisClient {
  return client;
}

/** ioredis. */
export function fromIoredis(client: Redis): IoredisClient {
  return client;
}

/** node-redis. */
export function fromNodeRedis(client: RedisClientType): NodeRedisClient {
  return client;
}
