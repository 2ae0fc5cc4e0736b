/**
 * One attempt: a claimed record, from its params to the outcome in the store.
 *
 * 1. The params are decoded and the handler is found; what cannot run fails at once, with an error that says why.
 * 2. The handler runs (`executor.ts`) under a lease (`leases.ts`); its progress is written at most ten times a second,
 *    the latest only, and nobody waits for that.
 * 3. `settled`: the handler is done with its slot. The result has been serialized, so a result that cannot be is a
 *    failure here already.
 * 4. `written`: the store has answered. Only the fence decides whether the outcome counts.
 *
 * Rejected: one promise for both. A slot that waits for the store's answer costs a round trip a task.
 *
 * Previous: `claim_loop.ts`. Next: `executor.ts`, `leases.ts`, `store/store.ts`.
 *
 * @module
 */
import { readParams, resultBody, whenReadable } from "./attempt_values.ts";
import type { Clock } from "./clock.ts";
import { LeaseLostError, TaskCancelledError, TaskFailedError } from "./errors.ts";
import { endingDetails, eventOf, type Events, tellReleased } from "./events.ts";
import { execute, type ExecuteRequest, type Execution } from "./executor.ts";
import type { Leases } from "./leases.ts";
import { type Log, safeLog } from "./log.ts";
import { decodeOutcome, encodeOutcome, type Progress } from "./outcome.ts";
import { ProgressWriter } from "./progress_writer.ts";
import { type Random, systemRandom } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { encodeError, toError } from "./remote_error.ts";
import { repeat } from "./repeat.ts";
import { isLater } from "./now_or_later.ts";
import type { Codecs } from "./serializer.ts";
import type { OwnerAnswer, Ownership, Store } from "./store/store.ts";
import { RedisTask, type TaskFn } from "./task.ts";
import type { Unreadable } from "./unreadable.ts";

/** The default of `attemptTimeout` for a task without a deadline: 30 minutes. */
export const ATTEMPT_TIMEOUT = 1_800_000;
/** An outcome that the store could not take is repeated for so many milliseconds (protocol rule 4). */
const REPEAT_FOR = 30_000;

/** What all attempts of one owner share. */
export interface AttemptContext extends Codecs {
  readonly store: Store;
  /** Listener or client id. */
  readonly owner: string;
  readonly clock: Clock;
  readonly leases: Leases;
  /** Says what of a task cannot be read here, and how long it is left to others. */
  readonly unreadable: Unreadable;
  handlerOf(name: string): TaskFn | undefined;
  /** Milliseconds an attempt may take. @default 30 minutes for a task without a deadline, else what is left until it */
  readonly attemptTimeout?: number;
  /** Bytes that a serialized result may have. @default 1 MiB */
  readonly resultLimit?: number;
  readonly log: Log;
  /** Hears of starts and ends; undefined = nobody does. */
  readonly events?: Events | undefined;
  /** For the pauses between repeated writes. @default the machine's */
  readonly random?: Random;
  /** What an outcome waits for before it is sent, so that it travels with the next claim; undefined: nothing. */
  hold?(): Promise<void> | undefined;
  /** Once it aborts an outcome that could not be sent is not sent again. */
  readonly closed?: AbortSignal;
}

/** A running attempt. Neither promise rejects. */
export interface Attempt {
  readonly ownership: Ownership;
  /** Aborting it ends the attempt; the reason decides how. */
  readonly controller: AbortController;
  /** The handler is done, or was given up. */
  readonly settled: Promise<Execution>;
  /** What the store said of the outcome; null when there was nothing to say (abandoned) or no answer came. */
  readonly written: Promise<OwnerAnswer | null>;
}

/** How an attempt ended, and the body of its outcome. */
interface Ending {
  readonly execution: Execution;
  readonly body: string;
  /** Given back unstarted: milliseconds for which it is left to others. */
  readonly delay?: number;
}

/**
 * Starts the handler of a task that the context's owner was just given. `from`: monotonic milliseconds before the call
 * that set the lease was sent; `claimedAt`: before the first call that may have given us the task, when that was
 * another (the deadline is counted from it).
 */
export function startAttempt(record: TaskRecord, context: AttemptContext, from: number, claimedAt = from): Attempt {
  const { id, name, fence } = record;
  const ownership: Ownership = { id, name, fence, owner: context.owner };
  const controller = new AbortController();
  context.leases.add(ownership, controller, from);
  if (record.cancelAsked) controller.abort(new TaskCancelledError(`Cannot start task ${id}: it was cancelled`));
  const progress = new ProgressWriter({ ownership, controller, context, last: progressOf(record) });
  const ending = runAttempt({ record, context, controller, progress, claimedAt });
  const startedAt = context.clock.monotonic();
  const settled = ending.then(({ execution }) => execution);
  const written = ending.then((end) => {
    const took = context.clock.monotonic() - startedAt;
    return writeEnding({ ownership, context, progress, record, took }, end);
  });
  return { ownership, controller, settled, written };
}

interface Run {
  readonly record: TaskRecord;
  readonly context: AttemptContext;
  readonly controller: AbortController;
  readonly progress: ProgressWriter;
  readonly claimedAt: number;
}

async function runAttempt(run: Run): Promise<Ending> {
  const { record, context, controller, progress, claimedAt } = run;
  const unreadable = context.unreadable.find(record, context.serializers);
  if (unreadable !== null) {
    progress.end();
    return { execution: { state: "abandoned", reason: unreadable.error }, body: "", delay: unreadable.delay };
  }
  const { clock } = context;
  const left = record.deadline === 0 ? Infinity : record.deadline - record.since - clock.monotonic() + claimedAt;
  const attemptTimeout = context.attemptTimeout ?? (left === Infinity ? ATTEMPT_TIMEOUT : Infinity);
  const limits: Limits = { controller, clock, deadline: left, attemptTimeout, from: clock.monotonic() };
  let execution: Execution;
  try {
    const taskFn = context.handlerOf(record.name);
    if (taskFn === undefined) {
      throw new TaskFailedError(`Cannot run task ${record.id}: this listener has no handler for "${record.name}"`);
    }
    const params = readParams(record, context);
    const task = taskOf(run, left, params);
    if (!controller.signal.aborted) context.events?.tell("started", record, { attempt: record.attempt });
    execution = await execute({ ...limits, task, taskFn: isLater(params) ? whenReadable(params, taskFn) : taskFn });
    progress.end();
    if (execution.state !== "succeeded") return failure(execution);
    const body = resultBody(record, context, execution.value);
    return isLater(body) ? await bodyWithin(limits, { execution, body, task }) : { execution, body };
  } catch (thrown) {
    progress.end();
    return failure({ state: "failed", error: toError(thrown) });
  }
}

/** What an attempt may take, and since when (monotonic). */
interface Limits extends Omit<ExecuteRequest, "task" | "taskFn"> {
  readonly deadline: number;
  readonly attemptTimeout: number;
  readonly from: number;
}

function failure(execution: Exclude<Execution, { state: "succeeded" }>): Ending {
  return { execution, body: execution.state === "abandoned" ? "" : `!${encodeError(execution.error)}` };
}

/** A codec that needs time has what is left of the attempt's; it keeps its slot and hears cancels as the handler did. */
async function bodyWithin(
  limits: Limits,
  { execution, body, task }: {
    readonly execution: Execution;
    readonly body: Promise<string>;
    readonly task: RedisTask;
  },
): Promise<Ending> {
  const took = limits.clock.monotonic() - limits.from;
  const deadline = limits.deadline - took;
  const attemptTimeout = limits.attemptTimeout - took;
  const encoded = await execute({ ...limits, deadline, attemptTimeout, task, taskFn: () => body });
  return encoded.state === "succeeded" ? { execution, body: encoded.value as string } : failure(encoded);
}

/** The task as the handler sees it. */
function taskOf({ record, context, controller, progress }: Run, left: number, params: unknown): RedisTask {
  const { clock } = context;
  return new RedisTask({
    id: record.id,
    name: record.name,
    params: isLater(params) ? undefined : params,
    expiry: clock.now() + left,
    state: "running",
    fence: Number(record.fence),
    attempt: record.attempt,
    currentProgress: progress.last?.current ?? null,
    totalProgress: progress.last?.total ?? null,
    updateProgressTime: progress.last?.updatedAt ?? null,
    signal: controller.signal,
    now: () => clock.now(),
    report: (latest) => progress.report(latest),
    save: async ({ result }) => progress.save(result === undefined ? "" : await resultBody(record, context, result)),
  });
}

function progressOf(record: TaskRecord): Progress | null {
  try {
    return decodeOutcome(record.outcome).progress;
  } catch {
    return null;
  }
}

interface Write {
  readonly ownership: Ownership;
  readonly context: AttemptContext;
  readonly progress: ProgressWriter;
  readonly record: TaskRecord;
  /** Milliseconds from the start of the attempt to its end. */
  readonly took: number;
}

/** Sends the outcome, unless there is none; then lets the lease go. */
async function writeEnding(write: Write, { execution, body, delay }: Ending): Promise<OwnerAnswer | null> {
  const { ownership, context } = write;
  try {
    if (delay !== undefined) return await giveBack(write, delay);
    if (execution.state === "abandoned") return logLoss(write, execution.reason);
    const wait = context.leases.fresh(ownership) ?? context.hold?.();
    if (wait !== undefined) await wait;
    const outcome = encodeOutcome({ progress: write.progress.last, body });
    const answer = await repeatWrite(
      write,
      () =>
        execution.state === "succeeded"
          ? context.store.complete(ownership, outcome)
          : context.store.fail(ownership, { state: execution.state, outcome }),
    );
    logEnding(write, execution, answer);
    return answer;
  } catch (error) {
    const { id, name: taskName } = ownership;
    const message = `Cannot store the outcome of task ${id}: it will run again when its lease has ended`;
    safeLog(context.log)({ level: "error", message, id, taskName, error });
    return null;
  } finally {
    context.leases.remove(ownership);
  }
}

/** Leaves a task that cannot be read here to others: its attempt does not count. */
async function giveBack(write: Write, delay: number): Promise<OwnerAnswer> {
  const { ownership, context } = write;
  const answer = await repeatWrite(write, async () => (await context.store.release([ownership], delay))[0]!);
  tellReleased(context.events, [ownership], [answer]);
  return answer;
}

/** Lost leases are what wears a listener out: whoever runs it should see them. Tasks given back at a stop are not lost. */
function logLoss({ ownership, context, record, took }: Write, reason: Error): null {
  if (!(reason instanceof LeaseLostError)) return null;
  const { id, name: taskName } = ownership;
  safeLog(context.log)({ level: "warn", message: reason.message, id, taskName });
  context.events?.tell("lost", record, { attempt: record.attempt, duration: took, error: reason });
  return null;
}

/**
 * Under its fence an outcome may be sent at any time and any number of times, and Redis may refuse for a moment what it
 * takes later. Only a mistake of ours stays one.
 */
function repeatWrite({ ownership, context }: Write, send: () => Promise<OwnerAnswer>): Promise<OwnerAnswer> {
  const { clock, random = systemRandom, closed: signal } = context;
  const end = clock.monotonic() + REPEAT_FOR;
  const again = (error: unknown, tries: number) => {
    if (error instanceof TypeError || clock.monotonic() >= end) return false;
    if (tries === 1) logRepeat(ownership, context, error);
    return true;
  };
  return repeat(send, signal ? { clock, random, again, signal } : { clock, random, again });
}

function logRepeat({ id, name: taskName }: Ownership, context: AttemptContext, error: unknown): void {
  const message = `Cannot store the outcome of task ${id} yet: trying again`;
  safeLog(context.log)({ level: "warn", message, id, taskName, error });
}

function logEnding({ ownership, context, record, took }: Write, execution: Execution, answer: OwnerAnswer): void {
  context.events?.tell(eventOf(answer), record, endingDetails(execution, record.attempt, took));
  const { id, name: taskName } = ownership;
  const log = safeLog(context.log);
  if (answer.verdict === "lost" || answer.verdict === "gone") {
    const error = new LeaseLostError(`Cannot keep the outcome of task ${id}: it is ${answer.verdict}`);
    log({ level: "warn", message: error.message, id, taskName });
  } else if (execution.state !== "succeeded" && execution.state !== "abandoned") {
    // Whoever asked gets the error itself; of an enqueued task nobody else hears.
    const level = record.kind === "asked" || execution.state === "cancelled" ? "info" : "warn";
    log({ level, message: `Task ${id} (${taskName}) ${execution.state}`, id, taskName, error: execution.error });
  }
}
