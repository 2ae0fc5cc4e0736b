/**
 * The world of the memory store: as much of a Redis server as the protocol needs, in one process.
 *
 * It holds strings, lists, sorted sets, counters and sets under the key names of `keys.ts`, forgets what has expired, carries
 * messages and wakes those who wait for a bell. It keeps no time of its own: each store that uses it brings its clock
 * along, so that a simulation moves time without touching the world.
 *
 * Rejected: maps of task objects. With real keys and record texts the memory store says line by line what the scripts
 * of the Redis store have to do, and both keyspaces can be compared.
 *
 * @module
 */
import type { Subscription } from "../../port/redis.ts";

/** What stands under one key: a string, a list, a sorted set (a map to scores) or a set. */
type Value = string | string[] | Map<string, number> | Set<string>;

interface Entry {
  readonly value: Value;
  /** Epoch milliseconds; absent = for good. */
  expiresAt?: number | undefined;
}

/** Hears the messages of one channel; `record`: the text that came with a lone id, or null. */
type Hearer = (ids: readonly string[], record: string | null) => void;

/**
 * Waits for a token on one of its bells.
 * @internal
 */
export interface BellWaiter {
  /** The keys of the bells. */
  readonly bells: readonly string[];
  /** Called once, with the key that rang, or null when the world closed. */
  readonly wake: (bell: string | null) => void;
}

/** A bell keeps at most so many tokens: enough to wake a few sleepers, few enough to mean nothing when stale. */
const BELL_TOKENS = 4;
/** Milliseconds after which nobody can still need a token. */
const BELL_LIFE = 60_000;
/** The keyspace is searched for expired keys when it has grown to twice what was left by the last search, and to this at least. */
const SWEEP_MIN = 1_024;

/**
 * A Redis of its own in this process: what `connect("memory:")` returns. All queues made with one `MemoryRedis` see
 * the same tasks; it ends with {@linkcode close} or with the process.
 */
export class MemoryRedis {
  readonly #entries = new Map<string, Entry>();
  readonly #hearers = new Map<string, Set<Hearer>>();
  readonly #waiters = new Set<BellWaiter>();
  #sweepAt = SWEEP_MIN;
  #closed = false;

  /** Has it been closed? Every verb of a store on it rejects then. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Forgets everything, ends every subscription and wakes everybody who waits for a bell. */
  close(): void {
    this.#closed = true;
    this.#entries.clear();
    this.#hearers.clear();
    for (const waiter of [...this.#waiters]) waiter.wake(null);
    this.#waiters.clear();
  }

  /**
   * Forgets what has expired by `now`: called by each verb before it looks at anything.
   * @internal
   */
  sweep(now: number): void {
    if (this.#entries.size < this.#sweepAt) return;
    for (const key of [...this.#entries.keys()]) {
      const value = this.#find(key, now)?.value;
      if (value !== undefined && sizeOf(value) === 0) this.#entries.delete(key);
    }
    this.#sweepAt = Math.max(SWEEP_MIN, this.#entries.size * 2);
  }

  /**
   * The string under a key, or null.
   * @internal
   */
  get(key: string, now: number): string | null {
    const value = this.#find(key, now)?.value;
    return typeof value === "string" ? value : null;
  }

  /**
   * Writes a string that expires at `expiresAt` (epoch milliseconds), or never.
   * @internal
   */
  set(key: string, value: string, expiresAt?: number): void {
    this.#entries.set(key, { value, expiresAt });
  }

  /**
   * Deletes a key.
   * @internal
   */
  delete(key: string): void {
    this.#entries.delete(key);
  }

  /**
   * Lets a key expire at `expiresAt`, or never.
   * @internal
   */
  expire(key: string, expiresAt: number | undefined): void {
    const entry = this.#entries.get(key);
    if (entry) entry.expiresAt = expiresAt;
  }

  /**
   * When a key expires: epoch milliseconds, `undefined` for never, null when there is no such key.
   * @internal
   */
  expiresAt(key: string, now: number): number | undefined | null {
    const entry = this.#find(key, now);
    return entry ? entry.expiresAt : null;
  }

  /**
   * The list under a key, to be changed in place; an absent one is made. `now` is needed for one that may expire.
   * @internal
   */
  list(key: string, now: number = -Infinity): string[] {
    this.#find(key, now);
    return this.#collection(key, Array.isArray, () => []);
  }

  /**
   * The sorted set under a key, to be changed in place; an absent one is made. `now` is needed for one that may expire.
   * @internal
   */
  sorted(key: string, now: number = -Infinity): Map<string, number> {
    this.#find(key, now);
    return this.#collection(key, (value) => value instanceof Map, () => new Map<string, number>());
  }

  /**
   * The counters under a key, to be changed in place; absent ones are made. They stand where a server has a hash.
   * @internal
   */
  counters(key: string, now: number): Map<string, number> {
    return this.sorted(key, now);
  }

  /**
   * The set under a key, to be changed in place; an absent one is made.
   * @internal
   */
  members(key: string, now: number): Set<string> {
    this.#find(key, now);
    return this.#collection(key, (value) => value instanceof Set, () => new Set<string>());
  }

  /**
   * Sends ids to everybody who hears the channel; they come after the present call, as from a server.
   * @internal
   */
  publish(channel: string, ids: readonly string[], record: string | null = null): void {
    const hearers = this.#hearers.get(channel);
    if (!hearers) return;
    for (const hear of hearers) queueMicrotask(() => hearers.has(hear) && hear(ids, record));
  }

  /**
   * Hears a channel until closed.
   * @internal
   */
  subscribe(channel: string, onTold: Hearer): Subscription {
    const hearers = this.#hearers.get(channel) ?? new Set<Hearer>();
    this.#hearers.set(channel, hearers);
    const hear: Hearer = (ids, record) => onTold(ids, record);
    hearers.add(hear);
    return {
      close: () => {
        hearers.delete(hear);
        if (hearers.size === 0 && this.#hearers.get(channel) === hearers) this.#hearers.delete(channel);
      },
    };
  }

  /**
   * Wakes whoever has waited longest for this bell, or leaves a token for the next who looks.
   * @internal
   */
  ring(bell: string, now: number): void {
    for (const waiter of this.#waiters) {
      if (!waiter.bells.includes(bell)) continue;
      this.#waiters.delete(waiter);
      return waiter.wake(bell);
    }
    this.#find(bell, now);
    const tokens = this.list(bell);
    if (tokens.length >= BELL_TOKENS) return;
    tokens.push("1");
    this.expire(bell, now + BELL_LIFE);
  }

  /**
   * Takes a token of the first of these bells that has one.
   * @internal
   */
  takeToken(bells: readonly string[], now: number): string | null {
    return bells.find((key) => this.#find(key, now) && this.list(key).pop() !== undefined) ?? null;
  }

  /**
   * Waits for a token; the answer ends the waiting.
   * @internal
   */
  awaitBell(waiter: BellWaiter): () => void {
    this.#waiters.add(waiter);
    return () => void this.#waiters.delete(waiter);
  }

  /**
   * The whole keyspace by key name, for comparing it with a Redis server and for a curious eye: strings as they are,
   * lists as arrays, sorted sets as `[member, score]` by score, counters alike, sets as sorted arrays. Empty ones and, when `now` is
   * given, expired ones are left out.
   */
  dump(now: number = -Infinity): Record<string, unknown> {
    const dump: Record<string, unknown> = {};
    for (const key of [...this.#entries.keys()].sort()) {
      const value = this.#find(key, now)?.value;
      if (typeof value === "string") dump[key] = value;
      else if (Array.isArray(value) && value.length > 0) dump[key] = [...value];
      else if (value instanceof Map && value.size > 0) dump[key] = [...value].sort(byScore);
      else if (value instanceof Set && value.size > 0) dump[key] = [...value].sort();
    }
    return dump;
  }

  #find(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.expiresAt !== undefined && entry.expiresAt <= now) {
      this.#entries.delete(key);
      return undefined;
    }
    return entry;
  }

  #collection<Kind extends Value>(key: string, is: (value: Value) => boolean, make: () => Kind): Kind {
    const entry = this.#entries.get(key);
    if (entry && is(entry.value)) return entry.value as Kind;
    if (entry) throw new TypeError(`Cannot use ${JSON.stringify(key)}: it holds another type`);
    const value = make();
    this.#entries.set(key, { value });
    return value;
  }
}

/** Redis has no empty lists and sets; here they stay until the next sweep. A string is never empty in this sense. */
function sizeOf(value: Value): number {
  if (typeof value === "string") return 1;
  return Array.isArray(value) ? value.length : value.size;
}

/** The order of a sorted set: by score, then by member. */
export function byScore([a, left]: [string, number], [b, right]: [string, number]): number {
  return left - right || (a < b ? -1 : 1);
}
