/**
 * Between what a caller says and what a store takes: tasks become requests, records become tasks and answers.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { TaskCancelledError, TaskFailedError, TaskTimeoutError } from "./errors.ts";
import type { QueueSettings } from "./options.ts";
import { decodeOutcome, encodeOutcome, type Progress } from "./outcome.ts";
import type { TaskKind, TaskRecord } from "./record.ts";
import { decodeError, encodeError } from "./remote_error.ts";
import { decodeValue, encodeValue, refuseLarge, type Serializer } from "./serializer.ts";
import { readForeignParams } from "./store/foreign.ts";
import type { EnqueueRequest, IfExists, PutRequest, Store } from "./store/store.ts";
import { RedisTask } from "./task.ts";
import { hasEnded } from "./waiter.ts";

/** One task that a caller hands in. */
export interface Submission {
  readonly id: string;
  readonly name: string;
  readonly params: unknown;
  /** Client id and counter. */
  readonly nonce: string;
  /** Until when it counts, on the monotonic clock; `Infinity` = for good. */
  readonly deadline: number;
  /** Milliseconds its ended record is kept. */
  readonly resultTtl: number;
}

/** What one client is made of. */
export interface ClientContext {
  readonly store: Store;
  /** The client id: owner of what runs here, first part of every nonce, name of the inbox. */
  readonly client: string;
  readonly settings: QueueSettings;
}

/** The codecs of a queue. */
export interface Codecs {
  readonly serializer: Serializer;
  readonly serializers: ReadonlyMap<string, Serializer>;
}

/** How a task ended, as its caller sees it. */
export type Answer =
  | { readonly state: "succeeded"; readonly value: unknown }
  | { readonly state: "failed" | "cancelled" | "expired"; readonly error: Error };

/** What is left of a submission's time, as the wire says it: whole milliseconds, 0 = no deadline. Throws `TaskTimeoutError` when it is over. */
export function timeLeft(submission: Submission, clock: Clock): number {
  if (submission.deadline === Infinity) return 0;
  const left = submission.deadline - clock.monotonic();
  if (left > 0) return Math.ceil(left);
  throw new TaskTimeoutError(`Cannot send task ${submission.id}: its timeout is over`);
}

/** Writes params. Throws `SerializationError`, and `RangeError` over 1 MiB. */
export function encodeParams(submission: { readonly id: string; readonly params: unknown }, codecs: Codecs): string {
  const what = `the params of task ${submission.id}`;
  const text = encodeValue(codecs.serializer, submission.params, what);
  refuseLarge(text, what);
  return text;
}

/** The request that enqueues a submission; its `timeout` is what is left now. */
export function requestOf(
  submission: Submission,
  clock: Clock,
  rest: {
    readonly kind: TaskKind;
    readonly params: string;
    readonly delay?: number;
    readonly ifExists?: IfExists;
    readonly ownIfUnattended?: { readonly owner: string; readonly lease: number };
  },
): EnqueueRequest {
  const { id, name, nonce, resultTtl } = submission;
  const timeout = timeLeft(submission, clock);
  return { delay: 0, ifExists: "join", ...rest, id, name, nonce, timeout, resultTtl, maxAttempts: 1, options: "" };
}

/** The request that stores a task of this process as it is now: `local` when it runs here, `enqueued` when it is data. */
export function putOf(
  submission: Submission,
  task: RedisTask,
  context: { readonly kind: TaskKind; readonly codecs: Codecs; readonly clock: Clock; readonly owner: string },
): PutRequest {
  const { kind, codecs, clock, owner } = context;
  const { id, name, nonce, resultTtl } = submission;
  const left = submission.deadline - clock.monotonic();
  return {
    id,
    name,
    nonce,
    kind,
    state: task.state,
    owner,
    timeout: left === Infinity ? 0 : Math.max(1, Math.ceil(left)),
    resultTtl,
    options: "",
    params: encodeParams(task, codecs),
    outcome: encodeOutcome({ progress: progressOf(task), body: bodyOf(task, codecs) }),
  };
}

/** The task of a record, for `getTask`. Throws `SerializationError` when its params or result cannot be read. */
export function taskOf(
  record: TaskRecord,
  context: { readonly codecs: Codecs; readonly clock: Clock; save(task: RedisTask): Promise<void> },
): RedisTask {
  const { codecs, clock, save } = context;
  const { progress } = decodeOutcome(record.outcome);
  const answer = hasEnded(record) ? answerOf(record, codecs) : storedAnswer(record, codecs);
  return new RedisTask({
    id: record.id,
    name: record.name,
    params: paramsOf(record, codecs),
    expiry: record.deadline || Infinity,
    ...(answer?.state === "succeeded" ? { result: answer.value } : {}),
    ...(answer !== null && answer.state !== "succeeded" ? { error: answer.error } : {}),
    state: record.state === "deleted" ? "cancelled" : record.state,
    fence: Number(record.fence),
    attempt: record.attempt,
    currentProgress: progress?.current ?? null,
    totalProgress: progress?.total ?? null,
    updateProgressTime: progress?.updatedAt ?? null,
    now: clock.now,
    save,
  });
}

/** What an ended record says to whoever waits for it. Throws `SerializationError` when its result cannot be read. */
export function answerOf(record: TaskRecord, codecs: Codecs): Answer {
  const { body } = decodeOutcome(record.outcome);
  const { id, state } = record;
  if (state === "succeeded") {
    if (body === "") return { state, value: undefined };
    return { state, value: decodeValue(codecs.serializers, body, `the result of task ${id}`) };
  }
  const error = body.startsWith("!") ? decodeError(body.slice(1)) : null;
  if (state === "cancelled") {
    const own = error instanceof TaskCancelledError ? error : null;
    return { state, error: own ?? new TaskCancelledError(`Cannot finish task ${id}: it was cancelled`) };
  }
  if (state === "expired") {
    const own = error instanceof TaskTimeoutError ? error : null;
    return { state, error: own ?? new TaskTimeoutError(`Cannot finish task ${id}: its timeout is over`) };
  }
  const lost = `Cannot finish task ${id}: it failed without an error of its own; its listeners may have died`;
  return { state: "failed", error: error ?? new TaskFailedError(lost) };
}

/** The params of a record: what the submitter wrote, or the bare JSON task of another program. */
function paramsOf(record: TaskRecord, codecs: Codecs): unknown {
  if (record.kind !== "foreign" || !record.params.startsWith("{")) {
    return decodeValue(codecs.serializers, record.params, `the params of task ${record.id}`);
  }
  return readForeignParams(record.params, `task ${record.id}`);
}

/** A task that has not ended may carry an outcome all the same: `setTask` stores what it is given. */
function storedAnswer(record: TaskRecord, codecs: Codecs): Answer | null {
  const { body } = decodeOutcome(record.outcome);
  if (body === "") return null;
  return answerOf({ ...record, state: body.startsWith("!") ? "failed" : "succeeded" }, codecs);
}

function progressOf(task: RedisTask): Progress | null {
  const { currentProgress: current, totalProgress: total, updateProgressTime: updatedAt } = task;
  return current === null || total === null || updatedAt === null ? null : { current, total, updatedAt };
}

function bodyOf(task: RedisTask, codecs: Codecs): string {
  if (task.error !== undefined) return `!${encodeError(task.error)}`;
  if (task.result === undefined && task.state !== "succeeded") return "";
  return encodeValue(codecs.serializer, task.result, `the result of task ${task.id}`);
}
