/**
 * bee-queue: `process` with its concurrency, `saveAll` for bulk, events only where answers need them, no jobs kept in the
 * producer's memory: all as its README advises. It stores no results; the answer is in the event.
 */
import { type Driver, indexOf, load, type Params, paramsOf, type Role, versionOf } from "./subject.ts";

interface Job {
  readonly data: Params;
  setId(id: string): Job;
  save(): Promise<Job>;
  once(event: string, heard: (value: unknown) => void): Job;
}

interface Queue {
  ready(): Promise<unknown>;
  createJob(data: Params): Job;
  saveAll(jobs: readonly Job[]): Promise<Map<Job, Error>>;
  process(concurrency: number, work: (job: Job) => Promise<unknown>): void;
  checkHealth(): Promise<{ readonly waiting: number; readonly succeeded: number }>;
  close(timeout: number): Promise<void>;
}

interface BeeQueue {
  readonly default: new (name: string, options: object) => Queue;
}

/** bee-queue on redis 3, the client that it is bound to. */
export async function openBeeQueue(port: number, role: Role): Promise<Driver> {
  const Queue = (await load<BeeQueue>("bee-queue")).default;
  const asks = role === "ask";
  const queue = new Queue("bench", {
    redis: { host: "127.0.0.1", port },
    isWorker: role === "work" || role === "serve",
    getEvents: asks,
    sendEvents: role === "serve",
    storeJobs: asks,
  });
  await queue.ready();
  const create = (index: number) => queue.createJob(paramsOf(index)).setId(`t${index}`);
  return {
    versions: `${await versionOf("bee-queue")} on redis 3`,
    enqueue: (index) => create(index).save(),
    enqueueMany: async (from, count) => {
      const errors = await queue.saveAll(Array.from({ length: count }, (_, i) => create(from + i)));
      for (const error of errors.values()) throw error;
    },
    ask: (index) =>
      new Promise((resolve, reject) => {
        const job = create(index).once("succeeded", resolve).once("failed", reject);
        job.save().catch(reject);
      }),
    work: (workers, work) => {
      queue.process(workers, (job) => Promise.resolve(work(indexOf(job.data))));
      return Promise.resolve();
    },
    counts: async () => {
      const { waiting, succeeded } = await queue.checkHealth();
      return { waiting, done: succeeded };
    },
    close: () => queue.close(5_000),
  };
}
