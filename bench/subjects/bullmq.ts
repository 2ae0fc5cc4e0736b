/**
 * BullMQ: one Worker with its `concurrency`, jobs and results kept (its default), `addBulk` for bulk,
 * `waitUntilFinished` for answers. Its lock renewal and its check for stalled jobs stay on, as errand's leases do.
 */
import { type Driver, indexOf, load, type Params, paramsOf, type Role, versionOf } from "./subject.ts";

interface Job {
  readonly data: Params;
  readonly returnvalue: unknown;
  waitUntilFinished(events: Closable, ttl: number): Promise<unknown>;
}

interface Closable {
  close(): Promise<void>;
  waitUntilReady(): Promise<unknown>;
}

interface Queue extends Closable {
  add(name: string, data: Params, options: { readonly jobId: string }): Promise<Job>;
  addBulk(jobs: readonly { name: string; data: Params; opts: { jobId: string } }[]): Promise<unknown>;
  getWaitingCount(): Promise<number>;
  getCompletedCount(): Promise<number>;
  getJob(id: string): Promise<Job | undefined>;
}

type Make<T, Rest extends unknown[] = []> = new (name: string, ...rest: [...Rest, options: object]) => T;

interface BullMq {
  readonly Queue: Make<Queue>;
  readonly QueueEvents: Make<Closable>;
  readonly Worker: Make<Closable, [work: (job: Job) => Promise<unknown>]>;
  createBunRedisClient(client: unknown): unknown;
}

/** BullMQ on ioredis. */
export const openBullMq = (port: number, role: Role): Promise<Driver> =>
  open(role, () => ({ host: "127.0.0.1", port, maxRetriesPerRequest: null }), "ioredis");

/** BullMQ on Bun's own client, by its adapter. */
export async function openBullMqOnBun(port: number, role: Role): Promise<Driver> {
  const { createBunRedisClient } = await load<BullMq>("bullmq");
  const { RedisClient } = await load<{ RedisClient: new (url: string) => unknown }>("bun");
  return await open(role, () => createBunRedisClient(new RedisClient(`redis://127.0.0.1:${port}`)), "Bun's client");
}

async function open(role: Role, connection: () => unknown, client: string): Promise<Driver> {
  const { Queue, QueueEvents, Worker } = await load<BullMq>("bullmq");
  const queue = new Queue("bench", { connection: connection() });
  await queue.waitUntilReady();
  const events = role === "ask" ? new QueueEvents("bench", { connection: connection() }) : undefined;
  await events?.waitUntilReady();
  let worker: Closable | undefined;
  const add = (index: number) => queue.add("work", paramsOf(index), { jobId: `t${index}` });
  return {
    versions: `${await versionOf("bullmq")} on ${client}`,
    enqueue: add,
    enqueueMany: (from, count) =>
      queue.addBulk(Array.from({ length: count }, (_, i) => ({
        ...{ name: "work", data: paramsOf(from + i), opts: { jobId: `t${from + i}` } },
      }))),
    ask: async (index) => await (await add(index)).waitUntilFinished(events!, 60_000),
    work: (workers, work) => {
      const run = (job: Job) => Promise.resolve(work(indexOf(job.data)));
      worker = new Worker("bench", run, { connection: connection(), concurrency: workers });
      return Promise.resolve();
    },
    counts: async () => ({ waiting: await queue.getWaitingCount(), done: await queue.getCompletedCount() }),
    result: async (index) => (await queue.getJob(`t${index}`))?.returnvalue,
    close: async () => {
      await worker?.close();
      await events?.close();
      await queue.close();
    },
  };
}
