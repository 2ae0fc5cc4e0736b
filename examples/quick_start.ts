/**
 * The whole of errand in one process and without a server: `deno run -A examples/quick_start.ts`,
 * `bun examples/quick_start.ts` or `node --import tsx examples/quick_start.ts`.
 *
 * @module
 */
import { connect, type RedisTask, RedisTaskQueue } from "../mod.ts";

const redis = await connect("memory:");
await using queue = new RedisTaskQueue(redis, "quick-start", {
  taskFn: { add: (task: RedisTask<[number, number]>): number => task.params[0] + task.params[1] },
});

// A listener takes tasks of its names until its signal aborts. It can as well be another process on another machine.
const stop = new AbortController();
const listening = queue.listen(["add"], { workers: 4, signal: stop.signal });

console.log(await queue.query("sum-1", "add", [20, 22])); // 42

stop.abort();
await listening;
