/**
 * How the suites that need any Redis connect: by the default of the runtime, or by the client that `ERRAND_TEST_CLIENT`
 * names ("bun", "ioredis", "redis", "@db/redis"), so that every suite can be run over every client.
 *
 * @module
 */
import process from "node:process";
import { type ClientName, connect } from "../../src/adapters/connect.ts";
import type { RedisPort } from "../../src/port/redis.ts";

/** Connects to a Redis, never to `memory:`. */
export async function testConnect(url: string): Promise<RedisPort> {
  const client = process.env.ERRAND_TEST_CLIENT as ClientName | undefined; // A wrong name is refused by `connect`.
  return await connect(url, client ? { client } : {}) as RedisPort;
}
