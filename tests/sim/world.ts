/**
 * The data of the simulated Redis: a {@linkcode MemoryRedis} whose records are watched, whose messages go over the
 * simulated network, and which can be copied, rolled back, emptied and robbed.
 *
 * @module
 */
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";

/** What stood in Redis at one instant. */
export type Snapshot = readonly { readonly key: string; readonly value: unknown; readonly expiresAt?: number }[];

/** What a world tells. */
export interface WorldHooks {
  /** What became of a record in one item of a call: its texts before and after. */
  onChange(id: string, before: string | null, after: string | null): void;
  onMessage(channel: string, ids: readonly string[], record: string | null): void;
}

const RECORD = "|task-result:";

/** The data of one simulation. */
export class SimWorld extends MemoryRedis {
  /** Epoch milliseconds of the script that runs. */
  scriptTime = 0;
  readonly #hooks: WorldHooks;
  /** Records written since the last commit, as they were before. */
  readonly #touched = new Map<string, string | null>();

  /** An empty one. */
  constructor(hooks: WorldHooks) {
    super();
    this.#hooks = hooks;
  }

  override set(key: string, value: string, expiresAt?: number): void {
    if (!this.#touched.has(key) && key.includes(RECORD)) this.#touched.set(key, this.get(key, this.scriptTime));
    super.set(key, value, expiresAt);
  }

  /** One item of a call is done: tells what became of the records that it wrote. */
  commit(): void {
    if (this.#touched.size === 0) return;
    const touched = [...this.#touched];
    this.#touched.clear();
    for (const [key, before] of touched) {
      this.#hooks.onChange(key.slice(key.indexOf(RECORD) + RECORD.length), before, this.get(key, this.scriptTime));
    }
  }

  /** What was written since the last commit is not told. */
  forget(): void {
    this.#touched.clear();
  }

  override publish(channel: string, ids: readonly string[], record: string | null = null): void {
    this.#hooks.onMessage(channel, ids, record);
  }

  /** All that stands here now. */
  snapshot(now: number): Snapshot {
    return Object.entries(this.dump(now)).map(([key, value]) => {
      const expiresAt = this.expiresAt(key, now);
      return typeof expiresAt === "number" ? { key, value, expiresAt } : { key, value };
    });
  }

  /** Nothing is left. */
  empty(): void {
    for (const key of Object.keys(this.dump())) this.delete(key);
  }

  /** What stood here once stands here again; life times go on from their own ends. */
  restore(snapshot: Snapshot): void {
    this.empty();
    for (const { key, value, expiresAt } of snapshot) {
      if (typeof value === "string") super.set(key, value, expiresAt);
      else if (key.includes("|task-joined:")) {
        for (const member of value as string[]) this.members(key, 0).add(member);
      } else if (Array.isArray((value as unknown[])[0])) this.#restoreScores(key, value as [string, number][]);
      else this.list(key).push(...value as string[]);
      this.expire(key, expiresAt);
    }
  }

  #restoreScores(key: string, entries: readonly [string, number][]): void {
    const scores = this.sorted(key);
    for (const [member, score] of entries) scores.set(member, score);
  }
}
