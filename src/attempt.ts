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
 * Rejected: one promise for both. A slot that waits for the store's answer costs a round trip a task.
 *
 * Previous: `claim_loop.ts`. Next: `executor.ts`, `leases.ts`, `attempt_ending.ts`.
 *
 * @module
 */
import type { AttemptContext } from "./attempt_context.ts";
import { type Ending, writeEnding } from "./attempt_ending.ts";
import { readParams, resultBody, whenReadable } from "./attempt_values.ts";
import { TaskCancelledError, TaskFailedError } from "./errors.ts";
import { execute, type ExecuteRequest, type Execution } from "./executor.ts";
import { isLater } from "./now_or_later.ts";
import { decodeOutcome, type FailedAttempt, type Outcome } from "./outcome.ts";
import { ProgressWriter } from "./progress_writer.ts";
import type { TaskRecord } from "./record.ts";
import { encodeError, toError } from "./remote_error.ts";
import { foreignMaxAttempts } from "./store/foreign.ts";
import type { OwnerAnswer, Ownership } from "./store/store.ts";
import { RedisTask } from "./task.ts";

/** The default of `attemptTimeout` for a task without a deadline: 30 minutes. */
export const ATTEMPT_TIMEOUT = 1_800_000;

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
  const { progress: last, attempts } = earlier(record);
  const progress = new ProgressWriter({ ownership, controller, context, last, attempts });
  const ending = runAttempt({ record, context, controller, progress, attempts, claimedAt });
  const startedAt = context.clock.monotonic();
  const settled = ending.then(({ execution }) => execution);
  const written = ending.then((end) => {
    const took = context.clock.monotonic() - startedAt;
    return writeEnding({ ownership, context, progress, record, attempts, took }, end);
  });
  return { ownership, controller, settled, written };
}

interface Run {
  readonly record: TaskRecord;
  readonly context: AttemptContext;
  readonly controller: AbortController;
  readonly progress: ProgressWriter;
  /** Those that failed before. */
  readonly attempts: readonly FailedAttempt[];
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
    context.retries.began();
    if (!controller.signal.aborted) context.events?.tell("started", record, { attempt: record.attempt });
    execution = await execute({ ...limits, task, taskFn: isLater(params) ? whenReadable(params, taskFn) : taskFn });
    progress.end();
    if (execution.state !== "succeeded") return failure(execution);
    const body = resultBody(record, context, execution.value);
    return isLater(body) ? await bodyWithin(limits, { execution, body, task }) : { execution, body };
  } catch (thrown) {
    progress.end();
    return { ...failure({ state: "failed", error: toError(thrown) }), fatal: true };
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
function taskOf({ record, context, controller, progress, attempts }: Run, left: number, params: unknown): RedisTask {
  const { clock } = context;
  return new RedisTask({
    id: record.id,
    name: record.name,
    params: isLater(params) ? undefined : params,
    expiry: clock.now() + left,
    state: "running",
    fence: Number(record.fence),
    attempt: record.attempt,
    maxAttempts: record.kind === "foreign" ? foreignMaxAttempts(record.params) : record.maxAttempts,
    attempts,
    currentProgress: progress.last?.current ?? null,
    totalProgress: progress.last?.total ?? null,
    updateProgressTime: progress.last?.updatedAt ?? null,
    signal: controller.signal,
    now: () => clock.now(),
    report: (latest) => progress.report(latest),
    save: async ({ result }) => progress.save(result === undefined ? "" : await resultBody(record, context, result)),
  });
}

/** What earlier attempts left. Anybody can write to Redis: a head that cannot be read counts as none. */
function earlier({ outcome }: TaskRecord): Pick<Outcome, "progress" | "attempts"> {
  try {
    return decodeOutcome(outcome);
  } catch {
    return { progress: null, attempts: [] };
  }
}
