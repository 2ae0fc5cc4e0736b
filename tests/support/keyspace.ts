/** Reads all that stands in a Redis database, in a form that tests compare: key → value. Life times are rounded to seconds. */
import type { RedisPort, Reply } from "../../src/port/redis.ts";

export type Keyspace = Record<string, unknown>;

const READ: Record<string, (key: string) => [string, ...string[]]> = {
  string: (key) => ["GET", key],
  list: (key) => ["LRANGE", key, "0", "-1"],
  set: (key) => ["SMEMBERS", key],
  hash: (key) => ["HKEYS", key],
  zset: (key) => ["ZRANGE", key, "0", "-1"],
};

/** All keys and their values; sorted sets without scores. */
export async function keyspace(port: RedisPort): Promise<Keyspace> {
  const keys = (await one(port, ["KEYS", "*"]) as string[]).toSorted();
  const found: Keyspace = {};
  for (const key of keys) {
    const type = await one(port, ["TYPE", key]) as string;
    found[key] = await one(port, READ[type]!(key));
  }
  return found;
}

/** Milliseconds that a key has left; -1 = no life time. */
export async function lifeOf(port: RedisPort, key: string): Promise<number> {
  return await one(port, ["PTTL", key]) as number;
}

async function one(port: RedisPort, command: [string, ...string[]]): Promise<Reply> {
  const [reply] = await port.exec([command]);
  return reply ?? null;
}
