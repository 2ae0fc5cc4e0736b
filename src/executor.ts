/**
 * Runs one handler once and says how that ended. It knows no Redis: the same code runs a claimed task and a local one.
 *
 * 1. `execute` arms the deadline and the attempt's own limit, then calls the handler inside its scope (`scope.ts`),
 *    so that what it asks for has no more time than it has itself.
 * 2. Whichever comes first ends the execution: the handler settles, or the signal aborts (a timer here, a lost lease,
 *    a cancel, a listener that stops). The reason of the abort decides the state.
 * 3. A handler that settles later is ignored; it cannot be killed, only told by `task.signal`.
 *
 * Rejected: waiting for a handler after its abort. One that never settles would keep its slot for ever.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import {
  LeaseLostError,
  ListenerStoppedError,
  TaskCancelledError,
  TaskFailedError,
  TaskTimeoutError,
} from "./errors.ts";
import { toError } from "./remote_error.ts";
import { Scope } from "./scope.ts";
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
  /** The controller behind `task.signal`. */
  readonly controller: AbortController;
  /** Milliseconds left until the task expires; absent = no deadline. */
  readonly deadline?: number;
  /** Milliseconds that this attempt may take; absent = no limit. */
  readonly attemptTimeout?: number;
  readonly clock: Clock;
}

/** Calls the handler. Never rejects; settles as soon as the controller aborts, also when the handler never does. */
export function execute(request: ExecuteRequest): Promise<Execution> {
  const { task, taskFn, controller } = request;
  return new Promise((resolve) => {
    const cancels: (() => void)[] = [];
    const end = (execution: Execution) => {
      for (const cancel of cancels) cancel();
      resolve(execution);
    };
    const onAbort = () => end(executionOfAbort(controller.signal.reason));
    cancels.push(() => controller.signal.removeEventListener("abort", onAbort));
    controller.signal.addEventListener("abort", onAbort, { once: true });
    const expired = armLimits(request, cancels);
    if (controller.signal.aborted) return onAbort();
    const scope = scopeOf(request);
    const settle = (execution: Execution) => {
      scope.close();
      end(execution);
    };
    run(taskFn, task, scope).then(
      (value) => settle({ state: "succeeded", value }),
      (thrown) => settle(executionOfThrow(thrown, expired())),
    );
  });
}

/** A throw, a rejection and a foreign thenable all end in this promise. */
function run(taskFn: TaskFn, task: RedisTask, scope: Scope): Promise<unknown> {
  return new Promise((resolve) => resolve(scope.run(() => (taskFn as TaskFn<unknown>)(task))));
}

function scopeOf({ task, controller, deadline = Infinity, attemptTimeout = Infinity, clock }: ExecuteRequest): Scope {
  return new Scope(task.id, { clock, left: Math.min(deadline, attemptTimeout), signal: controller.signal });
}

/** Arms both timers; the answer tells whether the deadline has passed. */
function armLimits(request: ExecuteRequest, cancels: (() => void)[]): () => boolean {
  const { task, controller, deadline = Infinity, attemptTimeout = Infinity, clock } = request;
  const end = clock.monotonic() + deadline;
  const limit = (delay: number, reason: () => Error) => {
    if (delay <= 0) controller.abort(reason());
    else if (delay < Infinity) cancels.push(afterAll(clock, delay, () => controller.abort(reason())));
  };
  limit(deadline, () => new TaskTimeoutError(`Cannot finish task ${task.id}: its time is over`));
  limit(attemptTimeout, () =>
    new TaskFailedError(
      `Cannot finish task ${task.id}: its attempt took longer than attemptTimeout (${attemptTimeout} ms)`,
    ));
  return () => clock.monotonic() >= end || clock.now() > task.expiry;
}

/** A timer without the 24.8 days that one timer of the runtimes can last. */
function afterAll(clock: Clock, delay: number, callback: () => void): () => void {
  const end = clock.monotonic() + delay;
  let cancel = () => {};
  const arm = (left: number) => {
    cancel = clock.after(Math.min(left, 2 ** 30), () => {
      const rest = end - clock.monotonic();
      if (rest > 1) arm(rest);
      else callback();
    });
  };
  arm(delay);
  return () => cancel();
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
