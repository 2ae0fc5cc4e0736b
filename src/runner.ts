/**
 * Runs tasks in the process of their caller, in one of two ways.
 *
 * `own`: a task that the queue gave to this client (nobody listens, or it was withdrawn). It is an attempt like a
 * listener's, with a lease that is renewed, so others may join it, and if this process dies it is recovered.
 * `here`: a task in no queue (policy Local, LocalFirst, or Redis away). Its record is a courtesy: written when it can
 * be, by `update`, `save` and at the end, and never over a live record of another run.
 *
 * Previous: `calls.ts`. Next: `attempt.ts`, `executor.ts`, `cancel_watch.ts`.
 *
 * @module
 */
import { type Attempt, startAttempt } from "./attempt.ts";
import type { AttemptContext } from "./attempt_context.ts";
import { CancelWatch } from "./cancel_watch.ts";
import type { Clock } from "./clock.ts";
import { ListenerStoppedError, TaskCancelledError, TaskTimeoutError } from "./errors.ts";
import { endingDetails, tellReleased } from "./events.ts";
import { execute, type Execution } from "./executor.ts";
import { Leases } from "./leases.ts";
import { LocalRecord } from "./local_record.ts";
import type { TaskRecord } from "./record.ts";
import { Retries } from "./retries.ts";
import { RunError } from "./run_error.ts";
import { Stopper } from "./stopper.ts";
import type { OwnerAnswer, Ownership } from "./store/store.ts";
import type { ClientContext, Submission } from "./submission.ts";
import { handlerFor, RedisTask, type TaskFn } from "./task.ts";
import { Unreadable } from "./unreadable.ts";
import { settledWithin } from "./until.ts";

/** A caller that has its result does not wait longer than this, in milliseconds, for Redis to keep it. */
const KEEP_WAIT = 1_000;

/** So many ownerships that are over are remembered. */
const SPENT_MAX = 1_000;

/** When the queue is closed, what Redis should still hear is waited for so many milliseconds at most. */
const CLOSE_BOUND = 2_000;

/** A run that the queue gave to this client. */
interface Owned {
  readonly attempt: Attempt;
  readonly run: Promise<Execution>;
  /** Its handler is not done. */
  isRunning: boolean;
}

/** Runs tasks in this process. */
export class Runner {
  readonly #context: ClientContext;
  readonly #leases: Leases;
  readonly #watch: CancelWatch;
  readonly #unreadable: Unreadable;
  readonly #retries: Retries;
  /** By ownership: a call that is answered "owned" twice must not run twice. */
  readonly #owned = new Map<string, Owned>();
  /** Ownerships that are over here, the latest: an answer that was on its way may say that they are ours still. */
  readonly #spent = new Set<string>();
  /** What runs in no queue. */
  readonly #here = new Map<Stopper, { readonly id: string; readonly ended: Promise<Execution> }>();
  readonly #closed = new AbortController();
  #isClosed = false;

  /** Runs nothing yet. */
  constructor(context: ClientContext) {
    const { store, client: owner, settings: { lease, clock, random, log, interval } } = context;
    this.#context = context;
    this.#leases = new Leases({ store, owner, lease, clock });
    this.#unreadable = new Unreadable({ log, interval, random });
    this.#retries = new Retries({ backoff: context.settings.backoff, clock, random, log });
    const onIds = (ids: readonly string[]) => this.cancelled(ids);
    const onGap = () => void this.#leases.renewNow();
    this.#watch = new CancelWatch({ store, owner, clock, random, onIds, onGap });
  }

  /** The function for a name, when this queue has one. */
  handlerOf(name: string): TaskFn | undefined {
    return handlerFor(this.#context.settings.taskFn, name);
  }

  /** Cancel was asked for these ids, of runs that the queue knows. */
  cancelled(ids: readonly string[]): void {
    this.#leases.cancelled(ids);
  }

  /** Cancels what runs under an id in no queue: how each of these runs ended. */
  cancelHere(id: string): Promise<Execution[]> {
    const runs = [...this.#here].filter(([, run]) => run.id === id);
    for (const [stopper] of runs) {
      stopper.abort(new TaskCancelledError(`Cannot finish task ${id}: it was cancelled`));
    }
    return Promise.all(runs.map(([, { ended }]) => ended));
  }

  /**
   * Runs a task that the queue gave to this client. `abandoned` means that another run's outcome counts. Never
   * rejects. `from`: monotonic milliseconds before the call that gave it was sent.
   */
  own(record: TaskRecord, from: number): Promise<Execution> {
    const key = `${record.fence} ${record.id}`;
    const known = this.#owned.get(key);
    if (known !== undefined) return known.run;
    // A fence starts nothing again: its handler may run still, or its outcome was stored meanwhile.
    if (this.#isClosed || this.#spent.has(key)) {
      const { id, name, fence } = record;
      void this.#giveBack([{ id, name, fence, owner: this.#context.client }]);
      return Promise.resolve({ state: "abandoned", reason: closedError(record) });
    }
    const attempt = startAttempt(record, this.#attemptContext(), from);
    const run = this.#finish(attempt);
    const owned: Owned = { attempt, run, isRunning: true };
    this.#owned.set(key, owned);
    void attempt.settled.then(() => owned.isRunning = false);
    this.#watch.hold(attempt.settled);
    // Not sooner: until its outcome is stored, the queue says that it is ours to run.
    void attempt.written.then(() => {
      this.#owned.delete(key);
      this.#spend(key);
    });
    return run;
  }

  #spend(key: string): void {
    this.#spent.add(key);
    const [oldest] = this.#spent;
    if (this.#spent.size > SPENT_MAX) this.#spent.delete(oldest!);
  }

  /** Runs a task here, in no queue. Rejects with a `RunError`. */
  async here(submission: Submission, keep: "every end" | "success", gone: Stopper): Promise<unknown> {
    const taskFn = this.handlerOf(submission.name);
    if (taskFn === undefined) throw new RunError("final", missingHandler(submission));
    if (this.#isClosed) throw new RunError("final", closedError(submission));
    const stopper = new Stopper();
    const { clock, attemptTimeout, events } = this.#context.settings;
    let end: (execution: Execution) => void = () => {};
    this.#here.set(stopper, { id: submission.id, ended: new Promise((resolve) => end = resolve) });
    gone.onAbort(() => stopper.abort(reasonOf(submission, gone, clock)));
    events?.tell("started", submission, { attempt: 1 });
    const record = new LocalRecord(submission, this.#context);
    const task = this.#localTask(submission, stopper, keep === "every end" ? record : null);
    const from = clock.monotonic();
    const deadline = submission.deadline - from;
    const execution = await execute({
      task,
      taskFn,
      stopper,
      clock,
      ...(deadline < Infinity ? { deadline } : {}),
      ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
    });
    end(execution);
    this.#here.delete(stopper);
    if (execution.state !== "abandoned") {
      events?.tell(execution.state, submission, endingDetails(execution, 1, clock.monotonic() - from));
    }
    if (keep === "every end" || execution.state === "succeeded") {
      await settledWithin(record.end(ended(task, execution)), KEEP_WAIT, clock);
    }
    return valueOf(execution);
  }

  /**
   * Stops what the queue gave to this client and gives it back, so that nobody runs it twice at once; an outcome on its
   * way is waited for. Resolves within {@linkcode CLOSE_BOUND} and never rejects. What runs in no queue goes on.
   */
  async close(): Promise<void> {
    const owned = [...this.#owned.values()];
    const running = owned.filter(({ isRunning }) => isRunning).map(({ attempt }) => attempt);
    this.#isClosed = true;
    for (const { stopper, ownership } of running) stopper.abort(closedError(ownership));
    const written = Promise.all(owned.map(({ attempt }) => attempt.written));
    const last = Promise.all([this.#giveBack(running.map(({ ownership }) => ownership)), written]);
    await settledWithin(last, CLOSE_BOUND, this.#context.settings.clock);
    this.#closed.abort();
    this.#leases.close();
  }

  async #giveBack(tasks: readonly Ownership[]): Promise<void> {
    if (tasks.length === 0) return;
    try {
      tellReleased(this.#context.settings.events, tasks, await this.#context.store.release(tasks));
    } catch (error) {
      const message = "Tasks could not be given back: they run again when their leases have ended";
      this.#context.settings.log({ level: "warn", message, error });
    }
  }

  /** The outcome that counts: ours, unless the store says that somebody else was first. */
  async #finish(attempt: Attempt): Promise<Execution> {
    const execution = await attempt.settled;
    let answer: OwnerAnswer | null = null;
    await settledWithin(attempt.written.then((said) => answer = said), KEEP_WAIT, this.#context.settings.clock);
    return counted(execution, answer, attempt.ownership.id);
  }

  #localTask(submission: Submission, stopper: Stopper, record: LocalRecord | null): RedisTask {
    const { id, name, params, deadline } = submission;
    const { clock } = this.#context.settings;
    const task: RedisTask = new RedisTask({
      id,
      name,
      params,
      expiry: clock.now() + deadline - clock.monotonic(),
      state: "running",
      attempt: 1,
    }, {
      get signal() {
        return stopper.signal;
      },
      now: clock.now,
      report: () => Promise.resolve(record?.write(task)),
      save: () => Promise.resolve(record?.write(task)),
    });
    return task;
  }

  #attemptContext(): AttemptContext {
    const { store, client, settings } = this.#context;
    const { serializer, serializers, attemptTimeout, log, events, clock, random } = settings;
    return {
      store,
      owner: client,
      clock,
      leases: this.#leases,
      unreadable: this.#unreadable,
      retries: this.#retries,
      serializer,
      serializers,
      handlerOf: (name) => this.handlerOf(name),
      ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
      log,
      events,
      random,
      closed: this.#closed.signal,
    };
  }
}

/** The value of an execution; rejects with a `RunError` that says what its end means to a policy. */
export function valueOf(execution: Execution): unknown {
  if (execution.state === "succeeded") return execution.value;
  if (execution.state === "abandoned") throw new RunError("final", execution.reason);
  throw new RunError(execution.state === "failed" ? "failed" : "final", execution.error);
}

function closedError({ id }: { readonly id: string }): ListenerStoppedError {
  return new ListenerStoppedError(`Cannot finish task ${id} here: its queue was closed`);
}

/** The error of a task that was to run here, where nothing runs it. */
export function missingHandler(task: { readonly id: string; readonly name: string }): TypeError {
  return new TypeError(
    `Cannot run task ${task.id} here: the queue has no taskFn for "${task.name}"; give one, or ask a listener`,
  );
}

function counted(execution: Execution, answer: OwnerAnswer | null, id: string): Execution {
  if (answer === null || execution.state === "abandoned") return execution;
  if (answer.verdict === "lost" || answer.state === "scheduled" || answer.state === "queued") {
    return { state: "abandoned", reason: new Error(`The outcome of task ${id} is decided elsewhere`) };
  }
  if (answer.state !== "cancelled" || execution.state === "cancelled") return execution;
  return { state: "cancelled", error: new TaskCancelledError(`Cannot finish task ${id}: it was cancelled`) };
}

/** The task with its end, for its record. */
function ended(task: RedisTask, execution: Execution): RedisTask {
  if (execution.state === "succeeded") {
    task.state = "succeeded";
    task.result = execution.value;
    task.error = undefined;
  } else if (execution.state !== "abandoned") {
    task.state = execution.state;
    task.error = execution.error;
  }
  return task;
}

/** Why the handler is to stop, in the words that decide the state of the task. */
function reasonOf(submission: Submission, gone: Stopper, clock: Clock): Error {
  if (gone.reason instanceof TaskTimeoutError && clock.monotonic() >= submission.deadline) return gone.reason;
  return new TaskCancelledError(`Cannot finish task ${submission.id}: its caller has gone`, { cause: gone.reason });
}
