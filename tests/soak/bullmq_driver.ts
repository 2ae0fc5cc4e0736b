/**
 * BullMQ in a soak, with the settings that its documentation advises for production, and errand's lease.
 *
 * @module
 */
import type { ProcessOptions, SoakClient, SoakDriver, SoakListener } from "./driver.ts";
import type { Journal, StoredTask } from "./journal.ts";
import { ANSWER_LIMIT, loadPeer, NoAnswerError, sayError } from "./peers.ts";
import { BACKOFF, perform, type Work, type WorkParams } from "./work.ts";

/** What is used of a job. */
interface Job {
  readonly id: string;
  readonly data: WorkParams;
  readonly attemptsMade: number;
  readonly stalledCounter: number;
  readonly finishedOn?: number;
  readonly returnvalue: unknown;
  readonly failedReason?: string;
  waitUntilFinished(events: Emitter, limit: number): Promise<unknown>;
}

interface Emitter {
  on(event: string, hook: (...args: never[]) => void): void;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

interface Queue extends Emitter {
  add(name: string, data: WorkParams, options: object): Promise<Job>;
  getJob(id: string): Promise<Job | undefined>;
  getJobState(id: string): Promise<string>;
  getJobCounts(): Promise<Record<string, number>>;
}

interface BullMq {
  readonly Queue: new (name: string, options: object) => Queue;
  readonly Worker: new (name: string, run: (job: Job) => Promise<unknown>, options: object) => Emitter;
  readonly QueueEvents: new (name: string, options: object) => Emitter;
}

const NAME = "soak";
/** As errand: the fourth lost lease ends a task. */
const STALLS_MAX = 3;

/** Runs BullMQ. */
export const bullmqDriver: SoakDriver = {
  listen,
  connect: open,
  settings: "lockDuration 2 s, stalledInterval 1 s, maxStalledCount 3 (1 by default), attempts 9, fixed backoff; " +
    "`maxRetriesPerRequest: null` for workers, ioredis' default for producers; Node",
};

async function listen({ url, lease, workers }: ProcessOptions, journal: Journal): Promise<SoakListener> {
  const { Worker } = loadPeer<BullMq>("bullmq");
  const worker = new Worker(NAME, (job) => journaled(job, journal), {
    ...{ connection: connection(url, null), concurrency: workers },
    ...{ lockDuration: lease, stalledInterval: lease / 2, maxStalledCount: STALLS_MAX },
  });
  worker.on("error", sayError);
  worker.on("completed", ({ id }: Job) => journal.write({ what: "accepted", id, outcome: "succeeded" }));
  worker.on("failed", (job: Job | undefined) => {
    if (job?.finishedOn) journal.write({ what: "accepted", id: job.id, outcome: "failed" });
  });
  await worker.waitUntilReady();
  // It waits for what runs.
  return { stop: () => worker.close() };
}

async function journaled({ id, data, attemptsMade }: Job, journal: Journal): Promise<string> {
  const [attempt, fence] = [attemptsMade + 1, 0];
  journal.write({ what: "start", id, attempt, fence });
  try {
    const result = await perform(id, data, attempt);
    journal.write({ what: "end", id, attempt, fence, how: "returned" });
    return result;
  } catch (error) {
    journal.write({ what: "end", id, attempt, fence, how: "threw" });
    throw error;
  }
}

// deno-lint-ignore require-await -- as the interface says
async function open({ url, keep }: ProcessOptions): Promise<SoakClient> {
  const { Queue, QueueEvents } = loadPeer<BullMq>("bullmq");
  const age = { age: keep / 1_000 };
  const queue = new Queue(NAME, { connection: connection(url) });
  const events = new QueueEvents(NAME, { connection: connection(url, null) });
  queue.on("error", sayError);
  events.on("error", sayError);
  const add = ({ id, kind, takes, throws, payload, delay, maxAttempts: attempts }: Work): Promise<Job> =>
    queue.add("work", { kind, takes, throws, payload }, {
      ...{ jobId: id, delay, attempts, backoff: { type: "fixed", delay: BACKOFF } },
      ...{ removeOnComplete: age, removeOnFail: age },
    });
  return {
    enqueue: async (work) => void await add(work),
    query: async (work) => {
      const job = await add(work);
      return await job.waitUntilFinished(events, ANSWER_LIMIT).catch((error) => {
        throw `${error}`.includes("timed out before finishing") ? new NoAnswerError(`${error}`) : error;
      }) as string;
    },
    cancel: () => Promise.reject(new Error("Cannot cancel: the mix has no such tasks")),
    meaningOf: (error) => {
      if (error instanceof NoAnswerError) return "silent";
      const text = `${error}`;
      if (text.includes("OOM command not allowed")) return "refused";
      return /planned: |stalled more than/.test(text) ? "failed" : "unsure";
    },
    look: (ids) => Promise.all(ids.map((id) => look(queue, id))),
    left: async () => {
      const { waiting = 0, active = 0, delayed = 0, prioritized = 0 } = await queue.getJobCounts();
      return waiting + active + delayed + prioritized;
    },
    close: async () => {
      await events.close();
      await queue.close();
    },
  };
}

async function look(queue: Queue, id: string): Promise<StoredTask | undefined> {
  const job = await queue.getJob(id);
  if (!job?.finishedOn) return undefined;
  const state = await queue.getJobState(id);
  if (state !== "completed" && state !== "failed") return undefined;
  const rest = { attempt: job.attemptsMade, crashes: job.stalledCounter, fence: 0 };
  return state === "completed"
    ? { ...rest, outcome: "succeeded", value: String(job.returnvalue) }
    : { ...rest, outcome: "failed", value: String(job.failedReason) };
}

/** A worker asks for ever, as BullMQ demands; others as often as ioredis does by default. */
function connection(url: string, maxRetriesPerRequest?: null): object {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port), ...(maxRetriesPerRequest === null ? { maxRetriesPerRequest } : {}) };
}
