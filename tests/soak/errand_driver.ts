/**
 * errand in a soak.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  connect,
  ConnectionLostError,
  ListenerStoppedError,
  QueueFullError,
  type RedisPort,
  type RedisTask,
  RedisTaskQueue,
  type TaskEvent,
  TaskExecutePolicy,
  TaskTimeoutError,
} from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { decodeHeader } from "../../src/record.ts";
import { asOutcome, type ProcessOptions, type SoakClient, type SoakDriver, type SoakListener } from "./driver.ts";
import type { Journal, StoredTask } from "./journal.ts";
import { BACKOFF, perform, PlannedError, type Work, type WorkParams } from "./work.ts";

/** Of every key. */
export const PREFIX = "soak";
/** Where tasks wait; those with a delay apart. */
export const NAMES = ["work", "late"] as const;
/** Running tasks have so many milliseconds at a stop: less than many of them need. */
const GRACE = 500;

/** Runs errand. */
export const errandDriver: SoakDriver = {
  listen,
  connect: open,
  settings: "lease 2 s, interval 0.5 s, maxAttempts 9, fixed backoff, else defaults; Node",
};

function queueOptions({ lease, interval, keep }: ProcessOptions) {
  return { lease, interval, resultTtl: keep, deadTtl: keep, doneBytes: 1e9, maxAttempts: 9, backoff: BACKOFF };
}

async function listen(options: ProcessOptions, journal: Journal): Promise<SoakListener> {
  const redis = await dial(options.url);
  const queue = new RedisTaskQueue(redis, PREFIX, {
    ...queueOptions(options),
    taskFn: (task: RedisTask<WorkParams>) => journaled(task, journal),
    onEvent: (event) => writeEvent(event, journal),
    log: ({ level, message, error }) => console.log(`${new Date().toISOString()} ${level}: ${message}: ${error ?? ""}`),
  });
  const stop = new AbortController();
  const listening = queue.listen([...NAMES], { workers: options.workers, grace: GRACE, signal: stop.signal });
  return {
    stop: async () => {
      stop.abort();
      await listening;
      await queue.close();
      redis.close();
    },
  };
}

async function journaled(task: RedisTask<WorkParams>, journal: Journal): Promise<string> {
  const { id, attempt, fence } = task;
  journal.write({ what: "start", id, attempt, fence });
  try {
    const result = await perform(id, task.params, attempt, task.signal);
    journal.write({ what: "end", id, attempt, fence, how: "returned" });
    // The fence shows whose result was stored.
    return `${result}@${fence}`;
  } catch (error) {
    const how = error instanceof PlannedError
      ? "threw"
      : error instanceof ListenerStoppedError
      ? "released"
      : "stopped";
    journal.write({ what: "end", id, attempt, fence, how });
    throw error;
  }
}

function writeEvent({ type, id }: TaskEvent, journal: Journal): void {
  const outcome = asOutcome(type);
  if (outcome !== undefined) journal.write({ what: "accepted", id, outcome });
}

async function open(options: ProcessOptions): Promise<SoakClient> {
  const redis = await dial(options.url);
  const queue = new RedisTaskQueue(redis, PREFIX, { ...queueOptions(options), log: () => {} });
  return {
    enqueue: async (work) => {
      const { delay, timeout, maxAttempts } = work;
      await queue.enqueue(work.id, nameOf(work), paramsOf(work), { delay, timeout, maxAttempts });
    },
    query: async (work) => {
      const { timeout, maxAttempts } = work;
      const how = { timeout, maxAttempts, policy: TaskExecutePolicy.Remote };
      return withoutFence(await queue.query(work.id, nameOf(work), paramsOf(work), how) as string);
    },
    cancel: (id) => queue.cancel(id),
    meaningOf: (error) => {
      if (error instanceof QueueFullError) return "refused";
      if (error instanceof ConnectionLostError) return error.sent ? "unsure" : "refused";
      return error instanceof TaskTimeoutError ? "silent" : "failed";
    },
    look: (ids) => look(redis, queue, ids),
    left: async () => {
      const counts = await Promise.all(NAMES.map((name) => queue.counts(name)));
      return counts.reduce((sum, { queued, scheduled, running }) => sum + queued + scheduled + running, 0);
    },
    close: async () => {
      await queue.close();
      redis.close();
    },
  };
}

async function look(redis: RedisPort, queue: RedisTaskQueue, ids: readonly string[]) {
  const keys = keysOf(PREFIX, "task-queue");
  if (ids.length === 0) return [];
  const [records] = await redis.exec([["MGET", ...ids.map((id) => keys.record(id))]]);
  if (!Array.isArray(records)) throw new Error(`Cannot look: ${records}`);
  return await Promise.all(ids.map(async (id, at): Promise<StoredTask | undefined> => {
    const text = records[at];
    if (typeof text !== "string") return undefined;
    const { state, attempt, crashes, fence } = decodeHeader(text);
    const outcome = asOutcome(state);
    if (outcome === undefined) return undefined;
    const task = await queue.getTask(id);
    if (task?.state !== outcome) throw new Error(`${id} was ${outcome} and is ${task?.state}`);
    return { outcome, attempt, crashes, fence: Number(fence), value: valueOf(task) };
  }));
}

/** The result, if the fence it names is that of its record; otherwise what shows the difference. */
function valueOf({ state, result, error, fence }: RedisTask): string {
  if (state !== "succeeded") return `${error?.name}: ${error?.message}`;
  return String(result).endsWith(`@${fence}`) ? withoutFence(String(result)) : `${result} in a record of ${fence}`;
}

function withoutFence(result: string): string {
  return result.replace(/@\d+$/, "");
}

function nameOf({ kind }: Work): string {
  return kind === "delayed" ? "late" : "work";
}

function paramsOf({ kind, takes, throws, payload }: Work): WorkParams {
  return { kind, takes, throws, payload };
}

/** A process of a soak waits for a Redis that is away, for ever. */
async function dial(url: string): Promise<RedisPort> {
  while (true) {
    try {
      return await connect(url, { log: () => {} }) as RedisPort;
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) throw error;
      await sleep(100);
    }
  }
}
