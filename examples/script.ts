/**
 * A script that asks and ends: no `close()` is needed, the process ends by itself once it has its answers.
 * Auto runs the task here when nobody listens, so the script works with and without listeners.
 *
 *     REDIS_URL=redis://127.0.0.1:6379 node --import tsx examples/script.ts
 *
 * Without REDIS_URL it uses the memory store.
 *
 * @module
 */
import process from "node:process";
import { connect, type RedisTask, RedisTaskQueue, TaskExecutePolicy } from "../mod.ts";

const queue = new RedisTaskQueue(await connect(process.env.REDIS_URL ?? "memory:"), "script", {
  taskFn: { square: (task: RedisTask<number>): number => task.params ** 2 },
});

const ask = (n: number) => queue.query(`square-${n}`, "square", n, { timeout: 10_000, policy: TaskExecutePolicy.Auto });
console.log(await Promise.all([1, 2, 3].map(ask))); // [ 1, 4, 9 ]
