/**
 * What may happen to the state of a Redis during a walk: flushed, restored from a snapshot, a key evicted or written by
 * somebody else, memory full. Each is done to both stores, or to Redis alone where only a server knows it.
 *
 * Of a key of a wrong type the memory store knows nothing: while there is one, Redis is held to what must be true of
 * any state (`findBroken`), and where the key is only an aid (bells, dead letters, the list of what has ended) also to
 * the answers of the memory store. When it has gone the memory store takes over what Redis holds.
 *
 * Previous: `model_walk.ts`.
 *
 * @module
 */
import type { Keys } from "../../src/keys.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { decodeRecord } from "../../src/record.ts";
import type { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { LISTENERS } from "./model_commands.ts";
import type { Command, KeyKind } from "./model_commands.ts";
import { type Keyspace, send, writeMemory, writeRedis } from "./model_keyspace.ts";

type Of<V extends Command["verb"]> = Extract<Command, { verb: V }>;

/** The two worlds of a walk. */
export interface Worlds {
  readonly keys: Keys;
  readonly world: MemoryRedis;
  readonly port: RedisPort;
  now(): number;
}

/** A state that Redis may come back with. */
export interface Snapshot {
  readonly keyspace: Keyspace;
  readonly at: number;
  /** Ids of which dead entries may stand in it. */
  readonly uprooted: readonly string[];
}

/** A key of a wrong type, for so many calls more. */
export interface Damage {
  readonly key: string;
  readonly kind: KeyKind;
  readonly brokenBefore: readonly string[];
  calls: number;
}

/** Every key goes. */
export async function flush({ world, port }: Worlds): Promise<void> {
  await send(port, "FLUSHALL");
  for (const key of Object.keys(world.dump())) world.delete(key);
}

/** Both go back to a state of before; what would have expired since is gone. */
export async function restore(worlds: Worlds, { keyspace, at }: Snapshot): Promise<void> {
  const { keys, world, port } = worlds;
  const passed = worlds.now() - at;
  const left = new Map(
    [...keyspace].map(([key, { value, left }]) => [key, { value, left: left === null ? null : left - passed }] as const)
      .filter(([, entry]) => entry.left === null || entry.left > 0),
  );
  await writeRedis(port, keys, left);
  writeMemory(world, keys, left, worlds.now());
}

/** Redis evicts one key; a record with those who joined it: without record they are a leftover, of which nobody asks. */
export async function evict({ keys, world, port }: Worlds, command: Of<"evict">): Promise<void> {
  const gone = [keyOf(keys, command), ...(command.kind === "record" ? [keys.joined(command.id)] : [])];
  await send(port, "DEL", ...gone);
  for (const key of gone) world.delete(key);
}

/** What a foreign producer does, if the id is free; or what damages a record. */
export async function plant({ keys, world, port }: Worlds, command: Of<"plant">): Promise<void> {
  const { id, name, timeout, over, hinted } = command;
  const text = over || JSON.stringify({ params: 1, ...(timeout > 0 ? { timeout } : {}) });
  const planted = await send(port, "SET", keys.record(id), text, ...(over ? [] : ["NX"]));
  if (planted === null) return;
  world.set(keys.record(id), text);
  if (!hinted) return;
  await send(port, "RPUSH", keys.queue(name), id);
  world.list(keys.queue(name)).push(id);
}

/** Another program writes over a key what is of another type; the answer is the key. */
export async function damage({ keys, port }: Worlds, command: Of<"damage">): Promise<string> {
  const key = keyOf(keys, command);
  await port.exec([["DEL", key]]);
  if (command.kind === "record" || command.kind === "listener") await send(port, "RPUSH", key, "x");
  else await send(port, "SET", key, "x");
  return key;
}

/** Removes it, unless something good has been written over it meanwhile. */
export async function mend(port: RedisPort, keyspace: Keyspace, key: string): Promise<void> {
  if ([keyspace.get(key)?.value].flat()[0] === "x") await send(port, "DEL", key);
}

/** Sets how much memory Redis may use. */
export async function limitMemory(port: RedisPort, bytes: number): Promise<void> {
  await send(port, "CONFIG", "SET", "maxmemory", String(bytes));
}

/** Keys that the protocol does not rest on: with a wrong type there all goes on as if they were empty. */
export const AIDS: readonly KeyKind[] = ["dead", "done", "stats", "bell"];

/** The key that a command means. */
export function keyOf(keys: Keys, { kind, id, name }: Pick<Of<"evict">, "kind" | "id" | "name">): string {
  if (kind === "record" || kind === "joined") return keys[kind](id);
  return keys[kind](kind === "listener" ? LISTENERS[name === "x" ? 0 : 1]! : name);
}

/** Live records that stand nowhere: one sentence each. `damaged`: the key of a wrong type. */
export function findBroken(keys: Keys, keyspace: Keyspace, damaged: string): string[] {
  const findings: string[] = [];
  for (const [key, { value }] of keyspace) {
    if (!key.startsWith(keys.record("")) || typeof value !== "string" || !isPlaced(value)) continue;
    const id = key.slice(keys.record("").length);
    const { state, name } = decodeRecord(id, value);
    const place = state === "queued" ? keys.queue(name) : state === "running" ? keys.lease(name) : keys.scheduled(name);
    const members = (keyspace.get(place)?.value ?? []) as unknown[];
    if (place === damaged || members.flat().includes(id)) continue;
    findings.push(`${id} is ${state} and stands nowhere`);
  }
  return findings;
}

/** Does the record have to stand somewhere? A local run has neither hint nor lease. */
function isPlaced(text: string): boolean {
  return /^1[123].{3}\d{35}.{12}[^l].{46}\d{15}/.test(text);
}
