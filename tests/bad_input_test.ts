/** What no call takes: too much of anything, options that are not known, options that contradict each other. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, type QueueOptions, type RedisTask, RedisTaskQueue } from "../mod.ts";
import { testConnect } from "./support/test_client.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { VALUE_LIMIT } from "../src/serializer.ts";

/** `json="…"`: a text of so many characters is as large as a value may be. */
const LARGEST = VALUE_LIMIT - 'json=""'.length;

function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

/** Asserts that a call rejects with an error of this class whose message has these parts. */
async function refuses(call: () => Promise<unknown>, ErrorClass: new () => Error, ...parts: string[]): Promise<void> {
  await assert.rejects(call, (error: Error) => {
    assert.equal(error.name, ErrorClass.name, String(error));
    for (const part of parts) assert.ok(error.message.includes(part), `${error.message} has no ${part}`);
    return true;
  });
}

describe("limits, exactly", () => {
  let server: RedisServer;
  let queue: RedisTaskQueue;
  let redis: Awaited<ReturnType<typeof testConnect>>;
  const stop = new AbortController();
  let listening: Promise<void>;

  before(async () => {
    server = await startRedis();
    redis = await testConnect(server.url);
    const taskFn = {
      size: (task: RedisTask<string>) => task.params.length,
      text: (task: RedisTask<number>) => "x".repeat(task.params),
      throws: (task: RedisTask<number>) => {
        throw new Error("y".repeat(task.params));
      },
      depth: (task: RedisTask<number>) => nested(task.params),
    };
    queue = new RedisTaskQueue(redis, "bad", { taskFn, log: () => {} }) as RedisTaskQueue;
    listening = queue.listen(["size", "text", "throws", "depth"], { signal: stop.signal });
  });
  after(async () => {
    stop.abort();
    await listening;
    await queue.close();
    redis.close();
    await server.stop();
  });
  const ask = (name: string, params: unknown) =>
    queue.query(`${name}-${Math.random()}`, name, params, { policy: "remote" });

  it("F84: params of 1 MiB pass, one byte more does not", async () => {
    assert.equal(await ask("size", "x".repeat(LARGEST)), LARGEST);
    await refuses(() => ask("size", "x".repeat(LARGEST + 1)), RangeError, "1048577", "1048576");
  });

  it("F84: a result of 1 MiB passes, one byte more fails its task and says so", async () => {
    assert.equal((await ask("text", LARGEST) as string).length, LARGEST);
    await refuses(() => ask("text", LARGEST + 1), RangeError, "1048577", "1048576");
  });

  it("F84: an error's text is cut, whatever its size", async () => {
    for (const size of [8_192, 8_193, 5_000_000]) {
      const error = await ask("throws", size).then(() => assert.fail("it fails"), (error: Error) => error);
      assert.ok(error.message.length <= 8_192 + 1, `${error.message.length}`);
      assert.ok(error.message.length >= 8_192);
    }
  });

  it("F84: values 1,000 deep pass, deeper ones are refused on every runtime", async () => {
    assert.equal(JSON.stringify(await ask("depth", 1_000)).length, 2_001);
    class SerializationError extends Error {
      override name = "SerializationError";
    }
    await refuses(() => ask("depth", 10_000), SerializationError, "1000 deep");
    await refuses(() => ask("size", nested(10_000)), SerializationError, "1000 deep");
    await refuses(() => ask("size", nested(1_002)), SerializationError, "1000 deep");
  });

  it("F84: ten thousand calls of one turn are cut into batches, and all are accepted", async () => {
    const ids = Array.from({ length: 10_000 }, (_, at) => `many-${at}`);
    const tasks = await Promise.all(ids.map((id) => queue.enqueue(id, "nobody serves this", null)));
    assert.ok(tasks.every(({ state }) => state === "queued"));
    assert.equal((await queue.counts("nobody serves this")).queued, 10_000);
  });

  it("F84: names, ids, workers, durations and attempts stop at their limits", async () => {
    const long = "x".repeat(512);
    assert.equal(await queue.hasTask(long), false);
    await refuses(() => queue.hasTask(`${long}x`), TypeError, "513 bytes", "1 to 512");
    await refuses(() => queue.hasTask("ü".repeat(257)), TypeError, "514 bytes");
    const many = (count: number) => Array.from({ length: count }, (_, at) => `n${at}`);
    const all = new RedisTaskQueue(redis, "names", { taskFn: () => 1 });
    const ended = new AbortController();
    const serving = all.listen(many(256), { signal: ended.signal });
    ended.abort();
    await serving;
    await refuses(() => all.listen(many(257)), RangeError, "257", "256");
    await refuses(() => all.listen("n", { workers: 0 }), RangeError, "workers 0");
    await refuses(() => queue.enqueue("d", "n", 1, { delay: 1e12 + 1 }), RangeError, "1000000000001", "1000000000000");
    await refuses(() => queue.enqueue("d", "n", 1, { resultTtl: 29_999 }), RangeError, "29999", "30000");
    await refuses(() => queue.enqueue("d", "n", 1, { maxAttempts: 1_000 }), RangeError, "1000", "999");
    await all.close();
  });
});

describe("options", () => {
  it("that are not known are refused by every call, with the one that was meant", async () => {
    const redis = await connect("memory:");
    const queue = new RedisTaskQueue(redis, "options", { taskFn: () => 1 }) as RedisTaskQueue;
    const task = queue.buildTask("t", "n", 1);
    const odd = <Options>(options: object) => options as Options;
    const calls: readonly [() => unknown, string][] = [
      [() => new RedisTaskQueue(redis, "p", odd<QueueOptions>({ timeOut: 1 })), "timeout"],
      [() => connect("redis://127.0.0.1:1", odd({ clients: "bun" })), "client"],
      [() => queue.query("i", "n", 1, odd({ polici: "auto" })), "policy"],
      [() => queue.enqueue("i", "n", 1, odd({ dealy: 1 })), "delay"],
      [() => queue.listen("n", odd({ worker: 1 })), "workers"],
      [() => queue.getTask("i", odd({ onse: true })), "once"],
      [() => queue.buildTask("i", "n", 1, odd({ timout: 1 })), "timeout"],
      [() => queue.executeTaskLocally(task, odd({ timout: 1 })), "timeout"],
      [() => queue.executeTaskRemotely(task, odd({ onec: true })), "once"],
      [() => queue.cancel("i", odd({ timeouts: 1 })), "timeout"],
      [() => queue.dead.list("n", odd({ limits: 1 })), "limit"],
      [() => queue.dead.remove("n", odd({ names: "n" })), "name"],
      [() => queue.close(odd({ atonce: true })), "atOnce"],
    ];
    for (const [call, meant] of calls) await refuses(async () => await call(), TypeError, `"${meant}"`);
    await queue.close();
  });

  it("that contradict each other are refused", async () => {
    const queue = new RedisTaskQueue(await connect("memory:"), "options") as RedisTaskQueue;
    await refuses(() => queue.enqueue("i", "n", 1, { delay: 5, timeout: 5 }), RangeError, "could never start");
    await refuses(() => queue.query("i", "n", 1, { startWithin: 5 }), TypeError, "remote-first");
    const late = { policy: "remote-first", startWithin: 6, timeout: 5 } as const;
    await refuses(() => queue.query("i", "n", 1, late), RangeError, "startWithin 6", "timeout 5");
    await refuses(() => queue.query("i", "n", 1, { policy: "local" }), TypeError, "taskFn");
    await queue.close();
  });
});
