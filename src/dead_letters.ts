/**
 * The dead letters of a queue: enqueued tasks that failed for good, and what listeners had to set aside because it cannot
 * be read. They are looked at, queued again, or deleted here. (A `query` that fails tells its caller; it is no dead letter.)
 *
 * They are bounded by count and age (`deadMax`, `deadTtl`); the store trims them.
 *
 * Previous: `queue.ts`. Next: `store/store.ts`.
 *
 * @module
 */
import type { Calls } from "./calls.ts";
import { checkCount, checkKeys, checkText, show } from "./checks.ts";
import { SerializationError, type TaskState } from "./errors.ts";
import type { DeadLetter as StoredLetter } from "./store/ended.ts";
import type { ClientContext } from "./submission.ts";
import type { RedisTask } from "./task.ts";
import type { TaskDesk } from "./task_desk.ts";

/** One dead letter. */
export interface DeadLetter {
  /** Its id. */
  readonly id: string;
  /** The name under which it died. */
  readonly name: string;
  /** When, epoch milliseconds by Redis' clock. */
  readonly diedAt: number;
  /**
   * The failed task: its params, its error and all its attempts. Null when it cannot be read. Params of a serializer that
   * is unknown here throw `SerializationError` when they are asked for.
   */
  readonly task: RedisTask | null;
  /** The text that stands in Redis instead of what cannot be read: the whole record, or the params. Null otherwise. */
  readonly raw: string | null;
}

/** Options of {@linkcode DeadLetters.list}. */
export interface DeadListOptions {
  /** At most so many, 1 to 100; very large ones make a page shorter. @default 100 */
  readonly limit?: number;
  /** How many to leave out. @default 0 */
  readonly offset?: number;
}

/** What became of letters that were requeued or removed. */
export interface DeadChange {
  /** The ids for which it was done. */
  readonly done: readonly string[];
  /** The others, with the state they are in now; null = there is no such task, or it cannot be read. */
  readonly refused: readonly { readonly id: string; readonly state: TaskState | "deleted" | null }[];
}

/** Letters looked at in one call. */
const PAGE = 100;
/** Whether it was done, or the state that stood against it. */
type Verdict = true | TaskState | "deleted" | null;

/**
 * Dead letters, of {@linkcode RedisTaskQueue.dead}.
 *
 * @example
 * ```ts
 * import { connect, RedisTaskQueue } from "@errand/errand";
 *
 * const queue = new RedisTaskQueue(await connect("memory:"), "app");
 * for (const { id, task } of await queue.dead.list("resize")) console.log(id, task?.error?.message);
 * await queue.dead.requeueAll("resize");
 * ```
 */
export class DeadLetters {
  readonly #context: ClientContext;
  readonly #calls: Calls;
  readonly #desk: TaskDesk;
  readonly #refuseClosed: () => void;

  /** Made by the queue; `refuseClosed` throws when that was closed. */
  constructor(context: ClientContext, calls: Calls, desk: TaskDesk, refuseClosed: () => void) {
    this.#refuseClosed = refuseClosed;
    this.#context = context;
    this.#calls = calls;
    this.#desk = desk;
  }

  /** The dead letters of a name, the newest first. One that cannot be read is shown with its text. */
  async list(name: string, options: DeadListOptions = {}): Promise<DeadLetter[]> {
    this.#check(name);
    checkKeys("dead.list", options, ["limit", "offset"]);
    const limit = checkCount("limit", options.limit, 1, PAGE) ?? PAGE;
    const offset = checkCount("offset", options.offset, 0, Number.MAX_SAFE_INTEGER) ?? 0;
    const { entries } = await this.#context.store.dead(name, { limit, offset, newestFirst: true });
    return await Promise.all(entries.map((letter) => this.#read(name, letter)));
  }

  /** How many dead letters a name has. */
  async count(name: string): Promise<number> {
    this.#check(name);
    return (await this.#context.store.counts(name)).dead;
  }

  /**
   * Queues failed tasks again: each starts with its first attempt, without a deadline, under a higher fence. What was set
   * aside cannot be: it is refused.
   */
  async requeue(ids: string | readonly string[]): Promise<DeadChange> {
    return await this.#change(ids, (id) => this.#requeue(id));
  }

  /** Queues again all that are there now, the oldest first; how many those were. One that dies again meanwhile stays. */
  async requeueAll(name: string): Promise<number> {
    return await this.#changeAll(name, (id) => this.#requeue(id));
  }

  /** Deletes dead letters. `name` is needed only for what was set aside: nothing else tells where it stood. */
  async remove(ids: string | readonly string[], options: { readonly name?: string } = {}): Promise<DeadChange> {
    checkKeys("dead.remove", options, ["name"]);
    if (options.name !== undefined) checkText("name", options.name);
    return await this.#change(ids, (id) => this.#remove(id, options.name));
  }

  /** Deletes all that are there now; how many those were. */
  async removeAll(name: string): Promise<number> {
    return await this.#changeAll(name, (id) => this.#remove(id, name));
  }

  async #read(name: string, { id, diedAt, record, raw }: StoredLetter): Promise<DeadLetter> {
    if (record === null) return { id, name, diedAt, task: null, raw };
    try {
      const task = await this.#desk.show(record);
      return { id, name, diedAt, task, raw: canReadParams(task) ? null : record.params };
    } catch {
      // What cannot be read is what somebody looks for: it must not hide the other letters.
      return { id, name, diedAt, task: null, raw: record.params };
    }
  }

  async #requeue(id: string): Promise<Verdict> {
    const answer = await this.#context.store.requeue({ id, nonce: this.#calls.nextNonce() });
    return answer.verdict === "refused" ? answer.state : true;
  }

  /** A live or succeeded task is no dead letter, nor is the failure of a `query`: only what has died, or cannot be read, is deleted. */
  async #remove(id: string, name: string | undefined): Promise<Verdict> {
    const { store } = this.#context;
    const header = await store.readHeader(id).catch((error) => {
      if (error instanceof RangeError || error instanceof SerializationError) return null; // It was set aside.
      throw error;
    });
    const isDead = header?.state === "failed" && (header.kind === "enqueued" || header.kind === "foreign");
    if (header !== null && !isDead) return header.state;
    const of = name === undefined ? {} : { name };
    const answer = await store.remove(header === null ? { id, ...of } : { id, nonce: header.nonce, ...of });
    return answer.verdict === "refused" ? answer.state : true;
  }

  #check(name: string): void {
    this.#refuseClosed();
    checkText("name", name);
  }

  async #change(ids: string | readonly string[], change: (id: string) => Promise<Verdict>): Promise<DeadChange> {
    this.#refuseClosed();
    if (typeof ids !== "string" && !Array.isArray(ids)) {
      throw new TypeError(`Cannot use ${show(ids)} as ids of dead letters: it must be an id or a list of them`);
    }
    const list = [...new Set(typeof ids === "string" ? [ids] : ids)];
    for (const id of list) checkText("id", id);
    const verdicts = await inParts(list, change);
    const all = list.map((id, at) => ({ id, state: verdicts[at]! }));
    return {
      done: all.filter(({ state }) => state === true).map(({ id }) => id),
      refused: all.flatMap(({ id, state }) => state === true ? [] : [{ id, state: state ?? null }]),
    };
  }

  /**
   * Those of the start are the oldest: whatever dies meanwhile comes after the newest of them, and after as many as they
   * were, should it die in the same millisecond.
   */
  async #changeAll(name: string, change: (id: string) => Promise<Verdict>): Promise<number> {
    this.#check(name);
    const { store } = this.#context;
    const newest = await store.dead(name, { limit: 1, newestFirst: true });
    const until = newest.entries[0]?.diedAt ?? -Infinity;
    let [left, offset, done] = [newest.total, 0, 0];
    while (left > 0) {
      const { entries } = await store.dead(name, { offset, limit: PAGE });
      const page = entries.slice(0, left).filter(({ diedAt }) => diedAt <= until);
      if (page.length === 0) break;
      const verdicts = await inParts(page.map(({ id }) => id), change);
      const changed = verdicts.filter((verdict) => verdict === true).length;
      done += changed;
      offset += page.length - changed;
      left -= page.length;
    }
    return done;
  }
}

/** Params of a serializer that is unknown here throw when they are asked for. */
function canReadParams(task: RedisTask): boolean {
  try {
    void task.params;
    return true;
  } catch {
    return false;
  }
}

/** Some at a time: calls of one turn share a write, and a million of them share the memory. */
async function inParts(ids: readonly string[], change: (id: string) => Promise<Verdict>): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (let at = 0; at < ids.length; at += PAGE) {
    verdicts.push(...await Promise.all(ids.slice(at, at + PAGE).map(change)));
  }
  return verdicts;
}
