/** @platformatic/job-queue on iovalkey, with its concurrency; it has no bulk, so many are handed in at once. Node 22 only. */
import { type Driver, indexOf, load, type Params, paramsOf, type Role, versionOf } from "./subject.ts";

interface Queue {
  start(): Promise<void>;
  stop(): Promise<void>;
  execute(work: (job: { readonly payload: Params }) => Promise<string>): void;
  enqueue(id: string, params: Params): Promise<unknown>;
  enqueueAndWait(id: string, params: Params, options: { readonly timeout: number }): Promise<unknown>;
  getResult(id: string): Promise<unknown>;
}

interface JobQueue {
  readonly Queue: new (options: object) => Queue;
  readonly RedisStorage: new (options: { readonly url: string }) => object;
}

interface Valkey {
  readonly default: new (port: number, host: string) => {
    llen(key: string): Promise<number>;
    hlen(key: string): Promise<number>;
    disconnect(): void;
  };
}

/** Connects job-queue. */
export async function openJobQueue(port: number, role: Role): Promise<Driver> {
  const { Queue, RedisStorage } = await load<JobQueue>("@platformatic/job-queue");
  const Client = (await load<Valkey>("iovalkey")).default;
  const looker = new Client(port, "127.0.0.1");
  const make = (concurrency: number) =>
    new Queue({ storage: new RedisStorage({ url: `redis://127.0.0.1:${port}` }), concurrency });
  let queue = make(1);
  if (role === "produce" || role === "ask") await queue.start();
  const enqueue = (index: number) => queue.enqueue(`t${index}`, paramsOf(index));
  return {
    versions: `${await versionOf("@platformatic/job-queue")} on ${await versionOf("iovalkey")}`,
    enqueue,
    enqueueMany: (from, count) => Promise.all(Array.from({ length: count }, (_, i) => enqueue(from + i))),
    ask: (index) => queue.enqueueAndWait(`t${index}`, paramsOf(index), { timeout: 60_000 }),
    work: async (workers, work) => {
      queue = make(workers);
      queue.execute((job) => Promise.resolve(work(indexOf(job.payload))));
      await queue.start();
    },
    counts: async () => ({ waiting: await looker.llen("jq:queue"), done: await looker.hlen("jq:results") }),
    result: (index) => queue.getResult(`t${index}`),
    close: async () => {
      await queue.stop();
      looker.disconnect();
    },
  };
}
