/**
 * What the types of a queue promise; checked, never run.
 */
import { MemoryRedis, type RedisTask, RedisTaskQueue } from "../../mod.ts";

const redis = new MemoryRedis();
const taskFn = {
  double: (task: RedisTask<number>) => task.params * 2,
  greet: async (task: RedisTask<{ name: string }>) => await Promise.resolve(`Hello ${task.params.name}`),
  now: () => new Date(),
};

/** A map: params and result are those of the name. */
export async function byName(): Promise<void> {
  const queue = new RedisTaskQueue(redis, "app", { taskFn });
  const doubled: number = await queue.query("a", "double", 2);
  const greeting: string = await queue.query("b", "greet", { name: "Ada" });
  const date: Date = await queue.query("c", "now", undefined);
  const other: unknown = await queue.query("d", "of another listener", { anything: 1 });
  // @ts-expect-error the params of "double" are a number
  await queue.query("a", "double", "two");
  // @ts-expect-error the result of "double" is a number
  const wrong: string = await queue.query("a", "double", 2);
  const task = queue.buildTask("e", "double", 3);
  const again: number = await queue.executeTaskLocally(task);
  console.log(doubled, greeting, date, other, wrong, again);
}

/** A client without functions may take its types from the listener's. */
export async function byType(): Promise<void> {
  const client = new RedisTaskQueue<typeof taskFn>(redis, "app");
  const doubled: number = await client.query("a", "double", 2);
  console.log(doubled);
}

/** Where nothing is known everything is unknown, and a queue of known functions fits. */
export async function unknownTypes(): Promise<void> {
  const any: RedisTaskQueue = new RedisTaskQueue(redis, "app", { taskFn });
  const one: RedisTaskQueue = new RedisTaskQueue(redis, "app", { taskFn: (task: RedisTask<string>) => task.params });
  const untyped = new RedisTaskQueue(redis, "app", { taskFn: (task) => task.id });
  const id: string = await untyped.query("a", "anything", { some: "params" });
  const result: unknown = await any.query("a", "double", "whatever");
  console.log(one, id, result);
}
