/**
 * The queue: errand's whole public face. It checks what it is given and hands it on; nothing is decided here.
 *
 * Nothing is opened, asked or timed before the first call that needs it, and a script that has its answers ends by
 * itself. One object is one client: it has one id, one inbox, and owns what it runs itself.
 *
 * Next: `calls.ts` (query), `listener.ts` (listen).
 *
 * @module
 */
import { Calls } from "./calls.ts";
import { CANCEL_TIMEOUT, type CancelOptions, type CancelResult, cancelTask } from "./cancel.ts";
import { DeadLetters } from "./dead_letters.ts";
import { keysOf } from "./keys.ts";
import { type Listening, refusedListening, startListening } from "./listening.ts";
import { isLater } from "./now_or_later.ts";
import { checkKeys, checkText } from "./checks.ts";
import {
  checkEnqueue,
  checkExecute,
  checkQuery,
  type EnqueueOptions,
  type ExecuteOptions,
  type ListenOptions,
  type QueryOptions,
  type QueueOptions,
  type QueueSettings,
  settingsOf,
} from "./options.ts";
import { TaskExecutePolicy } from "./policy.ts";
import type { ByShape, ParamsOf, ResultOf } from "./queue_types.ts";
import { refusalOf } from "./remote.ts";
import type { QueueCounts } from "./store/ended.ts";
import { openStore, type RedisConnection } from "./store/open.ts";
import type { Store } from "./store/store.ts";
import { encodeParams, requestOf } from "./submission.ts";
import { Scope } from "./scope.ts";
import { handlerFor, type RedisTask, type TaskFns } from "./task.ts";
import { TaskDesk } from "./task_desk.ts";

/**
 * A queue of tasks on Redis, and the answers to them.
 *
 * @example
 * ```ts
 * import { connect, type RedisTask, RedisTaskQueue } from "@errand/errand";
 *
 * const queue = new RedisTaskQueue(await connect("memory:"), "app", {
 *   taskFn: { double: (task: RedisTask<number>) => task.params * 2 },
 * });
 * console.log(await queue.query("a task", "double", 21)); // 42
 * ```
 */
export class RedisTaskQueue<Fns extends TaskFns = TaskFns> implements AsyncDisposable {
  /** Only for the types, see `ByShape`. */
  readonly #shape?: ByShape<Fns>;
  /** The connection that the queue was made with; it stays yours to close. */
  readonly redis: RedisConnection;
  /** First part of every key. */
  readonly prefix: string;
  /** Second part of every key. */
  readonly suffix: string;
  /** How long a task counts unless a call says otherwise, in milliseconds. */
  readonly timeout: number;
  /** How often the safety net looks, in milliseconds. */
  readonly interval: number;
  /** Does the tasks that run in this process. */
  readonly taskFn: Fns | undefined;
  /** Tasks that failed for good: list, requeue, delete. */
  readonly dead: DeadLetters;
  readonly #settings: QueueSettings;
  readonly #store: Store;
  readonly #client: string;
  readonly #calls: Calls;
  readonly #desk: TaskDesk;
  readonly #listeners = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  readonly #hurry = new AbortController();
  #hasDrained = false;

  /** Makes a queue; nothing is sent. Throws `TypeError` or `RangeError` for a wrong prefix or option. */
  constructor(redis: RedisConnection, prefix: string, options: QueueOptions<Fns> = {}) {
    if (typeof redis !== "object" || redis === null) {
      throw new TypeError(`Cannot use ${String(redis)} as a connection: pass what \`await connect(url)\` returned`);
    }
    const settings = settingsOf(options);
    this.redis = redis;
    this.prefix = checkText("prefix", prefix);
    this.suffix = settings.suffix;
    this.timeout = settings.timeout;
    this.interval = settings.interval;
    this.taskFn = options.taskFn;
    this.#settings = settings;
    this.#store = openStore(redis, keysOf(prefix, settings.suffix), settings.clock, settings.bounds);
    this.#client = settings.random.id();
    const context = { store: this.#store, client: this.#client, settings };
    this.#calls = new Calls(context);
    this.#desk = new TaskDesk(context, this.#calls);
    this.dead = new DeadLetters(context, this.#calls, this.#desk, () => this.#refuseClosed());
  }

  /**
   * Asks for a task and returns its result, wherever it was done.
   *
   * An id that is waiting or running is joined, one that succeeded answers with its stored result. Rejects with the
   * error of the task, with `TaskTimeoutError`, `TaskCancelledError`, `TaskConflictError` (the id belongs to another
   * name), `TaskReplacedError`, `SerializationError`, `ConnectionLostError`, or the reason of `signal`.
   */
  query<Name extends string>(
    id: string,
    name: Name,
    params: ParamsOf<Fns, Name>,
    options: QueryOptions = {},
  ): Promise<ResultOf<Fns, Name>> {
    try {
      this.#check(id, name);
      checkQuery(options);
      const { timeout = this.timeout, policy = TaskExecutePolicy.Auto } = options;
      return this.#calls.call({ ...options, id, name, params, timeout, policy }) as Promise<ResultOf<Fns, Name>>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Hands a task in and does not wait for it: the task as it is now. What was accepted is not lost.
   *
   * Throws `QueueFullError`, `TaskConflictError`, `SerializationError`, `ConnectionLostError`.
   */
  async enqueue<Name extends string>(
    id: string,
    name: Name,
    params: ParamsOf<Fns, Name>,
    options: EnqueueOptions = {},
  ): Promise<RedisTask<ParamsOf<Fns, Name>, ResultOf<Fns, Name>>> {
    this.#check(id, name);
    checkEnqueue(options);
    const { timeout = Infinity, delay = 0, ifExists = "join" } = options;
    const submission = this.#calls.submit({ ...options, id, name, params, timeout });
    const encoded = encodeParams(submission, this.#settings);
    const text = isLater(encoded) ? await encoded : encoded;
    const rest = { kind: "enqueued", params: text, delay, ifExists } as const;
    const answer = await this.#store.enqueue(requestOf(submission, this.#settings.clock, rest));
    if (answer.verdict === "ended" || answer.verdict === "owned") {
      return await this.#desk.show(answer.record) as RedisTask<ParamsOf<Fns, Name>, ResultOf<Fns, Name>>;
    }
    if (answer.verdict !== "accepted" && answer.verdict !== "joined") throw refusalOf(submission, answer);
    this.#settings.events?.tell(answer.verdict === "accepted" ? "enqueued" : "joined", submission);
    const task = this.#desk.build<ParamsOf<Fns, Name>, ResultOf<Fns, Name>>(id, name, params, timeout);
    task.state = answer.state;
    return task;
  }

  /**
   * Does tasks of these names until `signal` aborts; resolves when the listener has stopped. What it returns also tells
   * whether it consumes: `await listening.health()`.
   *
   * Rejects with `TypeError` for a name without a function, `RangeError` for no name, more than 256, or wrong workers.
   */
  listen(names: string | readonly string[], options: ListenOptions = {}): Listening {
    try {
      this.#refuseClosed();
      const list = typeof names === "string" ? [names] : names;
      for (const name of list) this.#checkHandler(name);
      const listening = startListening(list, options, {
        ...{ redis: this.redis, store: this.#store, settings: this.#settings },
        closing: this.#closing.signal,
        hurry: this.#hurry.signal,
      });
      const forget = () => void this.#listeners.delete(listening);
      this.#listeners.add(listening);
      listening.then(forget, forget);
      return listening;
    } catch (error) {
      return refusedListening(error);
    }
  }

  /**
   * The task of an id as it is now, or null. `once`: an ended one is deleted, and no other reader gets it; one that
   * has not ended, or that others have joined, stays. Throws `SerializationError` when it cannot be read; params of a
   * serializer that this queue lacks throw it only when they are asked for.
   */
  async getTask(id: string, options: { readonly once?: boolean } = {}): Promise<RedisTask | null> {
    this.#check(id);
    checkKeys("getTask", options, ["once"]);
    return await this.#desk.get(id, options.once ?? false);
  }

  /** Is there a task of this id, in whatever state? */
  async hasTask(id: string): Promise<boolean> {
    this.#check(id);
    return await this.#desk.has(id);
  }

  /**
   * Stores a task without running it: with its result or error, if it has one. Throws `TaskConflictError` when another
   * run of this id is there, live or ended, and `TypeError` for a task that waits or runs.
   */
  async setTask(task: RedisTask): Promise<void> {
    this.#check(task.id, task.name);
    await this.#desk.set(task);
  }

  /** Makes a task that is stored nowhere yet; `timeout` in milliseconds is the queue's by default. */
  buildTask<Name extends string>(
    id: string,
    name: Name,
    params: ParamsOf<Fns, Name>,
    options: { readonly timeout?: number } = {},
  ): RedisTask<ParamsOf<Fns, Name>, ResultOf<Fns, Name>> {
    this.#check(id, name);
    checkExecute("buildTask", options, ["timeout"]);
    return this.#desk.build(id, name, params, options.timeout ?? this.timeout);
  }

  /** Runs a task in this process and returns its result; `task` has its end afterwards. Throws what the function throws. */
  async executeTaskLocally<Params, Result>(
    task: RedisTask<Params, Result>,
    options: Pick<ExecuteOptions, "timeout"> = {},
  ): Promise<Result> {
    checkExecute("executeTaskLocally", options, ["timeout"]);
    this.#check(task.id, task.name);
    return await this.#calls.execute(task, options, TaskExecutePolicy.Local);
  }

  /** Runs a task through the queue and returns its result; `task` has its end afterwards. Rejects as `query` does. */
  async executeTaskRemotely<Params, Result>(
    task: RedisTask<Params, Result>,
    options: ExecuteOptions = {},
  ): Promise<Result> {
    checkExecute("executeTaskRemotely", options, ["timeout", "once"]);
    this.#check(task.id, task.name);
    return await this.#calls.execute(task, options, TaskExecutePolicy.Remote);
  }

  /** How much there is under a name; what waits or runs may be counted a little too high. */
  async counts(name: string): Promise<QueueCounts> {
    this.#refuseClosed();
    return await this.#store.counts(checkText("name", name));
  }

  /** Says that somebody listens to the name, for three intervals from now: Auto believes it. Listeners do this themselves. */
  async setQueueListened(name: string): Promise<void> {
    checkText("name", name);
    await this.#store.markListened([name], this.#client, this.interval * 3);
  }

  /**
   * Cancels a task and tells what became of it: one that waits never starts, one that runs is told, and its end is
   * waited for. What runs in no queue (policy Local) is reached from its own queue object only.
   */
  async cancel(id: string, options: CancelOptions = {}): Promise<CancelResult> {
    this.#check(id);
    checkExecute("cancel", options, ["timeout"]);
    const context = { ...this.#settings, store: this.#store, calls: this.#calls, closing: this.#closing.signal };
    return await cancelTask(id, options.timeout ?? CANCEL_TIMEOUT, context);
  }

  /**
   * Stops the listeners of this queue, ends its waits (`ConnectionLostError`), gives back what it runs for the queue,
   * and resolves when that is done. The connection stays open. Until the listeners have stopped, the tasks that still
   * run in them may ask this queue; nobody else may.
   * `atOnce`: running tasks have no grace, they are given back now. @default false
   */
  async close(options: { readonly atOnce?: boolean } = {}): Promise<void> {
    checkKeys("close", options, ["atOnce"]);
    this.#closing.abort();
    if (options.atOnce) this.#hurry.abort();
    await Promise.allSettled([...this.#listeners]);
    this.#hasDrained = true;
    await this.#calls.close();
  }

  /** The same as {@linkcode RedisTaskQueue.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #check(id: string, name?: string): void {
    this.#refuseClosed();
    checkText("id", id);
    if (name !== undefined) checkText("name", name);
  }

  #refuseClosed(): void {
    if (!this.#closing.signal.aborted) return;
    // A handler that was refused here would fail its task, for nothing that either did.
    if (!this.#hasDrained && Scope.current() !== undefined) return;
    throw new TypeError("Cannot use a queue that was closed: make another one");
  }

  #checkHandler(name: string): void {
    if (handlerFor(this.#settings.taskFn, checkText("name", name)) !== undefined) return;
    throw new TypeError(`Cannot listen to "${name}": taskFn has no function for it; add one, or leave the name out`);
  }
}
