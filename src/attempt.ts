/**
 * One attempt: a claimed record, from its params to the outcome in the store.
 *
 * 1. The params are decoded and the handler is found; what cannot run fails at once, with an error that says why.
 * 2. The handler runs (`executor.ts`) under a lease (`leases.ts`); its progress is written at most ten times a second,
 *    the latest only, and nobody waits for that.
 * 3. `settled`: the handler is done with its slot. The result has been serialized, so a result that cannot be is a
 *    failure here already.
 * 4. `written`: the store has answered (`attempt_ending.ts`). Only the fence decides whether the outcome counts.
 *
 * Who keeps many attempts hears of 3 and 4 by its `watcher`; the promises are made for those who ask for them. Of a
 * handler that answers at once all but 4 is over before `start` returns.
 *
 * Rejected: one promise for both. A slot that waits for the store's answer costs a round trip a task. And a chain of
 * promises for the way from 1 to 4: with twenty of them a task that does nothing cost twice as much.
 *
 * Previous: `claim_loop.ts`. Next: `executor.ts`, `leases.ts`, `attempt_ending.ts`.
 *
 * @module
 */
import type { AttemptContext } from "./attempt_context.ts";
import { type Ending, writeEnding } from "./attempt_ending.ts";
import { readParams, resultBody, whenReadable } from "./attempt_values.ts";
import { TaskCancelledError, TaskFailedError } from "./errors.ts";
import { begin, execute, type ExecuteRequest, type Execution } from "./executor.ts";
import { isLater, type NowOrLater } from "./now_or_later.ts";
import { decodeOutcome, type FailedAttempt, type Outcome, type Progress } from "./outcome.ts";
import { ProgressWriter } from "./progress_writer.ts";
import type { TaskRecord } from "./record.ts";
import { encodeError, toError } from "./remote_error.ts";
import { Stopper } from "./stopper.ts";
import { foreignMaxAttempts } from "./store/foreign.ts";
import type { OwnerAnswer, Ownership } from "./store/store.ts";
import { RedisTask, type TaskHooks } from "./task.ts";

/** The default of `attemptTimeout` for a task without a deadline: 30 minutes. */
export const ATTEMPT_TIMEOUT = 1_800_000;

/** Hears how an attempt goes. */
export interface AttemptWatcher {
  /** The handler is done, or was given up. */
  settled(attempt: Attempt): void;
  /** The store has answered, or there was nothing to say. */
  written(attempt: Attempt): void;
}

/** When an attempt was given to us, in monotonic milliseconds. */
export interface AttemptTimes {
  /** Before the call that set the lease was sent. */
  readonly from: number;
  /** Before the first call that may have given us the task, when that was another: the deadline is counted from it. */
  readonly claimedAt?: number;
}

/** Starts the handler of a task that the context's owner was just given; `from` and `claimedAt` as in {@linkcode AttemptTimes}. */
export function startAttempt(record: TaskRecord, context: AttemptContext, from: number, claimedAt = from): Attempt {
  const attempt = new Attempt(record, context);
  attempt.start({ from, claimedAt });
  return attempt;
}

/** An attempt; `start` once. It is what the task in the handler's hands acts through. */
export class Attempt implements TaskHooks {
  readonly ownership: Ownership;
  /** Aborting it ends the attempt; the reason decides how. */
  readonly stopper: Stopper = new Stopper();
  readonly #record: TaskRecord;
  readonly #context: AttemptContext;
  readonly #watcher: AttemptWatcher | undefined;
  /** What earlier attempts left. */
  readonly #last: Progress | null;
  readonly #attempts: readonly FailedAttempt[];
  readonly #settled = new Moment<Execution>();
  readonly #written = new Moment<OwnerAnswer | null>();
  #progress: ProgressWriter | null = null;
  #task: RedisTask | null = null;
  #isOver = false;
  #startedAt = 0;
  #deadline = Infinity;
  #attemptTimeout = Infinity;

  /** Does nothing before `start`. */
  constructor(record: TaskRecord, context: AttemptContext, watcher?: AttemptWatcher) {
    const { id, name, fence } = record;
    this.ownership = { id, name, fence, owner: context.owner };
    this.#record = record;
    this.#context = context;
    this.#watcher = watcher;
    const { progress, attempts } = earlier(record);
    this.#last = progress;
    this.#attempts = attempts;
  }

  /** The handler is done, or was given up. Never rejects. */
  get settled(): Promise<Execution> {
    return this.#settled.promise;
  }

  /** What the store said of the outcome; null when there was nothing to say (abandoned) or no answer came. Never rejects. */
  get written(): Promise<OwnerAnswer | null> {
    return this.#written.promise;
  }

  /** The signal of the task. */
  get signal(): AbortSignal {
    return this.stopper.signal;
  }

  /** Calls the handler. */
  start({ from, claimedAt = from }: AttemptTimes): void {
    const record = this.#record;
    const { id, deadline, since } = record;
    const { clock, leases, unreadable, serializers, attemptTimeout } = this.#context;
    leases.add(this.ownership, this.stopper, from);
    if (record.cancelAsked) this.stopper.abort(new TaskCancelledError(`Cannot start task ${id}: it was cancelled`));
    this.#startedAt = clock.monotonic();
    const stranger = unreadable.find(record, serializers);
    if (stranger !== null) {
      const execution = { state: "abandoned", reason: stranger.error } as const;
      return this.#end({ execution, body: "", delay: stranger.delay });
    }
    if (deadline !== 0) this.#deadline = deadline - since - this.#startedAt + claimedAt;
    this.#attemptTimeout = attemptTimeout ?? (deadline === 0 ? ATTEMPT_TIMEOUT : Infinity);
    let request: ExecuteRequest;
    try {
      request = this.#request();
    } catch (thrown) {
      return this.#end(fatal(thrown));
    }
    begin(request, (execution) => this.#ran(execution));
  }

  /** The present, for the task. */
  now(): number {
    return this.#context.clock.now();
  }

  /** Takes a report of the handler. */
  report(progress: Progress): Promise<void> {
    return this.#writer().report(progress);
  }

  /** Writes the task as it is now. */
  async save({ result }: RedisTask): Promise<void> {
    const body = result === undefined ? "" : await resultBody(this.#record, this.#context, result);
    await this.#writer().save(body);
  }

  #writer(): ProgressWriter {
    const { stopper, ownership } = this;
    const parts = { ownership, stopper, context: this.#context, last: this.#last, attempts: this.#attempts };
    this.#progress ??= new ProgressWriter(parts);
    if (this.#isOver) this.#progress.end();
    return this.#progress;
  }

  #endProgress(): void {
    this.#isOver = true;
    this.#progress?.end();
  }

  #request(): ExecuteRequest {
    const record = this.#record;
    const context = this.#context;
    const taskFn = context.handlerOf(record.name);
    if (taskFn === undefined) {
      throw new TaskFailedError(`Cannot run task ${record.id}: this listener has no handler for "${record.name}"`);
    }
    const params = readParams(record, context);
    const later = isLater(params);
    const task = this.#task = this.#taskOf(later ? undefined : params);
    context.retries.began();
    if (!this.stopper.aborted) context.events?.tell("started", record, { attempt: record.attempt });
    const run = later ? whenReadable(params, taskFn) : taskFn;
    return this.#limited(task, run, this.#deadline, this.#attemptTimeout);
  }

  #limited(
    task: RedisTask,
    taskFn: ExecuteRequest["taskFn"],
    deadline: number,
    attemptTimeout: number,
  ): ExecuteRequest {
    return { task, taskFn, stopper: this.stopper, clock: this.#context.clock, deadline, attemptTimeout };
  }

  /** The task as the handler sees it. */
  #taskOf(params: unknown): RedisTask {
    const record = this.#record;
    const last = this.#last;
    return new RedisTask({
      id: record.id,
      name: record.name,
      params,
      expiry: this.#deadline === Infinity ? Infinity : this.now() + this.#deadline,
      state: "running",
      fence: Number(record.fence),
      attempt: record.attempt,
      maxAttempts: record.kind === "foreign" ? foreignMaxAttempts(record.params) : record.maxAttempts,
      attempts: this.#attempts,
      currentProgress: last === null ? null : last.current,
      totalProgress: last === null ? null : last.total,
      updateProgressTime: last === null ? null : last.updatedAt,
    }, this);
  }

  #ran(execution: Execution): void {
    if (execution.state !== "succeeded") return this.#end(failure(execution));
    let body: NowOrLater<string>;
    try {
      body = resultBody(this.#record, this.#context, execution.value);
    } catch (thrown) {
      return this.#end(fatal(thrown));
    }
    if (!isLater(body)) return this.#end({ execution, body });
    this.#endProgress();
    void this.#encoded(execution, body).then((ending) => this.#end(ending));
  }

  /** A codec that needs time has what is left of the attempt's; it keeps its slot and hears cancels as the handler did. */
  async #encoded(execution: Execution, body: Promise<string>): Promise<Ending> {
    const took = this.#context.clock.monotonic() - this.#startedAt;
    const limits = [this.#deadline - took, this.#attemptTimeout - took] as const;
    const encoded = await execute(this.#limited(this.#task!, () => body, ...limits));
    return encoded.state === "succeeded" ? { execution, body: encoded.value as string } : failure(encoded);
  }

  #end(ending: Ending): void {
    this.#endProgress();
    this.#settled.arrive(ending.execution);
    this.#watcher?.settled(this);
    const { ownership } = this;
    const context = this.#context;
    const took = context.events === undefined ? 0 : context.clock.monotonic() - this.#startedAt;
    const progress = this.#progress === null ? this.#last : this.#progress.last;
    const write = { ownership, context, progress, record: this.#record, attempts: this.#attempts, took };
    writeEnding(write, ending, (answer) => {
      this.#written.arrive(answer);
      this.#watcher?.written(this);
    });
  }
}

/** Something that happens once; a promise of it is made only when somebody asks. */
class Moment<Value extends object | null> {
  #value: Value | undefined;
  #promise: Promise<Value> | undefined;
  #resolve: ((value: Value) => void) | undefined;

  get promise(): Promise<Value> {
    return this.#promise ??= this.#value === undefined
      ? new Promise<Value>((resolve) => this.#resolve = resolve)
      : Promise.resolve(this.#value);
  }

  arrive(value: Value): void {
    this.#value = value;
    this.#resolve?.(value);
  }
}

function failure(execution: Exclude<Execution, { state: "succeeded" }>): Ending {
  return { execution, body: execution.state === "abandoned" ? "" : `!${encodeError(execution.error)}` };
}

/** No other attempt would do better. */
function fatal(thrown: unknown): Ending {
  return { ...failure({ state: "failed", error: toError(thrown) }), fatal: true };
}

/** What earlier attempts left. Anybody can write to Redis: a head that cannot be read counts as none. */
function earlier({ outcome }: TaskRecord): Pick<Outcome, "progress" | "attempts"> {
  try {
    return decodeOutcome(outcome);
  } catch {
    return { progress: null, attempts: [] };
  }
}
