/**
 * One script run of the memory store: the world, the keys and one instant, with the functions that all verbs share.
 *
 * Where the Redis store has a prelude of Lua functions (`head`, `now`, `ring`, `tell`), this is its counterpart: read
 * a record, write it with the right life time, move a task into each of its states. Every change of state goes
 * through one of `queue`, `schedule`, `run` and `end`, so that each keeps the invariant of protocol rule 1: a queued
 * record has its hint, a scheduled one its due entry, a running one its lease.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import type { Keys } from "../../keys.ts";
import {
  byteLength,
  digits,
  encodeRecord,
  NO_FENCE,
  NO_OWNER,
  type TaskHeader,
  type TaskRecord,
} from "../../record.ts";
import { type boundsOf, ENDED_LIFE_MIN, JOINED_LIFE, TOLD_MAX } from "../ended.ts";
import { EndedTasks, isLetter } from "./memory_ended.ts";
import { findRecord, isEnded, unreadable } from "./memory_record.ts";
import { byScore, type MemoryRedis } from "./memory_redis.ts";

/** What time alone has done is looked after so many at a time. */
const RECOVERED_STEPS = 64;
/** A loop of a script takes at most so many steps (protocol rule 7). */
export const STEPS = 256;
/** A claim brings at most so many tasks… */
export const CLAIM_TASKS = 128;
/** …and stops after so many characters of records. */
export const CLAIM_CHARACTERS = 262_144;
/** A task whose leases were lost more often than this is not tried again. */
export const CRASHES_MAX = 3;

/** Of a tombstone, and of what a `once` reader took and never acknowledged. */
const GONE_LIFE = 60_000;
/** Of a task after its deadline: whoever waits for it has long learned that it came too late. */
const LATE_LIFE = 300_000;

/** The client that waits for a nonce: its inbox is named by it. */
export function clientOf(nonce: string): string {
  return nonce.slice(0, 12);
}

/** The world at one instant, seen through the keys of one queue. */
export class Script {
  readonly world: MemoryRedis;
  readonly keys: Keys;
  /** Epoch milliseconds: one instant for the whole run. */
  readonly now: number;
  /** What is kept of the tasks that end in this run, and of those before. */
  readonly ended: EndedTasks;
  /** Ids whose records cannot be read, and were set aside in this run. */
  readonly aside: string[] = [];
  /** By client what it is told of. */
  readonly #told = new Map<string, TaskRecord[]>();

  /** Begins a run. */
  constructor(world: MemoryRedis, keys: Keys, now: number, bounds: ReturnType<typeof boundsOf>) {
    this.world = world;
    this.keys = keys;
    this.now = Math.floor(now);
    this.ended = new EndedTasks(world, keys, this.now, bounds);
    world.sweep(this.now);
  }

  /** The record of an id, tombstones included, or null. A bare JSON task reads as queued under the name "". */
  record(id: string): TaskRecord | null {
    return findRecord(this.world, this.keys, id, this.now);
  }

  /** What stands under the key of a record, as it is. */
  text(id: string): string | null {
    return this.world.get(this.keys.record(id), this.now);
  }

  /** Does something stand there that this version cannot read? */
  unreadable(id: string): "broken" | "newer" | null {
    return unreadable(this.world, this.keys, id, this.now);
  }

  /** Is the deadline over? */
  isLate(record: TaskHeader): boolean {
    return record.deadline > 0 && record.deadline <= this.now;
  }

  /** The instant of a deadline so far away; 0 stays "none". */
  deadline(timeout: number): number {
    return timeout > 0 ? this.now + Math.ceil(timeout) : 0;
  }

  /** A fence above those given: the microseconds of the clock, or the highest plus one. */
  fenceAbove(records: readonly TaskHeader[]): string {
    const highest = records.reduce((top, record) => record.fence > top ? record.fence : top, NO_FENCE);
    return digits(Math.max(this.now * 1_000, Number(highest) + 1), 16);
  }

  /** Puts a task into its queue: at the end, or at the head. */
  queue(record: TaskRecord, end: "tail" | "head"): TaskRecord {
    const hints = this.world.list(this.keys.queue(record.name));
    if (end === "tail") hints.push(record.id);
    else hints.unshift(record.id);
    return this.#move(record, "queued");
  }

  /** Lets a task wait until `due` (epoch milliseconds). */
  schedule(record: TaskRecord, due: number): TaskRecord {
    this.world.sorted(this.keys.scheduled(record.name)).set(record.id, due);
    return this.#move(record, "scheduled");
  }

  /** When a scheduled task is due, epoch milliseconds. */
  dueAt({ id, name }: TaskRecord): number {
    return this.world.sorted(this.keys.scheduled(name)).get(id) ?? Infinity;
  }

  /** Gives a task to an owner under a fence and a lease: one more attempt. */
  run(record: TaskRecord, ownership: { owner: string; fence: string; lease: number }): TaskRecord {
    const { owner, fence, lease } = ownership;
    this.world.sorted(this.keys.lease(record.name)).set(record.id, this.now + lease);
    const running = this.#move({ ...record, owner, fence, attempt: record.attempt + 1 }, "running");
    this.#outlive(record.id, lease);
    return running;
  }

  /** Renews the lease of a running task. */
  lease(record: { readonly id: string; readonly name: string }, lease: number): void {
    this.world.sorted(this.keys.lease(record.name)).set(record.id, this.now + lease);
    this.#outlive(record.id, lease);
  }

  /** Ends a task and tells those who wait for it. */
  end(record: TaskRecord, state: TaskState, outcome: string = record.outcome): TaskRecord {
    const ended = { ...record, outcome, state, since: this.now };
    if (isLetter(ended)) {
      this.ended.enterDead(ended.id, ended.name);
      this.write(ended, this.now + this.ended.deadTtl);
    } else {
      this.ended.note(this.write(ended));
    }
    this.removePlaces(ended);
    this.tell(ended);
    return ended;
  }

  /** Ends a task by another's word than its owner's, who has lost it: protocol rule 3. */
  endUnowned(record: TaskRecord, state: TaskState): TaskRecord {
    return this.end({ ...record, owner: NO_OWNER }, state);
  }

  /** Writes a record as it is, with the life time of its state unless told otherwise. */
  write(record: TaskRecord, expiresAt: number | undefined = this.#expiryOf(record)): TaskRecord {
    this.world.set(this.keys.record(record.id), encodeRecord(record), expiresAt);
    return record;
  }

  /** Writes a record whose life time stays what it was. */
  rewrite(record: TaskRecord): TaskRecord {
    const expiresAt = this.world.expiresAt(this.keys.record(record.id), this.now) ?? undefined;
    this.world.set(this.keys.record(record.id), encodeRecord(record), expiresAt);
    return record;
  }

  /** Leaves only a header that says that the task was deleted on purpose, and whether it had been cancelled. */
  bury(record: TaskRecord): void {
    const rest = { state: "deleted", since: this.now, cancelAsked: record.state === "cancelled" } as const;
    this.write({ ...record, ...rest, name: "", options: "", params: "", outcome: "" });
    this.world.delete(this.keys.joined(record.id));
    this.ended.leaveDead(record);
  }

  /** Removes what says that the task runs or is due. Hints in the list stay: to search them is not worth it. */
  removePlaces(record: { readonly id: string; readonly name: string }, except?: TaskState): void {
    if (except !== "running") this.world.sorted(this.keys.lease(record.name)).delete(record.id);
    if (except !== "scheduled") this.world.sorted(this.keys.scheduled(record.name)).delete(record.id);
  }

  /** Adds a client to those who are told of the end. */
  join(record: TaskRecord, client: string): void {
    this.world.members(this.keys.joined(record.id), this.now).add(client);
    this.world.expire(
      this.keys.joined(record.id),
      this.world.expiresAt(this.keys.record(record.id), this.now) ?? this.now + JOINED_LIFE,
    );
    if (!record.joined) this.rewrite({ ...record, joined: true });
  }

  /** Puts what no version can read among the dead letters of a name, its bytes as they are. */
  setAside(id: string, name: string): void {
    if (this.unreadable(id) !== "broken") return;
    this.ended.enterDead(id, name);
    this.aside.push(id);
  }

  /** Tells the submitter and those who joined, when the script has run, that there is something to read. */
  tell(record: TaskRecord): void {
    const joined = record.joined ? this.world.members(this.keys.joined(record.id), this.now) : [];
    if (record.kind === "asked") this.#tellClient(clientOf(record.nonce), record);
    for (const client of joined) this.#tellClient(client, record);
    this.world.delete(this.keys.joined(record.id));
  }

  /** The last thing that a script does. */
  conclude(): void {
    this.ended.keepBounds();
    for (const [client, records] of this.#told) {
      const [first, ...others] = records;
      const isLone = first !== undefined && others.length === 0 && isEnded(first.state);
      const text = isLone ? encodeRecord(first) : "";
      const isBrought = isLone && byteLength(text) <= TOLD_MAX;
      this.world.publish(this.keys.inbox(client), records.map(({ id }) => id), isBrought ? text : null);
    }
  }

  #tellClient(client: string, record: TaskRecord): void {
    const records = this.#told.get(client);
    if (records === undefined) this.#told.set(client, [record]);
    else records.push(record);
  }

  /** Wakes a listener of the name. */
  ring(name: string): void {
    this.world.ring(this.keys.bell(name), this.now);
  }

  /** Does anybody listen to the name? */
  isListened(name: string): boolean {
    for (const end of this.world.sorted(this.keys.listen(name)).values()) if (end > this.now) return true;
    return false;
  }

  /** New place (by the caller), then the record, the old places last: protocol rule 2. */
  #move(record: TaskRecord, state: TaskState): TaskRecord {
    const moved = this.rewrite({ ...record, state, since: this.now });
    this.removePlaces(moved, state);
    return moved;
  }

  /** Expiry only collects garbage: the deadline in the header decides what may still start. */
  #expiryOf({ state, kind, taken, deadline, resultTtl }: TaskRecord): number | undefined {
    if (taken || state === "deleted") return this.now + GONE_LIFE;
    if (isEnded(state)) return this.now + Math.max(ENDED_LIFE_MIN, resultTtl);
    if (deadline > 0) return state === "stored" ? deadline : Math.max(deadline, this.now) + LATE_LIFE;
    // Nobody looks after what is in no queue, so it goes by itself.
    return state === "stored" || kind === "local" ? this.now + Math.max(1, resultTtl) : undefined;
  }

  /** A record lives at least two leases longer than its owner, whatever its deadline. */
  #outlive(id: string, lease: number): void {
    const key = this.keys.record(id);
    const expiresAt = this.world.expiresAt(key, this.now);
    if (typeof expiresAt !== "number") return;
    this.world.expire(key, Math.max(expiresAt, this.now + 2 * lease));
  }
}

/** The lowest score of a sorted set, or null. */
export function firstScore(entries: ReadonlyMap<string, number>): number | null {
  let first: number | null = null;
  for (const score of entries.values()) if (first === null || score < first) first = score;
  return first;
}

/** The members whose score is not above `max`, lowest first, a bounded number. */
export function dueBy(entries: ReadonlyMap<string, number>, max: number): string[] {
  const due = [...entries].filter(([, score]) => score <= max);
  return due.sort(byScore).slice(0, RECOVERED_STEPS).map(([id]) => id);
}
