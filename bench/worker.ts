/**
 * The other process of a measurement: a listener with no-op tasks, or a bare echo (blocking pop, push back), the least
 * that a question and an answer can cost on the same client. Ends when its standard input ends.
 */
import process from "node:process";
import { RedisTaskQueue } from "../mod.ts";
import { testConnect } from "../tests/support/test_client.ts";

const [, , role, url, workers] = process.argv;
const redis = await testConnect(url!);
const stop = new AbortController();
process.stdin.on("end", () => stop.abort()).resume();

if (role === "listen") {
  const queue = new RedisTaskQueue(redis, "bench", { taskFn: () => "done" });
  const listening = queue.listen(["noop"], { workers: Number(workers), signal: stop.signal });
  console.log("ready");
  await listening;
} else {
  const blocking = await redis.blocking();
  stop.signal.addEventListener("abort", () => blocking.close());
  console.log("ready");
  while (!stop.signal.aborted) {
    const popped = await blocking.call(["BLPOP", "echo:in", "1"], 3_000).catch(() => null);
    if (Array.isArray(popped)) await redis.exec([["RPUSH", "echo:out", String(popped[1])]]);
  }
}
redis.close();
process.exit(0);
