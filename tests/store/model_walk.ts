/**
 * One walk over both stores: each command goes to the memory store and to the Redis store at the same instant of a
 * clock in the test's hand; answers, messages and the whole keyspace have to be equal after it.
 *
 * Life times are compared too. Redis counts them by its own clock, so moving the test's clock moves them along.
 *
 * Previous: `model_commands.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Keys, keysOf } from "../../src/keys.ts";
import type { RedisPort, Reply } from "../../src/port/redis.ts";
import type { TaskRecord } from "../../src/record.ts";
import type { Bounds } from "../../src/store/ended.ts";
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../../src/store/memory/memory_store.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import type { Ownership, Store } from "../../src/store/store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import type { Command } from "./model_commands.ts";
import { callOf } from "./model_call.ts";
import { hearMemory, type RedisMessages } from "./model_messages.ts";

/** The keys of every walk. */
export const KEYS: Keys = keysOf("model", "q");
/** So small that walks reach them. */
const BOUNDS: Bounds = { deadMax: 2, deadTtl: 100_000, doneBytes: 600 };
/** Milliseconds by which life times may differ: what the machine takes for a walk. */
const LIFE_SLACK = 5_000;

/** All keys: name, type, members in the order of Redis (with scores), milliseconds left or -1. */
const DUMP = `
local keys, all = redis.call("KEYS", "*"), {}
for i, key in ipairs(keys) do
  local type, value = redis.call("TYPE", key).ok
  if type == "string" then value = { redis.call("GET", key) }
  elseif type == "list" then value = redis.call("LRANGE", key, 0, -1)
  elseif type == "set" then value = redis.call("SMEMBERS", key)
  elseif type == "hash" then value = redis.call("HGETALL", key)
  else value = redis.call("ZRANGE", key, 0, -1, "WITHSCORES") end
  all[i] = { key, type, value, redis.call("PTTL", key) }
end
return all`;

/** Takes so many milliseconds off each life time. */
const AGE = `
for _, key in ipairs(redis.call("KEYS", "*")) do
  local left = redis.call("PTTL", key)
  if left >= 0 then redis.call("PEXPIRE", key, left - ARGV[1]) end
end`;

/** What a walk has seen, for commands to point into. */
export interface Seen {
  readonly nonces: string[];
  readonly owned: Ownership[];
  readonly sequences: Map<string, number>;
  counter: number;
}

type Keyspace = Map<string, { value: unknown; left: number | null }>;

/** Walks through the commands on an empty database; throws at the first difference. */
export async function walk(port: RedisPort, messages: RedisMessages, commands: readonly Command[]): Promise<void> {
  const world = new MemoryRedis();
  const clock = new FakeClock(Date.now());
  const memory = new MemoryStore(world, KEYS, clock, BOUNDS);
  const redis = new RedisStore(port, KEYS, { time: () => clock.now(), bounds: BOUNDS });
  const told = await hearMemory(memory, KEYS);
  const seen: Seen = { nonces: [], owned: [], sequences: new Map(), counter: 0 };
  await send(port, "FLUSHALL");
  await messages.take();
  for (const command of commands) {
    if (command.verb === "advance") {
      await clock.advance(command.ms);
      await send(port, "EVAL", AGE, "0", String(command.ms));
    } else if (command.verb === "plant") {
      await plant(world, port, command);
    } else {
      const call = callOf(command, seen);
      if (call === null) continue;
      const expected = await call(memory as Store);
      assert.deepEqual(await call(redis), expected, "the answers differ (actual: Redis, expected: memory)");
      assert.deepEqual(await messages.take(), told(), "the messages differ (actual: Redis, expected: memory)");
      remember(expected, seen);
    }
    compare(await redisKeyspace(port), memoryKeyspace(world, clock.now()));
  }
  world.close();
}

/** What a foreign producer does, if the id is free; or what damages a record that has no place in a sorted set. */
async function plant(
  world: MemoryRedis,
  port: RedisPort,
  command: Command & { verb: "plant" },
): Promise<void> {
  const { id, name, timeout, over } = command;
  const text = over || JSON.stringify({ params: 1, ...(timeout > 0 ? { timeout } : {}) });
  if (over && /^1[13]/.test(world.get(KEYS.record(id), -Infinity) ?? "")) return;
  const planted = await send(port, "SET", KEYS.record(id), text, ...(over ? [] : ["NX"]));
  if (planted === null) return;
  world.set(KEYS.record(id), text);
  await send(port, "RPUSH", KEYS.queue(name), id);
  world.list(KEYS.queue(name)).push(id);
}

/** Keeps the ownerships that an answer brought. */
function remember(answer: unknown, seen: Seen): void {
  const { record, tasks = record ? [record] : [] } = (answer ?? {}) as { record?: TaskRecord; tasks?: TaskRecord[] };
  for (const { id, name, owner, fence, state } of tasks) {
    if (state === "running") seen.owned.push({ id, name, owner, fence });
  }
}

function compare(actual: Keyspace, expected: Keyspace): void {
  const values = (space: Keyspace) => Object.fromEntries([...space].map(([key, { value }]) => [key, value]));
  assert.deepEqual(values(actual), values(expected), "the keyspaces differ (actual: Redis, expected: memory)");
  for (const [key, { left }] of actual) {
    const other = expected.get(key)!.left;
    const isNear = left === null || other === null ? left === other : Math.abs(left - other) <= LIFE_SLACK;
    assert.ok(isNear, `${key} lives for ${left} ms more in Redis and ${other} ms in memory (null = for ever)`);
  }
}

function memoryKeyspace(world: MemoryRedis, now: number): Keyspace {
  return new Map(
    Object.entries(world.dump(now)).map(([key, value]) => {
      const expiresAt = world.expiresAt(key, now);
      return [key, { value, left: typeof expiresAt === "number" ? expiresAt - now : null }];
    }),
  );
}

async function redisKeyspace(port: RedisPort): Promise<Keyspace> {
  const found = await send(port, "EVAL", DUMP, "0") as [string, string, string[], number][];
  const entries = found.map(([key, type, value, left]) =>
    [key, { value: valueOf(type, value), left: left < 0 ? null : left }] as const
  );
  return new Map(entries.toSorted(([a], [b]) => a < b ? -1 : 1));
}

function valueOf(type: string, members: string[]): unknown {
  if (type === "string") return members[0];
  if (type === "list") return members;
  if (type === "set") return members.toSorted();
  const pairs: [string, number][] = [];
  for (let i = 0; i < members.length; i += 2) pairs.push([members[i]!, Number(members[i + 1])]);
  return pairs;
}

async function send(port: RedisPort, ...command: [string, ...string[]]): Promise<Reply> {
  return (await port.exec([command]))[0] ?? null;
}
