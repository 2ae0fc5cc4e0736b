/**
 * The keyspaces of both stores during a walk: read, compared with life times, and written from one into the other.
 *
 * Redis counts life times by its own clock, the memory store by the test's. So for each key the walk keeps how far
 * Redis is behind, and what that may have grown to is measured on Redis' clock: a machine that stalls proves nothing
 * wrong, and a life time that is longer by a millisecond is seen.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Keys } from "../../src/keys.ts";
import type { Command, RedisPort, Reply } from "../../src/port/redis.ts";
import type { MemoryRedis } from "../../src/store/memory/memory_redis.ts";

/** Key → its value and the milliseconds it has left; null = it stays. */
export type Keyspace = Map<string, { readonly value: unknown; readonly left: number | null }>;

/** All keys: name, type, members in the order of Redis (with scores), milliseconds left or -1; then its time, before and after. */
const DUMP = `
local function now()
  local time = redis.call("TIME")
  return string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
end
local from, keys, all = now(), redis.call("KEYS", "*"), {}
for i, key in ipairs(keys) do
  local type, value = redis.call("TYPE", key).ok
  if type == "string" then value = { redis.call("GET", key) }
  elseif type == "list" then value = redis.call("LRANGE", key, 0, -1)
  elseif type == "set" then value = redis.call("SMEMBERS", key)
  elseif type == "hash" then value = redis.call("HGETALL", key)
  else value = redis.call("ZRANGE", key, 0, -1, "WITHSCORES") end
  all[i] = { key, type, value, redis.call("PTTL", key) }
end
return { all, from, now() }`;

/** Takes so many milliseconds off each life time; what is named beside has exactly so many left then. */
const AGE = `
for _, key in ipairs(redis.call("KEYS", "*")) do
  local left = redis.call("PTTL", key)
  if left >= 0 then redis.call("PEXPIRE", key, left - ARGV[1]) end
end
for i = 2, #ARGV, 2 do redis.call("PEXPIRE", ARGV[i], ARGV[i + 1]) end`;

/** Redis tells two times in a script, cached and not, each cut to milliseconds. */
const ROUNDING = 2;

/** What is read from Redis, and when by its clock. */
export interface Dump {
  readonly keyspace: Keyspace;
  readonly from: number;
  readonly to: number;
}

/** How far each life time in Redis may be behind that in memory. */
export class Lag {
  #at = 0;
  #behind = new Map<string, number>();

  /** Compares values and life times of all keys but those that `ignored` names. */
  compare(dump: Dump, expected: Keyspace, ignored: (key: string) => boolean = () => false): void {
    for (const [key, { left }] of expected) {
      // On a machine that stalls Redis' clock may have come to an end that the test's has not.
      if (left !== null && left <= this.#most(dump) && !dump.keyspace.has(key)) expected.delete(key);
    }
    const values = (space: Keyspace) =>
      Object.fromEntries([...space].filter(([key]) => !ignored(key)).map(([key, { value }]) => [key, value]));
    assert.deepEqual(
      values(dump.keyspace),
      values(expected),
      "the keyspaces differ (actual: Redis, expected: memory)",
    );
    this.#compareLives(dump, expected, ignored);
  }

  /** From this time of Redis on, life times are made the same in both. */
  forget(at: number): void {
    this.#at = at;
    this.#behind.clear();
  }

  /** By how much any life time in Redis may be shorter now: one may be taken over from another key, with its lag. */
  #most({ to }: Dump): number {
    return Math.max(0, ...this.#behind.values()) + to - this.#at + ROUNDING;
  }

  #compareLives(dump: Dump, expected: Keyspace, ignored: (key: string) => boolean): void {
    const { keyspace, from } = dump;
    const most = this.#most(dump);
    const behind = new Map<string, number>();
    for (const [key, { left }] of keyspace) {
      if (ignored(key)) continue;
      const other = expected.get(key)!.left;
      if (left !== null && other !== null) behind.set(key, other - left);
      const isRight = left === null || other === null ? left === other : left <= other && other - left <= most;
      assert.ok(
        isRight,
        `${key} lives for ${left} ms in Redis and ${other} ms in memory (null = for ever, lag ${most})`,
      );
    }
    this.#behind = behind;
    this.#at = from;
  }
}

/** What the memory store holds now. */
export function memoryKeyspace(world: MemoryRedis, now: number): Keyspace {
  return new Map(
    Object.entries(world.dump(now)).map(([key, value]) => {
      const expiresAt = world.expiresAt(key, now);
      return [key, { value, left: typeof expiresAt === "number" ? expiresAt - now : null }];
    }),
  );
}

/** The command that reads all of Redis, for {@linkcode readDump}. */
export const DUMP_COMMAND: Command = ["EVAL", DUMP, "0"];

/** What the answer to {@linkcode DUMP_COMMAND} says. */
export function readDump(reply: Reply): Dump {
  if (reply instanceof Error) throw reply;
  const [found, from, to] = reply as unknown as [[string, string, string[], number][], string, string];
  const entries = found.map(([key, type, value, left]) =>
    [key, { value: valueOf(type, value), left: left < 0 ? null : left }] as const
  );
  return { keyspace: new Map(entries.toSorted(([a], [b]) => a < b ? -1 : 1)), from: Number(from), to: Number(to) };
}

/** Lets `ms` pass for the life times in Redis; those of `expected` are made exactly these. */
export async function age(port: RedisPort, ms: number, expected: Keyspace = new Map()): Promise<void> {
  const lives = [...expected].flatMap(([key, { left }]) => left === null ? [] : [key, String(left)]);
  await send(port, "EVAL", AGE, "0", String(ms), ...lives);
}

function valueOf(type: string, members: string[]): unknown {
  if (type === "string") return members[0];
  if (type === "list") return members;
  if (type === "set") return members.toSorted();
  const pairs: [string, number][] = [];
  for (let i = 0; i < members.length; i += 2) pairs.push([members[i]!, Number(members[i + 1])]);
  return pairs;
}

/** Makes the memory store hold exactly this. */
export function writeMemory(world: MemoryRedis, keys: Keys, keyspace: Keyspace, now: number): void {
  for (const key of Object.keys(world.dump())) world.delete(key);
  for (const [key, { value, left }] of keyspace) {
    if (typeof value === "string") world.set(key, value);
    else if (isSet(keys, key)) (value as string[]).forEach((member) => world.members(key, now).add(member));
    else for (const item of value as unknown[]) addTo(world, key, item);
    if (left !== null) world.expire(key, now + left);
  }
}

function addTo(world: MemoryRedis, key: string, item: unknown): void {
  if (Array.isArray(item)) world.sorted(key).set(item[0], item[1]);
  else world.list(key).push(item as string);
}

/** Makes Redis hold exactly this. */
export async function writeRedis(port: RedisPort, keys: Keys, keyspace: Keyspace): Promise<void> {
  const commands: Command[] = [["FLUSHALL"]];
  for (const [key, { value, left }] of keyspace) {
    commands.push(writing(keys, key, value));
    if (left !== null) commands.push(["PEXPIRE", key, String(left)]);
  }
  for (const reply of await port.exec(commands)) if (reply instanceof Error) throw reply;
}

function writing(keys: Keys, key: string, value: unknown): Command {
  if (typeof value === "string") return ["SET", key, value];
  const words = (value as unknown[]).flat().map(String);
  if (isSet(keys, key)) return ["SADD", key, ...words];
  if (!Array.isArray((value as unknown[])[0])) return ["RPUSH", key, ...words];
  if (key.startsWith(keys.stats(""))) return ["HSET", key, ...words];
  return ["ZADD", key, ...(value as [string, number][]).flatMap(([member, score]) => [String(score), member])];
}

function isSet(keys: Keys, key: string): boolean {
  return key.startsWith(keys.joined(""));
}

/** Sends one command; throws what Redis refuses. */
export async function send(port: RedisPort, ...command: [string, ...string[]]): Promise<Reply> {
  const [reply] = await port.exec([command]);
  if (reply instanceof Error) throw reply;
  return reply ?? null;
}

/** Redis' time, epoch milliseconds. */
export async function timeOf(port: RedisPort): Promise<number> {
  const [seconds, micros] = await send(port, "TIME") as [string, string];
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}
