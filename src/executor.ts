/**
 * Runs one handler once and says how that ended. It knows no Redis: the same code runs a claimed task and a local one.
 *
 * 1. `begin` calls the handler inside its scope (`scope.ts`), so that what it asks for has no more time than it has
 *    itself. Only one that does not answer at once gets its limits armed: the deadline, and the attempt's own.
 * 2. Whichever comes first ends the execution: the handler settles, or the stopper aborts (a limit, a lost lease, a
 *    cancel, a listener that stops). The reason of the abort decides the state.
 * 3. A handler that settles later is ignored; it cannot be killed, only told by `task.signal`.
 *
 * Rejected: waiting for a handler after its abort. One that never settles would keep its slot for ever.
 *
 * @module
 */
import { type Alarm, alarmsOf } from "./alarms.ts";
import type { Clock } from "./clock.ts";
import {
  LeaseLostError,
  ListenerStoppedError,
  TaskCancelledError,
  TaskFailedError,
  TaskTimeoutError,
} from "./errors.ts";
import { isLater } from "./now_or_later.ts";
import { toError } from "./remote_error.ts";
import { Scope } from "./scope.ts";
import type { Stopper } from "./stopper.ts";
import type { RedisTask, TaskFn } from "./task.ts";

/** How an execution ended. */
export type Execution =
  /** The handler returned `value`. */
  | { readonly state: "succeeded"; readonly value: unknown }
  /** It threw, or was ended by its deadline, its attempt's limit or a cancel. */
  | { readonly state: "failed" | "cancelled" | "expired"; readonly error: Error }
  /** The task is no longer ours: nothing of this attempt may be written. */
  | { readonly state: "abandoned"; readonly reason: Error };

/** What {@linkcode execute} needs. */
export interface ExecuteRequest {
  readonly task: RedisTask;
  readonly taskFn: TaskFn;
  /** What is behind `task.signal`. */
  readonly stopper: Stopper;
  /** Milliseconds left until the task expires; absent = no deadline. */
  readonly deadline?: number;
  /** Milliseconds that this attempt may take; absent = no limit. */
  readonly attemptTimeout?: number;
  readonly clock: Clock;
}

/** Calls the handler. Never rejects; settles as soon as the stopper aborts, also when the handler never does. */
export function execute(request: ExecuteRequest): Promise<Execution> {
  return new Promise((resolve) => begin(request, resolve));
}

/** The same with a callback, which is called once: before this returns, when the handler answers at once. */
export function begin(request: ExecuteRequest, ended: (execution: Execution) => void): void {
  const { task, stopper, deadline = Infinity, attemptTimeout = Infinity } = request;
  if (deadline <= 0) stopper.abort(expiredError(task));
  else if (attemptTimeout <= 0) stopper.abort(limitError(task, attemptTimeout));
  if (stopper.aborted) ended(executionOfAbort(stopper.reason));
  else new Run(request, ended).call();
}

/** One handler that was called. */
class Run {
  readonly #request: ExecuteRequest;
  readonly #ended: (execution: Execution) => void;
  readonly #from: number;
  readonly #scope: Scope;
  #alarm: Alarm | null = null;
  #isOver = false;

  constructor(request: ExecuteRequest, ended: (execution: Execution) => void) {
    const { task, stopper, clock, deadline = Infinity, attemptTimeout = Infinity } = request;
    this.#request = request;
    this.#ended = ended;
    this.#from = clock.monotonic();
    this.#scope = new Scope(task.id, { clock, end: this.#from + Math.min(deadline, attemptTimeout), stopper });
  }

  call(): void {
    const { task, taskFn, stopper } = this.#request;
    let answer: unknown;
    let later: boolean;
    try {
      answer = this.#scope.run(taskFn as TaskFn<unknown>, task);
      later = isLater(answer);
    } catch (thrown) {
      return this.#settle(this.#thrown(thrown));
    }
    if (later) this.#follow(answer);
    else this.#scope.close();
    if (stopper.aborted) return this.#end(executionOfAbort(stopper.reason));
    if (later) return this.#arm();
    this.#end({ state: "succeeded", value: answer });
  }

  /** A foreign thenable ends in a promise of our own. */
  #follow(answer: unknown): void {
    Promise.resolve(answer).then(
      (value) => this.#settle({ state: "succeeded", value }),
      (thrown) => this.#settle(this.#thrown(thrown)),
    );
  }

  #settle(execution: Execution): void {
    this.#scope.close();
    this.#end(execution);
  }

  #end(execution: Execution): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#alarm !== null) alarmsOf(this.#request.clock).cancel(this.#alarm);
    this.#ended(execution);
  }

  /** Whichever limit comes first ends the attempt; the deadline, when both come at once. */
  #arm(): void {
    const { task, stopper, clock, deadline = Infinity, attemptTimeout = Infinity } = this.#request;
    stopper.onAbort(() => this.#end(executionOfAbort(stopper.reason)));
    this.#alarm = alarmsOf(clock).set(
      this.#from + Math.min(deadline, attemptTimeout),
      () => stopper.abort(deadline <= attemptTimeout ? expiredError(task) : limitError(task, attemptTimeout)),
    );
  }

  #thrown(thrown: unknown): Execution {
    const { task, clock, deadline = Infinity } = this.#request;
    return executionOfThrow(thrown, clock.monotonic() >= this.#from + deadline || clock.now() > task.expiry);
  }
}

function expiredError({ id }: RedisTask): Error {
  return new TaskTimeoutError(`Cannot finish task ${id}: its time is over`);
}

function limitError({ id }: RedisTask, limit: number): Error {
  return new TaskFailedError(
    `Cannot finish task ${id}: its attempt took longer than attemptTimeout (${limit} ms)`,
  );
}

function executionOfAbort(reason: unknown): Execution {
  const error = toError(reason);
  if (error instanceof TaskTimeoutError) return { state: "expired", error };
  if (error instanceof TaskCancelledError) return { state: "cancelled", error };
  if (error instanceof LeaseLostError || error instanceof ListenerStoppedError) {
    return { state: "abandoned", reason: error };
  }
  return { state: "failed", error };
}

/** `task.update` throws a timeout error on an expired task; the same error from a query of the handler's own is a failure. */
function executionOfThrow(thrown: unknown, expired: boolean): Execution {
  const error = toError(thrown);
  return { state: expired && error instanceof TaskTimeoutError ? "expired" : "failed", error };
}
