/**
 * bee-queue in a soak, with its check for stalled jobs, which users must start themselves, and errand's lease.
 *
 * It stores no results: those are compared where a call waited for one. It keeps ended jobs for ever.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProcessOptions, SoakClient, SoakDriver, SoakListener } from "./driver.ts";
import type { Journal, StoredTask } from "./journal.ts";
import { ANSWER_LIMIT, loadPeer, NoAnswerError, sayError } from "./peers.ts";
import { BACKOFF, perform, type Work, type WorkParams } from "./work.ts";

type BeeParams = WorkParams & { readonly maxAttempts: number };

/** What is used of a job. */
interface Job {
  readonly id: string;
  readonly data: BeeParams;
  readonly status: string;
  readonly options: { readonly retries: number; readonly stacktraces: readonly string[] };
  setId(id: string): Job;
  retries(count: number): Job;
  backoff(strategy: "fixed", delay: number): Job;
  delayUntil(at: number): Job;
  save(): Promise<Job>;
  on(event: "succeeded", hook: (result: string) => void): void;
  on(event: "failed", hook: (error: Error) => void): void;
}

interface Queue {
  readonly jobs: Map<string, Job>;
  ready(): Promise<unknown>;
  createJob(data: BeeParams): Job;
  getJob(id: string): Promise<Job | null>;
  process(concurrency: number, run: (job: Job) => Promise<string>): void;
  checkStalledJobs(interval: number): Promise<unknown>;
  checkHealth(): Promise<Record<string, number>>;
  on(event: string, hook: (...args: never[]) => void): void;
  close(limit: number): Promise<void>;
}

type BeeQueue = new (name: string, options: object) => Queue;

const NAME = "soak";
/** What runs has so many milliseconds at a stop: its default. */
const CLOSE_LIMIT = 5_000;

/** Runs bee-queue. */
export const beeDriver: SoakDriver = {
  listen,
  connect: open,
  settings: "stallInterval 2 s, checkStalledJobs every 1 s in each worker, activateDelayedJobs, 8 retries, fixed " +
    "backoff; its Redis client's defaults; Node",
};

async function listen({ url, lease, workers }: ProcessOptions, journal: Journal): Promise<SoakListener> {
  const queue = await make({ redis: { url }, stallInterval: lease, activateDelayedJobs: true, storeJobs: false });
  queue.on("succeeded", ({ id }: Job) => journal.write({ what: "accepted", id, outcome: "succeeded" }));
  queue.on("failed:fatal", ({ id }: Job) => journal.write({ what: "accepted", id, outcome: "failed" }));
  queue.process(workers, (job) => journaled(job, journal));
  queue.checkStalledJobs(lease / 2).catch(sayError);
  return { stop: () => queue.close(CLOSE_LIMIT) };
}

async function journaled({ id, data, options }: Job, journal: Journal): Promise<string> {
  const [attempt, fence] = [data.maxAttempts - options.retries, 0];
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

async function open({ url }: ProcessOptions): Promise<SoakClient> {
  const queue = await make({ redis: { url }, isWorker: false, activateDelayedJobs: true });
  return {
    enqueue: async (work) => {
      await build(queue, work).save();
      queue.jobs.delete(work.id); // It keeps whom nobody waits for.
    },
    query: (work) => query(queue, work),
    cancel: () => Promise.reject(new Error("Cannot cancel: the mix has no such tasks")),
    meaningOf: (error) => {
      if (error instanceof NoAnswerError) return "silent";
      const text = `${error}`;
      if (/OOM command not allowed|NOSCRIPT/.test(text)) return "refused";
      return text.includes("planned: ") ? "failed" : "unsure";
    },
    look: (ids) => Promise.all(ids.map((id) => look(queue, id))),
    left: async () => {
      const { waiting = 0, active = 0, delayed = 0 } = await queue.checkHealth();
      return waiting + active + delayed;
    },
    close: () => queue.close(CLOSE_LIMIT),
  };
}

function build(queue: Queue, { id, kind, takes, throws, payload, delay, maxAttempts }: Work): Job {
  const job = queue.createJob({ kind, takes, throws, payload, maxAttempts }).setId(id).retries(maxAttempts - 1)
    .backoff("fixed", BACKOFF);
  return delay > 0 ? job.delayUntil(Date.now() + delay) : job;
}

async function query(queue: Queue, work: Work): Promise<string> {
  const job = build(queue, work);
  const answer = new Promise<string>((resolve, reject) => {
    job.on("succeeded", resolve);
    job.on("failed", reject);
  });
  answer.catch(() => {}); // `save` may fail first.
  await job.save();
  const silence = new AbortController();
  const limit = sleep(ANSWER_LIMIT, undefined, { signal: silence.signal }).then(() => {
    throw new NoAnswerError(`no event within ${ANSWER_LIMIT} ms`);
  });
  limit.catch(() => {});
  return await Promise.race([answer, limit]).finally(() => silence.abort());
}

async function look(queue: Queue, id: string): Promise<StoredTask | undefined> {
  queue.jobs.delete(id); // It would answer from its memory.
  const job = await queue.getJob(id);
  if (job?.status !== "succeeded" && job?.status !== "failed") return undefined;
  const rest = { attempt: job.data.maxAttempts - job.options.retries, crashes: 0, fence: 0 };
  return { ...rest, outcome: job.status, value: job.status === "failed" ? String(job.options.stacktraces[0]) : "" };
}

async function make(options: object): Promise<Queue> {
  const queue = new (loadPeer<BeeQueue>("bee-queue"))(NAME, options);
  queue.on("error", sayError);
  await queue.ready();
  return queue;
}
