/**
 * errand itself, with its defaults: every guard on, results kept. On Bun its own client, else ioredis; `ERRAND_TEST_CLIENT`
 * names another.
 */
import process from "node:process";
import { type ClientName, connect, type RedisTask, RedisTaskQueue } from "../../mod.ts";
import { type Driver, indexOf, type Params, paramsOf, type Role, type Work } from "./subject.ts";

const NAME = "work";

/** Connects errand. */
export async function openErrand(port: number, _role: Role): Promise<Driver> {
  const client = (process.env.ERRAND_TEST_CLIENT ?? ("Bun" in globalThis ? "bun" : "ioredis")) as ClientName;
  const redis = await connect(`redis://127.0.0.1:${port}`, { client });
  const options: { work?: Work } = {};
  const taskFn = { [NAME]: (task: RedisTask<Params>) => options.work!(indexOf(task.params)) };
  const queue = new RedisTaskQueue(redis, "bench", { taskFn });
  const stop = new AbortController();
  let listening: Promise<void> | undefined;
  const enqueue = (index: number) => queue.enqueue(`t${index}`, NAME, paramsOf(index));
  return {
    versions: `errand on ${client === "bun" ? "Bun's client" : client}`,
    enqueue,
    enqueueMany: (from, count) => Promise.all(Array.from({ length: count }, (_, i) => enqueue(from + i))),
    ask: (index) => queue.query(`t${index}`, NAME, paramsOf(index), { policy: "remote" }),
    work: (workers, work) => {
      options.work = work;
      listening = queue.listen([NAME], { workers, signal: stop.signal });
      return Promise.resolve();
    },
    counts: async () => {
      const { queued, done } = await queue.counts(NAME);
      return { waiting: queued, done };
    },
    result: async (index) => (await queue.getTask(`t${index}`))?.result,
    close: async () => {
      stop.abort();
      await listening;
      await queue.close();
      await redis.close();
    },
  };
}
