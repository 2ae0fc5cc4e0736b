/**
 * Options: their types, their defaults, and the checks that turn a wrong one into an error at the call that made it.
 *
 * An unknown key is refused (with the nearest known one in the message): `timeOut: 5` that is silently ignored costs
 * an afternoon. Durations are milliseconds.
 *
 * @module
 */
import { checkCount, checkDuration, checkKeys, checkOptional, checkText, show } from "./checks.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type Events, eventsFor, type OnEvent } from "./events.ts";
import { consoleLog, type Log, safeLog } from "./log.ts";
import { type Backoff, type BackoffPlan, checkBackoff, checkMaxAttempts } from "./retry.ts";
import { TaskExecutePolicy } from "./policy.ts";
import { type Random, systemRandom } from "./random.ts";
import { isSerializerName, jsonSerializer, type Serializer } from "./serializer.ts";
import type { Bounds } from "./store/ended.ts";
import type { IfExists } from "./store/store.ts";
import type { TaskFns } from "./task.ts";

/** Options of a `RedisTaskQueue`. */
export interface QueueOptions<Fns extends TaskFns = TaskFns> {
  /** Second part of every key, after the prefix. @default "task-queue" */
  readonly suffix?: string;
  /** How long a task counts, in milliseconds; calls may say otherwise. @default 300_000 */
  readonly timeout?: number;
  /** How often the safety net looks, in milliseconds. Answers and wake-ups do not wait for it. @default 5_000 */
  readonly interval?: number;
  /** Does the tasks: one function, or a map of name → function. Needed to listen and to run tasks here. */
  readonly taskFn?: Fns;
  /** Writes params and results. @default jsonSerializer */
  readonly serializer?: Serializer;
  /** Others that this queue can read. JSON always belongs to them. @default [] */
  readonly serializers?: readonly Serializer[];
  /** How long a listener owns a task without renewing it, in milliseconds: a dead one's tasks are back after that; at least 100. @default 30_000 */
  readonly lease?: number;
  /** How long an ended task is kept, in milliseconds, 30_000 to 9_999_999_999. @default the task's timeout */
  readonly resultTtl?: number;
  /** How long one attempt may take, in milliseconds. @default 1_800_000 for a task without deadline, else what is left until it */
  readonly attemptTimeout?: number;
  /**
   * How many attempts a task that is handed in here may have, 1 to 999. Attempts whose lease was lost count; releases at
   * a stop do not. @default 1
   */
  readonly maxAttempts?: number;
  /**
   * How long a failed task waits for its next attempt. As data it travels with the tasks that are handed in here; as data
   * or a function it counts for those that run here and brought none. @default 1 s, 2 s, 4 s … at most 5 min, less up to half
   */
  readonly backoff?: Backoff;
  /** Dead letters kept of one name; the oldest go first. @default 10_000 */
  readonly deadMax?: number;
  /** How long dead letters are kept, in milliseconds. @default 2_592_000_000 (30 days) */
  readonly deadTtl?: number;
  /** Bytes of ended tasks kept of one name; the oldest go first, though none within half a minute. @default 67_108_864 (64 MiB) */
  readonly doneBytes?: number;
  /** Hears what the queue has to say. @default warnings and errors go to the console */
  readonly log?: Log;
  /** Hears of every transition of a task that this queue makes; none costs nothing. @default none */
  readonly onEvent?: OnEvent;
  /** The source of time. @default the machine's */
  readonly clock?: Clock;
  /** The source of randomness. @default the machine's */
  readonly random?: Random;
}

/** Options of `query`. */
export interface QueryOptions {
  /** How long to wait, and how long the task counts, in milliseconds; in a handler never more than its task has left. @default the queue's timeout */
  readonly timeout?: number;
  /** Where the task is done. @default TaskExecutePolicy.Auto */
  readonly policy?: TaskExecutePolicy;
  /** Delete the task once its answer is here. @default false */
  readonly once?: boolean;
  /** Ends the wait; the task too, unless others wait for it. */
  readonly signal?: AbortSignal;
  /** RemoteFirst: a task not started within so many milliseconds is done here. @default the smaller of interval and half the timeout */
  readonly startWithin?: number;
  /** How long the ended task is kept, in milliseconds, 30_000 to 9_999_999_999. @default the queue's */
  readonly resultTtl?: number;
  /** How many attempts it may have in the queue, 1 to 999. @default the queue's */
  readonly maxAttempts?: number;
  /** How long it waits for its next attempt; it travels with the task, so no function. @default the queue's */
  readonly backoff?: number | BackoffPlan;
}

/** Options of `enqueue`. */
export interface EnqueueOptions {
  /** How long the task counts, in milliseconds; `Infinity` = until it is done. @default Infinity */
  readonly timeout?: number;
  /** Milliseconds until it may start. @default 0 */
  readonly delay?: number;
  /** What to do about a live or succeeded task of this id. @default "join" */
  readonly ifExists?: IfExists;
  /** How long the ended task is kept, in milliseconds, 30_000 to 9_999_999_999. @default the queue's */
  readonly resultTtl?: number;
  /** How many attempts it may have in the queue, 1 to 999. @default the queue's */
  readonly maxAttempts?: number;
  /** How long it waits for its next attempt; it travels with the task, so no function. @default the queue's */
  readonly backoff?: number | BackoffPlan;
}

/** Options of `listen`. */
export interface ListenOptions {
  /** How many tasks at once. @default 128 */
  readonly workers?: number;
  /** Stops the listener. */
  readonly signal?: AbortSignal;
  /** How long running tasks may go on after that, in milliseconds, before they are given back. @default 10_000 */
  readonly grace?: number;
}

/** Options of `executeTaskRemotely`. */
export interface ExecuteOptions {
  /** How long to wait, in milliseconds. @default what is left until the task's expiry, else the queue's timeout */
  readonly timeout?: number;
  /** Delete the task once its answer is here. @default false */
  readonly once?: boolean;
}

/** The options of a queue, checked and complete. */
export interface QueueSettings {
  readonly suffix: string;
  readonly timeout: number;
  readonly interval: number;
  readonly taskFn: TaskFns | undefined;
  readonly serializer: Serializer;
  readonly serializers: ReadonlyMap<string, Serializer>;
  readonly lease: number;
  readonly resultTtl: number | undefined;
  readonly attemptTimeout: number | undefined;
  readonly maxAttempts: number;
  readonly backoff: Backoff | undefined;
  readonly bounds: Bounds;
  readonly log: Log;
  /** Undefined when nobody hears: then no event is made. */
  readonly events: Events | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** An ended task is never removed sooner: a caller in doubt may repeat its call for so long (protocol rule 4). */
const RESULT_TTL_MIN = 30_000;

/** A shorter lease is over before it can be renewed on a busy machine, and every task is lost to it. */
const LEASE_MIN = 100;

const QUEUE_KEYS = [
  ..."suffix timeout interval taskFn serializer serializers lease resultTtl attemptTimeout maxAttempts backoff deadMax deadTtl doneBytes log onEvent clock random"
    .split(" "),
];

/** Checks the options of a queue and fills in the defaults. */
export function settingsOf(options: QueueOptions): QueueSettings {
  checkKeys("new RedisTaskQueue", options, QUEUE_KEYS);
  const serializer = options.serializer ?? jsonSerializer;
  const log = safeLog(options.log ?? consoleLog);
  const clock = options.clock ?? systemClock;
  return {
    suffix: checkText("suffix", options.suffix ?? "task-queue"),
    timeout: checkDuration("timeout", options.timeout ?? 300_000, { infinite: true }),
    interval: checkDuration("interval", options.interval ?? 5_000, { least: 10 }),
    taskFn: checkTaskFn(options.taskFn),
    serializer: checkSerializer(serializer),
    serializers: serializersOf([jsonSerializer, ...options.serializers ?? [], serializer]),
    lease: checkDuration("lease", options.lease ?? 30_000, { least: LEASE_MIN }),
    resultTtl: checkResultTtl(options.resultTtl),
    attemptTimeout: checkOptional("attemptTimeout", options.attemptTimeout, { least: 1 }),
    maxAttempts: checkMaxAttempts(options.maxAttempts) ?? 1,
    backoff: checkBackoff(options.backoff, { travels: false }),
    bounds: checkBounds(options),
    log,
    events: eventsFor(options.onEvent, { log, clock }),
    clock,
    random: options.random ?? systemRandom,
  };
}

const QUERY_KEYS = "timeout policy once signal startWithin resultTtl maxAttempts backoff".split(" ");
const POLICIES: readonly unknown[] = Object.values(TaskExecutePolicy);

/** Checks the options of one call of `query`. */
export function checkQuery(options: QueryOptions): void {
  checkKeys("query", options, QUERY_KEYS);
  if (options.policy !== undefined && !POLICIES.includes(options.policy)) {
    throw new TypeError(`Cannot use the policy ${show(options.policy)}: it is one of ${POLICIES.join(", ")}`);
  }
  checkOptional("timeout", options.timeout, { infinite: true });
  checkStartWithin(options);
  checkResultTtl(options.resultTtl);
  checkRetries(options);
}

const ENQUEUE_KEYS = "timeout delay ifExists resultTtl maxAttempts backoff".split(" ");

/** Checks the options of one call of `enqueue`. */
export function checkEnqueue(options: EnqueueOptions): void {
  checkKeys("enqueue", options, ENQUEUE_KEYS);
  const choices: readonly unknown[] = ["join", "replace", "reject"];
  if (options.ifExists !== undefined && !choices.includes(options.ifExists)) {
    throw new TypeError(`Cannot use ifExists ${show(options.ifExists)}: it is one of ${choices.join(", ")}`);
  }
  checkOptional("timeout", options.timeout, { infinite: true });
  checkOptional("delay", options.delay, {});
  if (options.delay !== undefined && options.delay >= (options.timeout ?? Infinity)) {
    const way = "it could never start; take a longer timeout or a shorter delay";
    throw new RangeError(`Cannot use delay ${options.delay} with timeout ${options.timeout}: ${way}`);
  }
  checkResultTtl(options.resultTtl);
  checkRetries(options);
}

/** Checks the options of one call of `listen` and fills in the defaults. */
export function listenSettings(options: ListenOptions): { workers: number; grace: number } {
  checkKeys("listen", options, ["workers", "signal", "grace"]);
  const workers = options.workers ?? 128;
  if (!Number.isInteger(workers) || workers < 1) {
    throw new RangeError(`Cannot use workers ${show(workers)}: it is a whole number of at least 1`);
  }
  return { workers, grace: checkDuration("grace", options.grace ?? 10_000) };
}

/** Checks the options of `executeTaskRemotely`, `executeTaskLocally`, `buildTask` and `cancel`. */
export function checkExecute(verb: string, options: ExecuteOptions, keys: readonly (keyof ExecuteOptions)[]): void {
  checkKeys(verb, options, keys);
  checkOptional("timeout", options.timeout, { infinite: true });
}

/** Checks the options of a listener's `health`. */
export function checkHealth(options: object): void {
  checkKeys("health", options, ["timeout"]);
}

/** The record has ten digits for how long it is kept, in milliseconds (115 days). */
const RESULT_TTL_MAX = 9_999_999_999;

/** How long an ended task is kept. */
export function resultTtlFor(settings: QueueSettings, asked: number | undefined, timeout: number): number {
  const fallback = Number.isFinite(timeout) ? timeout : Number.isFinite(settings.timeout) ? settings.timeout : 300_000;
  return Math.min(Math.max(asked ?? settings.resultTtl ?? fallback, RESULT_TTL_MIN), RESULT_TTL_MAX);
}

function checkResultTtl(value: number | undefined): number | undefined {
  return checkOptional("resultTtl", value, { least: RESULT_TTL_MIN, most: RESULT_TTL_MAX });
}

function checkStartWithin({ startWithin, timeout, policy = TaskExecutePolicy.Auto }: QueryOptions): void {
  if (startWithin === undefined) return;
  checkDuration("startWithin", startWithin);
  if (policy !== TaskExecutePolicy.RemoteFirst) {
    const way = `only "${TaskExecutePolicy.RemoteFirst}" takes a task back that nobody starts`;
    throw new TypeError(`Cannot use startWithin with the policy ${show(policy)}: ${way}`);
  }
  if (startWithin > (timeout ?? Infinity)) {
    const way = "the task has expired by then; take a longer timeout";
    throw new RangeError(`Cannot use startWithin ${startWithin} with timeout ${timeout}: ${way}`);
  }
}

function checkRetries({ maxAttempts, backoff }: Pick<EnqueueOptions, "maxAttempts" | "backoff">): void {
  checkMaxAttempts(maxAttempts);
  checkBackoff(backoff, { travels: true });
}

function checkBounds({ deadMax, deadTtl, doneBytes }: QueueOptions): Bounds {
  return {
    deadMax: checkCount("deadMax", deadMax, 1, 10_000_000),
    deadTtl: checkOptional("deadTtl", deadTtl, { least: RESULT_TTL_MIN }),
    doneBytes: checkCount("doneBytes", doneBytes, 0, Number.MAX_SAFE_INTEGER),
  };
}

function checkTaskFn(taskFn: TaskFns | undefined): TaskFns | undefined {
  if (taskFn === undefined || typeof taskFn === "function") return taskFn;
  if (typeof taskFn !== "object" || taskFn === null) {
    throw new TypeError(`Cannot use ${show(taskFn)} as taskFn: it is a function, or an object of name → function`);
  }
  for (const [name, handler] of Object.entries(taskFn)) {
    if (typeof handler === "function") continue;
    throw new TypeError(`Cannot use taskFn: its member ${show(name)} is no function but ${typeof handler}`);
  }
  return taskFn;
}

function checkSerializer(serializer: Serializer): Serializer {
  if (isSerializerName(serializer?.name)) return serializer;
  throw new TypeError(
    `Cannot use a serializer named ${show(serializer?.name)}: a name is 1 to 32 of a-z 0-9 . _ / +`,
  );
}

function serializersOf(serializers: readonly Serializer[]): ReadonlyMap<string, Serializer> {
  return new Map(serializers.map((serializer) => [checkSerializer(serializer).name, serializer]));
}
