/**
 * What must be true of a queue's keys after any fault: no record is corrupt, none waits for ever, nothing is left over.
 *
 * @module
 */
import type { Keys } from "../../src/keys.ts";
import type { Command, RedisPort, Reply } from "../../src/port/redis.ts";
import { decodeRecord } from "../../src/record.ts";

/** Records that cannot be read, and live ones whose hint, lease or due entry is missing: one sentence each. */
export async function brokenTasks(port: RedisPort, keys: Keys): Promise<string[]> {
  const findings: string[] = [];
  for (const key of await keysLike(port, `${keys.record("")}*`)) {
    const id = key.slice(keys.record("").length);
    const text = await one(port, "GET", key);
    if (typeof text !== "string" || text.startsWith("{")) continue; // It expired meanwhile, or is a bare one.
    try {
      const { state, name } = decodeRecord(id, text);
      if (!(await stands(port, keys, { id, state, name }))) findings.push(`${id} is ${state} and stands nowhere`);
    } catch (error) {
      findings.push(`${id}: ${error}`);
    }
  }
  return findings;
}

/** Keys that stay for ever, or of places that are empty when nothing is left to do: called when all tasks have ended. */
export async function leftovers(port: RedisPort, keys: Keys): Promise<string[]> {
  const found: string[] = [];
  for (const key of await keysLike(port, `${keys.base}|*`)) {
    const isPlace = /^\|task-(?:queue\||scheduled\||lease\||joined:)/.test(key.slice(keys.base.length));
    if (isPlace || await one(port, "PTTL", key) === -1) found.push(key);
  }
  return found;
}

async function stands(
  port: RedisPort,
  keys: Keys,
  { id, state, name }: { readonly id: string; readonly state: string; readonly name: string },
): Promise<boolean> {
  if (state === "queued") return (await one(port, "LRANGE", keys.queue(name), "0", "-1") as string[]).includes(id);
  if (state === "running") return await one(port, "ZSCORE", keys.lease(name), id) !== null;
  return state !== "scheduled" || await one(port, "ZSCORE", keys.scheduled(name), id) !== null;
}

async function keysLike(port: RedisPort, pattern: string): Promise<string[]> {
  return await one(port, "KEYS", pattern.replaceAll(/[\\[\]?]/g, "\\$&")) as string[];
}

async function one(port: RedisPort, ...command: Command): Promise<Reply> {
  const [reply] = await port.exec([command]);
  if (reply instanceof Error) throw reply;
  return reply ?? null;
}
