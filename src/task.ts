/**
 * A task as users see it: what a handler is called with, what `getTask` returns, what `setTask` takes.
 *
 * It is plain data with two verbs, `update` and `save`, whose effects are hooks that the maker of the task sets: the
 * queue for a task of this process, the attempt for a claimed one. So this module knows no store, and a task made by
 * hand is a complete task. Rejected: a task that keeps a reference to its queue, because a handler could then reach
 * every other task and because tests would need a queue to make one.
 *
 * @module
 */
import { systemClock } from "./clock.ts";
import { type TaskState, TaskTimeoutError } from "./errors.ts";
import type { FailedAttempt, Progress } from "./outcome.ts";

/** What a {@linkcode RedisTask} does through its maker. */
export interface TaskHooks {
  /** Aborts when the task is to stop. */
  readonly signal?: AbortSignal;
  /** Stores the task: called by `save`. */
  readonly save?: (task: RedisTask) => Promise<void>;
  /** Stores how far the task is: called by `update`. */
  readonly report?: (progress: Progress) => Promise<void>;
  /** The present, epoch milliseconds. */
  readonly now?: () => number;
}

/** What a {@linkcode RedisTask} is made of; all but `id`, `name` and `params` may be left out. */
export interface RedisTaskInit<Params = unknown, Result = unknown> extends TaskHooks {
  /** Names the task among all tasks of its queue. */
  readonly id: string;
  /** Names the kind of work. */
  readonly name: string;
  /** The input of the handler. */
  readonly params: Params;
  /** Epoch milliseconds after which nothing of the task counts any more. @default Infinity */
  readonly expiry?: number;
  /** What the handler returned. */
  readonly result?: Result;
  /** Why it did not succeed. */
  readonly error?: Error;
  /** Where the task is in its life. @default "stored" */
  readonly state?: TaskState;
  /** Names one ownership, see {@linkcode RedisTask.fence}. @default 0 */
  readonly fence?: number;
  /** 1 in the first attempt. @default 0 */
  readonly attempt?: number;
  /** How many attempts it may have. @default 1 */
  readonly maxAttempts?: number;
  /** Those that failed. @default [] */
  readonly attempts?: readonly FailedAttempt[];
  /** Steps done. @default null */
  readonly currentProgress?: number | null;
  /** Steps in all. @default null */
  readonly totalProgress?: number | null;
  /** Epoch milliseconds of the last `update`. @default null */
  readonly updateProgressTime?: number | null;
}

/**
 * One unit of work.
 *
 * @example
 * ```ts
 * import { RedisTask } from "@errand/errand";
 *
 * const task = new RedisTask({ id: "photo-7", name: "resize", params: { width: 200 } });
 * console.log(task.state, task.expiry); // "stored", Infinity
 * ```
 */
export class RedisTask<Params = unknown, Result = unknown> {
  /** Names the task among all tasks of its queue. */
  readonly id: string;
  /** Names the kind of work: which queue it waits in, which handler does it. */
  readonly name: string;
  /** The input of the handler. A handler that changes it does not change what a later attempt sees. */
  params: Params;
  /** Epoch milliseconds after which nothing of the task counts any more; `Infinity` when it has no deadline. */
  readonly expiry: number;
  /** What the handler returned, once it did. */
  result: Result | undefined;
  /** Why the task did not succeed. */
  error: Error | undefined;
  /** The state that the task was in when this object was made. */
  state: TaskState;
  /**
   * A number that grows with every ownership of this id, exact in a double; 0 = never claimed. Hand it to a database
   * that refuses writes with a smaller one, and a handler that was thought dead cannot spoil what its successor did.
   */
  readonly fence: number;
  /** 1 in the first attempt, 0 before it. */
  readonly attempt: number;
  /** How many attempts it may have; lost leases count, and are not limited by it. */
  readonly maxAttempts: number;
  /** The attempts that failed, oldest first: the first and the last nine. */
  readonly attempts: readonly FailedAttempt[];
  /** Steps done, as last told to {@linkcode RedisTask.update}; null before. */
  currentProgress: number | null;
  /** Steps in all, as last told to {@linkcode RedisTask.update}; null before. */
  totalProgress: number | null;
  /** Epoch milliseconds of the last {@linkcode RedisTask.update}; null before. */
  updateProgressTime: number | null;
  readonly #hooks: TaskHooks;
  #signal: AbortSignal | undefined;

  /**
   * Makes a task; nothing is stored until `setTask`, `save`, `enqueue` or `query`. `hooks`: when they are not members of
   * `init`, but of one object for the whole life of the task.
   */
  constructor(init: RedisTaskInit<Params, Result>, hooks: TaskHooks = init) {
    this.id = init.id;
    this.name = init.name;
    this.params = init.params;
    this.expiry = init.expiry ?? Infinity;
    this.result = init.result;
    this.error = init.error;
    this.state = init.state ?? "stored";
    this.fence = init.fence ?? 0;
    this.attempt = init.attempt ?? 0;
    this.maxAttempts = init.maxAttempts ?? 1;
    this.attempts = init.attempts ?? [];
    this.currentProgress = init.currentProgress ?? null;
    this.totalProgress = init.totalProgress ?? null;
    this.updateProgressTime = init.updateProgressTime ?? null;
    this.#hooks = hooks;
  }

  /** Aborts when the task is to stop: its `reason` says why (expired, cancelled, lease lost, listener stopped). */
  get signal(): AbortSignal {
    // Made when it is asked for: most handlers do without, and a signal is dear.
    return this.#signal ??= this.#hooks.signal ?? new AbortController().signal;
  }

  /**
   * Says how far the task is: `current` of `total` steps.
   *
   * Throws `TypeError` for anything but finite numbers, and `TaskTimeoutError` once the task has expired, which is
   * how a long handler that looks at nothing else learns to stop. A handler that does not await it is not harmed.
   */
  update(current: number, total: number): Promise<void> {
    return harmless(this.#update(current, total));
  }

  async #update(current: number, total: number): Promise<void> {
    if (!Number.isFinite(current) || !Number.isFinite(total)) {
      throw new TypeError(
        `Cannot update task ${this.id}: progress must be two finite numbers, not ${current} and ${total}`,
      );
    }
    const updatedAt = this.#hooks.now?.() ?? systemClock.now();
    if (updatedAt > this.expiry) {
      throw new TaskTimeoutError(`Cannot update task ${this.id}: it expired ${updatedAt - this.expiry} ms ago`);
    }
    this.currentProgress = current;
    this.totalProgress = total;
    this.updateProgressTime = updatedAt;
    await this.#hooks.report?.({ current, total, updatedAt });
  }

  /**
   * Stores the task as it is now. Throws `TypeError` for a task made by hand, which no queue knows (use
   * `queue.setTask(task)`), and what `setTask` throws otherwise.
   */
  save(): Promise<void> {
    return harmless(this.#saveNow());
  }

  async #saveNow(): Promise<void> {
    if (this.#hooks.save === undefined) {
      throw new TypeError(`Cannot save task ${this.id}: it belongs to no queue; use queue.setTask(task)`);
    }
    await this.#hooks.save(this);
  }
}

/** A rejection that nobody awaits would end the process, and with it every other task. */
function harmless(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

/**
 * A user's function: does one task and returns its result, or throws.
 *
 * `Params` is `never` by default so that a handler of any params can stand where a `TaskFn` is asked for.
 */
export type TaskFn<Params = never, Result = unknown> = (task: RedisTask<Params, unknown>) => Result | Promise<Result>;

/** One function for all names, or a map of name → function. */
export type TaskFns = TaskFn | Readonly<Record<string, TaskFn>>;

/** The function that does tasks of this name, or undefined. Only own members of a map count: a task may be called `constructor`. */
export function handlerFor(taskFn: TaskFns | undefined, name: string): TaskFn | undefined {
  if (typeof taskFn === "function" || taskFn === undefined) return taskFn;
  return Object.hasOwn(taskFn, name) ? taskFn[name] : undefined;
}
