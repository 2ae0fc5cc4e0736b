/**
 * Tasks as data: made, stored, read and forgotten, without anybody running or asking for them.
 *
 * Previous: `queue.ts`. Next: `submission.ts`, `store/store.ts`.
 *
 * @module
 */
import type { Calls } from "./calls.ts";
import { TaskConflictError, type TaskState } from "./errors.ts";
import type { NowOrLater } from "./now_or_later.ts";
import { checkDuration } from "./checks.ts";
import type { TaskRecord } from "./record.ts";
import { type ClientContext, putOf, taskOf } from "./submission.ts";
import { RedisTask } from "./task.ts";
import { hasEnded } from "./waiter.ts";

/** Makes, stores and reads the tasks of one client. */
export class TaskDesk {
  readonly #context: ClientContext;
  readonly #calls: Calls;
  /** The nonce under which a task was stored, so that it may be stored again. */
  readonly #stored = new WeakMap<RedisTask, string>();

  /** Holds no task. */
  constructor(context: ClientContext, calls: Calls) {
    this.#context = context;
    this.#calls = calls;
  }

  /** A task that is stored nowhere yet; `timeout` in milliseconds. */
  build<Params, Result>(id: string, name: string, params: Params, timeout: number): RedisTask<Params, Result> {
    const { now } = this.#context.settings.clock;
    return new RedisTask({ id, name, params, expiry: now() + timeout, now, save: (task) => this.set(task) });
  }

  /** The task of a record. */
  show(record: TaskRecord): NowOrLater<RedisTask> {
    const { settings } = this.#context;
    return taskOf(record, { codecs: settings, clock: settings.clock, save: (task) => this.set(task) });
  }

  /** The task of an id, or null; `once` deletes an ended one that nobody else waits for. */
  async get(id: string, once: boolean): Promise<RedisTask | null> {
    const { store, client: reader } = this.#context;
    const record = once ? await store.take({ id, reader }) : await store.read(id);
    if (record === null) return null;
    const task = await this.show(record);
    if (once && hasEnded(record)) await store.acknowledge({ id, reader, nonce: record.nonce });
    return task;
  }

  /** Is there a task of this id? */
  async has(id: string): Promise<boolean> {
    const header = await this.#context.store.readHeader(id);
    return header !== null && header.state !== "deleted";
  }

  /**
   * Stores a task without running it. Throws `TypeError` for one that waits or runs, `TaskConflictError` when another
   * run is there and is live or has ended.
   */
  async set(task: RedisTask): Promise<void> {
    const { store, client: owner, settings } = this.#context;
    const { id, name, params, expiry } = task;
    const state = storableState(task);
    const left = Math.max(0, expiry - settings.clock.now());
    const timeout = checkDuration(`what is left until the expiry of task ${id},`, left, { infinite: true });
    const nonce = this.#stored.get(task);
    const submission = this.#calls.submit({ id, name, params, timeout, ...nonce ? { nonce } : {} });
    this.#stored.set(task, submission.nonce);
    task.state = state;
    const context = { kind: "enqueued", codecs: settings, clock: settings.clock, owner } as const;
    const answer = await store.put(await putOf(submission, task, context));
    if (answer.verdict === "written") return;
    throw new TaskConflictError(
      `Cannot store task ${id}: another run of the same id is ${answer.state}; use another id`,
    );
  }
}

/** Only the queue itself makes a task wait or run: a record that says so, in no queue, is never done by anybody. */
function storableState(task: RedisTask): TaskState {
  const { id, state, error, result } = task;
  if (state === "scheduled" || state === "queued" || state === "running") {
    throw new TypeError(
      `Cannot store task ${id}: it is ${state}; enqueue it, or store one that is stored or has ended`,
    );
  }
  if (state !== "stored") return state;
  if (error !== undefined) return "failed";
  return result !== undefined ? "succeeded" : state;
}
