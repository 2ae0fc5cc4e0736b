/**
 * What is done with tasks that have ended: dead letters are shown and queued again, whatever has ended is deleted.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import { byteLength, NO_FENCE, NO_OWNER, type TaskRecord } from "../../record.ts";
import type {
  DeadLetter,
  DeadLetters,
  DeadPage,
  QueueCounts,
  RemoveAnswer,
  RemoveRequest,
  RequeueAnswer,
  RequeueRequest,
} from "../ended.ts";
import { isLetter } from "./memory_ended.ts";
import { isLive } from "./memory_record.ts";
import { byScore } from "./memory_redis.ts";
import type { Script } from "./memory_script.ts";

/** After so many bytes a page ends. */
const BYTES_MAX = 262_144;
/** A page with entries that their records contradict is read again, so many times in all. */
const ROUNDS = 3;
/** The nonce of a tombstone over what was no record. */
const NO_NONCE = `${NO_OWNER}00000000`;

/** A page of the dead letters of a name. */
export function dead(script: Script, name: string, page: DeadPage): DeadLetters {
  const letters = script.ended.dead(name);
  let entries: DeadLetter[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = letters.size;
    entries = readPage(script, name, page);
    if (letters.size === before) break;
  }
  return { total: letters.size, entries };
}

function readPage(
  script: Script,
  name: string,
  { offset = 0, limit = 100, newestFirst = false }: DeadPage,
): DeadLetter[] {
  const letters = script.ended.dead(name);
  const sorted = [...letters].sort(byScore);
  if (newestFirst) sorted.reverse();
  const found: DeadLetter[] = [];
  let bytes = 0;
  for (const [id, diedAt] of sorted.slice(offset, offset + Math.min(limit, 100))) {
    const letter = letterOf(script, name, id, diedAt);
    if (letter === null) letters.delete(id);
    else if (bytes >= BYTES_MAX) break;
    else {
      found.push(letter);
      bytes += byteLength(script.text(id) ?? "");
    }
  }
  return found;
}

/** An entry counts only if its record failed then, or cannot be read. */
function letterOf(script: Script, name: string, id: string, diedAt: number): DeadLetter | null {
  if (script.unreadable(id) !== null) return { id, diedAt, record: null, raw: script.text(id) };
  const record = script.record(id);
  const isEntry = record !== null && isLetter(record) && record.name === name && record.since === diedAt;
  return isEntry ? { id, diedAt, record, raw: null } : null;
}

/** Queues a failed task again, as new but for its fence, which goes on growing. */
export function requeue(script: Script, { id, nonce }: RequeueRequest): RequeueAnswer {
  const record = script.record(id);
  if (record === null) return { verdict: "refused", state: null };
  if (record.nonce === nonce) return { verdict: "kept", state: record.state };
  if (!isLetter(record)) return { verdict: "refused", state: record.state };
  const fresh = again(record, nonce);
  script.write(fresh);
  script.queue(fresh, "tail");
  script.ended.leaveDead(record);
  script.ring(record.name);
  return { verdict: "requeued" };
}

function again(record: TaskRecord, nonce: string): TaskRecord {
  const clean = { cancelAsked: false, joined: false, taken: false, attempt: 0, crashes: 0 };
  return { ...record, ...clean, state: "queued", owner: NO_OWNER, deadline: 0, nonce, outcome: "" };
}

/** Deletes what does not live, and leaves a tombstone. */
export function remove(script: Script, { id, nonce, name }: RemoveRequest): RemoveAnswer {
  const record = script.record(id);
  if (record === null) return removeUnreadable(script, id, nonce, name);
  if (record.state === "deleted") return { verdict: "kept" };
  const state = record.state as TaskState;
  if (isLive(state) || (nonce !== undefined && record.nonce !== nonce)) return { verdict: "refused", state };
  script.bury(record);
  return { verdict: "removed" };
}

function removeUnreadable(script: Script, id: string, nonce?: string, name?: string): RemoveAnswer {
  if (script.unreadable(id) !== "broken" || nonce !== undefined) return { verdict: "refused", state: null };
  script.bury({
    id,
    name: "",
    options: "",
    params: "",
    outcome: "",
    state: "deleted",
    cancelAsked: false,
    joined: false,
    taken: false,
    attempt: 0,
    crashes: 0,
    since: script.now,
    fence: NO_FENCE,
    owner: NO_OWNER,
    kind: "enqueued",
    maxAttempts: 1,
    deadline: 0,
    resultTtl: 0,
    nonce: NO_NONCE,
  });
  if (name !== undefined) script.ended.dead(name).delete(id);
  return { verdict: "removed" };
}

/** How much there is under one name. */
export function counts({ world, keys, now }: Script, name: string): QueueCounts {
  return {
    queued: world.list(keys.queue(name)).length,
    scheduled: world.sorted(keys.scheduled(name)).size,
    running: world.sorted(keys.lease(name)).size,
    dead: world.sorted(keys.dead(name), now).size,
    done: world.list(keys.done(name), now).length,
    doneBytes: world.counters(keys.stats(name), now).get("doneBytes") ?? 0,
  };
}
