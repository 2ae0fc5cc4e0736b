/**
 * What is kept of tasks that have ended: dead letters, and the list of the others by which they are bounded in bytes.
 *
 * A dead letter is entered as its task fails; everything else once a run, at its end, a little more being trimmed than
 * came in.
 *
 * @module
 */
import type { Keys } from "../../keys.ts";
import { byteLength, digits, encodeRecord, type TaskHeader, type TaskRecord } from "../../record.ts";
import { type boundsOf, ENDED_LIFE_MIN } from "../ended.ts";
import { findRecord, isEnded } from "./memory_record.ts";
import { byScore, type MemoryRedis } from "./memory_redis.ts";

/** The list lives so much longer than it has to, so that not every run writes its life. */
const LIFE_SLACK = 4_000;
/** Of the heads beyond those that came in, so many are looked at. */
const TRIMMED = 16;
/** Dead letters beyond their number go so many at a time, or as many as came in. */
const DEAD_TRIMMED = 64;
/** Dead letters beyond their age go so many at a time. */
const DEAD_AGED = 4;

/** What an element of the list says. */
interface Ended {
  readonly at: number;
  readonly life: number;
  readonly size: number;
  readonly fence: string;
  readonly id: string;
}

/** A failed task that lived in a queue; a query's failure belongs to its caller. */
export function isLetter({ state, kind }: TaskHeader): boolean {
  return state === "failed" && (kind === "enqueued" || kind === "foreign");
}

/** The ended tasks of one run of a script. */
export class EndedTasks {
  readonly #world: MemoryRedis;
  readonly #keys: Keys;
  readonly #now: number;
  readonly #bounds: ReturnType<typeof boundsOf>;
  readonly #died = new Map<string, number>();
  readonly #ended = new Map<string, TaskRecord[]>();

  /** Begins with none. */
  constructor(world: MemoryRedis, keys: Keys, now: number, bounds: ReturnType<typeof boundsOf>) {
    this.#world = world;
    this.#keys = keys;
    this.#now = now;
    this.#bounds = bounds;
  }

  /** Milliseconds that a dead letter is kept. */
  get deadTtl(): number {
    return Math.max(ENDED_LIFE_MIN, this.#bounds.deadTtl);
  }

  /** Enters an id among the dead letters of a name. */
  enterDead(id: string, name: string): void {
    this.dead(name).set(id, this.#now);
    this.#died.set(name, (this.#died.get(name) ?? 0) + 1);
  }

  /** Removes the dead letter that a record may be. */
  leaveDead(record: TaskRecord): void {
    if (isLetter(record)) this.dead(record.name).delete(record.id);
  }

  /** Is this record among the dead letters? */
  isDeadLetter(record: TaskRecord): boolean {
    return isLetter(record) && this.dead(record.name).has(record.id);
  }

  /** The dead letters of a name. */
  dead(name: string): Map<string, number> {
    return this.#world.sorted(this.#keys.dead(name), this.#now);
  }

  /** Notes a task that ended otherwise. */
  note(record: TaskRecord): void {
    const list = this.#ended.get(record.name) ?? [];
    this.#ended.set(record.name, list);
    list.push(record);
  }

  /** Ends the run: writes and trims. */
  keepBounds(): void {
    for (const [name, added] of this.#died) this.#trimDead(name, added);
    for (const [name, records] of this.#ended) this.#push(name, records);
  }

  #trimDead(name: string, added: number): void {
    const letters = this.dead(name);
    this.#world.expire(this.#keys.dead(name), this.#now + this.#bounds.deadTtl);
    const over = letters.size - this.#bounds.deadMax;
    const most = over > 0 ? Math.max(added, DEAD_TRIMMED) : DEAD_AGED;
    const first = [...letters].sort(byScore).slice(0, most);
    for (const [index, [id, diedAt]] of first.entries()) {
      if (index >= over && diedAt + this.#bounds.deadTtl > this.#now) break;
      this.#dropRecord(id, diedAt);
      letters.delete(id);
    }
  }

  /** The record goes with its entry, but not within the time in which a caller in doubt may repeat its call. */
  #dropRecord(id: string, diedAt: number): void {
    const record = findRecord(this.#world, this.#keys, id, this.#now);
    if (record === null || !isLetter(record) || record.since !== diedAt) return;
    this.#world.expire(this.#keys.record(id), diedAt + ENDED_LIFE_MIN);
  }

  #push(name: string, records: readonly TaskRecord[]): void {
    const key = this.#keys.done(name);
    const list = this.#world.list(key, this.#now);
    const stats = this.#world.counters(this.#keys.stats(name), this.#now);
    const isNew = list.length === 0;
    const counted = stats.get("doneBytes") ?? 0;
    const isLost = isNew !== (counted === 0);
    const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
    list.push(...records.map(elementOf));
    // One of the two was lost (evicted, say). What an older list holds is guessed.
    let total = isLost ? Math.floor(bytes * list.length / records.length) : counted + bytes;
    stats.set("doneBytes", total);
    this.#outlive(name, Math.max(ENDED_LIFE_MIN, ...records.map(({ resultTtl }) => resultTtl)), counted === 0);
    for (let most = records.length + TRIMMED; most > 0 && list.length > 0; most--) {
      const head = read(list[0]!);
      if (!this.#isOver(head, total)) break;
      list.shift();
      total = Math.max(0, total - head.size);
    }
    stats.set("doneBytes", total);
  }

  /** Lets the list and its count live so much longer. A new count has no end yet, whatever the list has. */
  #outlive(name: string, life: number, isFirst: boolean): void {
    const expiresAt = this.#world.expiresAt(this.#keys.done(name), this.#now) ?? 0;
    if (!isFirst && expiresAt > this.#now + life) return;
    for (const key of [this.#keys.done(name), this.#keys.stats(name)]) {
      this.#world.expire(key, this.#now + life + LIFE_SLACK);
    }
  }

  /** Does this head of the list leave? Its record leaves too when it is there still and the bytes are too many. */
  #isOver({ at, life, fence, id }: Ended, total: number): boolean {
    if (at + Math.max(ENDED_LIFE_MIN, life) <= this.#now) return true;
    if (total <= this.#bounds.doneBytes || at + ENDED_LIFE_MIN > this.#now) return false;
    const record = findRecord(this.#world, this.#keys, id, this.#now);
    const isSame = record?.since === at && record.fence === fence;
    if (isSame && isEnded(record.state) && !record.taken) this.#world.delete(this.#keys.record(id));
    return true;
  }
}

function sizeOf(record: TaskRecord): number {
  return byteLength(encodeRecord(record));
}

function elementOf(record: TaskRecord): string {
  return digits(record.since, 13) + digits(record.resultTtl, 10) + digits(sizeOf(record), 8) + record.fence + record.id;
}

function read(element: string): Ended {
  return {
    at: Number(element.slice(0, 13)),
    life: Number(element.slice(13, 23)),
    size: Number(element.slice(23, 31)),
    fence: element.slice(31, 47),
    id: element.slice(47),
  };
}
