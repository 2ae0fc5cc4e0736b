/**
 * errand itself, with its defaults: every guard on, results kept. On Bun its own client, else ioredis; `ERRAND_TEST_CLIENT`
 * names another.
 */
import process from "node:process";
import { type ClientName, connect, type RedisTask, RedisTaskQueue, TaskTimeoutError } from "../../mod.ts";
import { type Driver, indexOf, type Params, paramsOf, type Role, type Work } from "./subject.ts";

const NAME = "work";

/** What differs between the ways in which errand is opened. */
interface Variant {
  readonly names: readonly string[];
  readonly interval?: number;
}

/** Connects errand. */
export const openErrand = (port: number, _role: Role): Promise<Driver> => open(port, { names: [NAME] });

/** A listener on 100 names that looks once a second. */
export const openErrandOnManyNames = (port: number, _role: Role): Promise<Driver> =>
  open(port, { names: [NAME, ...Array.from({ length: 99 }, (_, i) => `work${i}`)], interval: 1_000 });

async function open(port: number, { names, ...options }: Variant): Promise<Driver> {
  const client = (process.env.ERRAND_TEST_CLIENT ?? ("Bun" in globalThis ? "bun" : "ioredis")) as ClientName;
  const redis = await connect(`redis://127.0.0.1:${port}`, { client });
  let run: Work;
  const work = (task: RedisTask<Params>) => run(indexOf(task.params));
  const queue = new RedisTaskQueue(redis, "bench", {
    ...options,
    taskFn: Object.fromEntries(names.map((name) => [name, work])),
  });
  const stop = new AbortController();
  let listening: Promise<void> | undefined;
  const enqueue = (index: number) => queue.enqueue(`t${index}`, NAME, paramsOf(index));
  const stopped = async () => {
    stop.abort();
    await listening;
  };
  return {
    versions: `errand on ${client === "bun" ? "Bun's client" : client}`,
    enqueue,
    enqueueMany: (from, count) => Promise.all(Array.from({ length: count }, (_, i) => enqueue(from + i))),
    ask: (index) => queue.query(`t${index}`, NAME, paramsOf(index), { policy: "remote" }),
    giveUp: (index, timeout) =>
      queue.query(`t${index}`, "nobody", paramsOf(index), { policy: "remote", timeout }).then(
        () => Promise.reject(new Error("nobody has answered")),
        (error: unknown) => error instanceof TaskTimeoutError ? undefined : Promise.reject(error),
      ),
    work: (workers, work) => {
      run = work;
      listening = queue.listen(names, { workers, signal: stop.signal });
      return Promise.resolve();
    },
    stop: stopped,
    counts: async () => {
      const { queued, done } = await queue.counts(NAME);
      return { waiting: queued, done };
    },
    result: async (index) => (await queue.getTask(`t${index}`))?.result,
    close: async () => {
      await stopped();
      await queue.close();
      await redis.close();
    },
  };
}
