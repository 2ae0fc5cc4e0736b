/**
 * Between what a caller says and what a store takes: tasks become requests, records become tasks and answers.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { TaskCancelledError, TaskFailedError, TaskTimeoutError } from "./errors.ts";
import { andThen, isLater, type NowOrLater } from "./now_or_later.ts";
import type { QueueSettings } from "./options.ts";
import { decodeOutcome, encodeOutcome, type Progress } from "./outcome.ts";
import type { TaskKind, TaskRecord } from "./record.ts";
import { decodeError, encodeError } from "./remote_error.ts";
import {
  type Codecs,
  decodeValue,
  encodeValue,
  isSerializerName,
  refuseLarge,
  serializerOf,
  type ValueContext,
} from "./serializer.ts";
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
  readonly maxAttempts: number;
  /** What its listener needs to know beside the params: JSON, or empty. */
  readonly options: string;
}

/** What one client is made of. */
export interface ClientContext {
  readonly store: Store;
  /** The client id: owner of what runs here, first part of every nonce, name of the inbox. */
  readonly client: string;
  readonly settings: QueueSettings;
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

/** Writes params. Throws, or rejects with, `SerializationError`, and `RangeError` over 1 MiB. */
export function encodeParams(
  { id, name, params }: { readonly id: string; readonly name: string; readonly params: unknown },
  codecs: Codecs,
): NowOrLater<string> {
  return encodeBounded(params, { id, name, part: "params" }, codecs);
}

function encodeBounded(value: unknown, context: ValueContext, codecs: Codecs): NowOrLater<string> {
  const text = encodeValue(codecs, value, context);
  return isLater(text) ? text.then((late) => bounded(late, context)) : bounded(text, context);
}

function bounded(text: string, context: ValueContext): string {
  refuseLarge(text, context);
  return text;
}

/** The request that enqueues a submission; its `timeout` is what is left now; under another nonce, when one is given. */
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
  nonce: string = submission.nonce,
): EnqueueRequest {
  const { id, name, resultTtl, maxAttempts, options } = submission;
  const timeout = timeLeft(submission, clock);
  return { delay: 0, ifExists: "join", ...rest, id, name, nonce, timeout, resultTtl, maxAttempts, options };
}

/** The request that stores a task of this process as it is now: `local` when it runs here, `enqueued` when it is data. */
export function putOf(
  submission: Submission,
  task: RedisTask,
  context: { readonly kind: TaskKind; readonly codecs: Codecs; readonly clock: Clock; readonly owner: string },
): NowOrLater<PutRequest> {
  const { kind, codecs, clock, owner } = context;
  const { id, name, nonce, resultTtl } = submission;
  const rest = { id, name, nonce, kind, state: task.state, owner, resultTtl, options: "" };
  const progress = progressOf(task);
  const { attempts } = task;
  const encodedBody = bodyOf(task, codecs);
  return andThen(encodeParams(task, codecs), (params) =>
    andThen(encodedBody, (body) => {
      const left = submission.deadline - clock.monotonic();
      const timeout = left === Infinity ? 0 : Math.max(1, Math.ceil(left));
      return { ...rest, timeout, params, outcome: encodeOutcome({ progress, attempts, body }) };
    }));
}

/**
 * The task of a record, for `getTask`. Throws, or rejects with, `SerializationError` when it cannot be read. Params of
 * a serializer that is not known here throw only when they are asked for: where the task is can be told without them.
 */
export function taskOf(
  record: TaskRecord,
  context: { readonly codecs: Codecs; readonly clock: Clock; save(task: RedisTask): Promise<void> },
): NowOrLater<RedisTask> {
  const { codecs } = context;
  const answer = hasEnded(record) ? answerOf(record, codecs) : storedAnswer(record, codecs);
  return andThen(answer, (answered) => {
    if (isForeign(record, codecs)) {
      return withoutParams(builtTask(record, context, answered, undefined), codecs, record);
    }
    return andThen(paramsOf(record, codecs), (params) => builtTask(record, context, answered, params));
  });
}

function builtTask(
  record: TaskRecord,
  { clock, save }: { readonly clock: Clock; save(task: RedisTask): Promise<void> },
  answer: Answer | null,
  params: unknown,
): RedisTask {
  const { progress, attempts } = decodeOutcome(record.outcome);
  return new RedisTask({
    id: record.id,
    name: record.name,
    params,
    expiry: record.deadline || Infinity,
    ...(answer?.state === "succeeded" ? { result: answer.value } : {}),
    ...(answer !== null && answer.state !== "succeeded" ? { error: answer.error } : {}),
    state: record.state === "deleted" ? "cancelled" : record.state,
    fence: Number(record.fence),
    attempt: record.attempt,
    maxAttempts: record.maxAttempts,
    attempts,
    currentProgress: progress?.current ?? null,
    totalProgress: progress?.total ?? null,
    updateProgressTime: progress?.updatedAt ?? null,
    now: clock.now,
    save,
  });
}

/** Were the params written with a serializer that is not known here? */
function isForeign(record: TaskRecord, { serializers }: Codecs): boolean {
  const name = serializerOf(record.params);
  return !isBare(record) && isSerializerName(name) && !serializers.has(name);
}

function withoutParams(task: RedisTask, codecs: Codecs, record: TaskRecord): RedisTask {
  const get = () => paramsOf(record, codecs);
  return Object.defineProperty(task, "params", { get, enumerable: true, configurable: true });
}

/** What an ended record says to whoever waits for it. Throws, or rejects with, `SerializationError` when its result cannot be read. */
export function answerOf(record: TaskRecord, codecs: Codecs): NowOrLater<Answer> {
  const { body } = decodeOutcome(record.outcome);
  const { id, name, state } = record;
  if (state !== "succeeded") return errorOf(record, body);
  if (body === "") return { state, value: undefined };
  return andThen(decodeValue(codecs, body, { id, name, part: "result" }), (value) => ({ state, value }));
}

function errorOf({ id, state }: TaskRecord, body: string): Answer {
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
  const { id, name } = record;
  if (isBare(record)) return readForeignParams(record.params, `task ${id}`);
  return decodeValue(codecs, record.params, { id, name, part: "params" });
}

function isBare({ kind, params }: TaskRecord): boolean {
  return kind === "foreign" && params.startsWith("{");
}

/** A task that has not ended may carry an outcome all the same: `setTask` stores what it is given. */
function storedAnswer(record: TaskRecord, codecs: Codecs): NowOrLater<Answer | null> {
  const { body } = decodeOutcome(record.outcome);
  if (body === "") return null;
  return answerOf({ ...record, state: body.startsWith("!") ? "failed" : "succeeded" }, codecs);
}

function progressOf(task: RedisTask): Progress | null {
  const { currentProgress: current, totalProgress: total, updateProgressTime: updatedAt } = task;
  return current === null || total === null || updatedAt === null ? null : { current, total, updatedAt };
}

function bodyOf(task: RedisTask, codecs: Codecs): NowOrLater<string> {
  if (task.error !== undefined) return `!${encodeError(task.error)}`;
  if (task.result === undefined && task.state !== "succeeded") return "";
  const { id, name, result } = task;
  return encodeBounded(result, { id, name, part: "result" }, codecs);
}
