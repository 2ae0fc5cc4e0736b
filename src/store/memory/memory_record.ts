/**
 * What stands under the key of a record: a record, a bare JSON task of another program, or what this version cannot read.
 *
 * @module
 */
import type { Keys } from "../../keys.ts";
import { byteLength, decodeRecord, HEADER_LENGTH, type TaskHeader, type TaskRecord } from "../../record.ts";
import { bareRecord } from "../foreign.ts";
import type { MemoryRedis } from "./memory_redis.ts";

/** Anybody can write to our keys: what is not digits where digits belong is no record. */
const HEADER = /^1[0-8].{3}\d{35}.{59}\d{15}/s;
const LATER_VERSION = /^[2-9]/;

/** The record of an id, or null when there is none that can be read. */
export function findRecord(world: MemoryRedis, keys: Keys, id: string, now: number): TaskRecord | null {
  const text = world.get(keys.record(id), now);
  if (text === null) return null;
  if (HEADER.test(text)) return decodeRecord(id, text);
  return text.startsWith("{") ? bareRecord(id, text) : null;
}

/** Why the record of an id cannot be read: it is none (`broken`), or belongs to a later version (`newer`); null when it can, or when there is none. */
export function unreadable(world: MemoryRedis, keys: Keys, id: string, now: number): "broken" | "newer" | null {
  const text = world.get(keys.record(id), now);
  if (text === null || HEADER.test(text) || text.startsWith("{")) return null;
  return LATER_VERSION.test(text) && byteLength(text) >= HEADER_LENGTH ? "newer" : "broken";
}

/** Is this the state of a task that waits or runs? */
export function isLive(state: TaskHeader["state"]): boolean {
  return state === "scheduled" || state === "queued" || state === "running";
}

/** Is this the state of a task that is over? */
export function isEnded(state: TaskHeader["state"]): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled" || state === "expired";
}
