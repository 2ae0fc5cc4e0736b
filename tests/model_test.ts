/**
 * The behaviours of the model, Python's `redis_allocator.task_queue`, as its own test file states them, and the faults
 * of the model that are not to be copied (each of these tests would fail with the model's code).
 */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type RedisPort, RedisTask, RedisTaskQueue, TaskExecutePolicy, TaskTimeoutError } from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { testConnect } from "./support/test_client.ts";
import { until } from "./support/wait.ts";

const keys = keysOf("model", "task-queue");

describe("the model", () => {
  let server: RedisServer;
  let redis: RedisPort;
  type Queue = RedisTaskQueue<(task: RedisTask) => unknown>;
  let queue: Queue;
  let stop: AbortController;
  const listening: Promise<void>[] = [];
  const queues: Queue[] = [];

  before(async () => {
    server = await startRedis();
    redis = await testConnect(server.url);
  });
  after(async () => {
    redis.close();
    await server.stop();
  });
  beforeEach(async () => {
    await redis.exec([["FLUSHALL"]]);
    stop = new AbortController();
    queue = open((task) => `result-${task.id}`);
  });
  afterEach(async () => {
    stop.abort();
    await Promise.all(listening.splice(0));
    for (const one of queues.splice(0)) await one.close();
  });

  function open(taskFn?: (task: RedisTask) => unknown, options: { timeout?: number } = {}): Queue {
    const one = new RedisTaskQueue(redis, "model", { interval: 300, ...(taskFn ? { taskFn } : {}), ...options });
    queues.push(one);
    return one;
  }
  /** Another process in the eyes of Redis: a listener that is present when this resolves. */
  async function listen(taskFn: (task: RedisTask) => unknown, workers = 8): Promise<void> {
    const remote = open(taskFn);
    listening.push(remote.listen(["test"], { workers, signal: stop.signal, grace: 500 }));
    await until(async () => (await redis.exec([["ZCARD", keys.listen("test")]]))[0] === 1, "the listener is present");
  }

  it("builds a task with its id, name and params, and neither result nor error", () => {
    const task = queue.buildTask("task1", "test", { param1: "value1" });
    assert.equal(task.id, "task1");
    assert.equal(task.name, "test");
    assert.deepEqual(task.params, { param1: "value1" });
    assert.equal(task.result, undefined);
    assert.equal(task.error, undefined);
  });

  it("sets and gets a task", async () => {
    await queue.setTask(queue.buildTask("task1", "test", { param1: "value1" }));
    const task = await queue.getTask("task1");
    assert.equal(task?.name, "test");
    assert.deepEqual(task?.params, { param1: "value1" });
    assert.equal(task?.state, "stored");
  });

  it("knows which tasks it has", async () => {
    await queue.setTask(queue.buildTask("task1", "test", {}));
    assert.equal(await queue.hasTask("task1"), true);
    assert.equal(await queue.hasTask("task2"), false);
  });

  it("gets null for an unknown id, with once too", async () => {
    assert.equal(await queue.getTask("nonexistent"), null);
    assert.equal(await queue.getTask("nonexistent", { once: true }), null);
  });

  it("executes locally and keeps the result in the task", async () => {
    const task = queue.buildTask("task1", "test", {});
    assert.equal(await queue.executeTaskLocally(task), "result-task1");
    assert.equal(task.result, "result-task1");
    assert.equal(task.error, undefined);
  });

  it("executes locally and keeps the error in the task", async () => {
    const failing = open(() => {
      throw new TypeError("Test error");
    });
    const task = failing.buildTask("error_task", "test", {});
    await assert.rejects(failing.executeTaskLocally(task), { name: "TypeError", message: "Test error" });
    assert.equal((task.error as Error).message, "Test error");
    assert.equal(task.result, undefined);
  });

  it("executes remotely", async () => {
    await listen((task) => `remote-${task.id}`);
    const task = queue.buildTask("task2", "test", {});
    assert.equal(await queue.executeTaskRemotely(task, { timeout: 5_000 }), "remote-task2");
  });

  it("gives a remote error as itself", async () => {
    await listen(() => {
      throw new RangeError("Remote error");
    });
    const task = queue.buildTask("error_remote", "test", {});
    await assert.rejects(queue.executeTaskRemotely(task, { timeout: 5_000 }), (error: Error) => {
      assert.ok(error instanceof RangeError);
      assert.equal(error.message, "Remote error");
      return true;
    });
  });

  it("F68: times out when nobody does it", async () => {
    const task = queue.buildTask("timeout_task", "test", {}, { timeout: 100 });
    await assert.rejects(
      queue.executeTaskRemotely(task, { timeout: 100 }),
      (error) => error instanceof TaskTimeoutError,
    );
  });

  it("queries by each policy", async () => {
    assert.equal(await queue.query("task3", "test", {}, { policy: TaskExecutePolicy.Local }), "result-task3");
    assert.equal(await queue.query("task5", "test", {}, { policy: TaskExecutePolicy.LocalFirst }), "result-task5");
    assert.equal(await queue.query("task8", "test", {}, { policy: TaskExecutePolicy.RemoteFirst }), "result-task8");
    assert.equal(await queue.query("task10", "test", {}, { policy: TaskExecutePolicy.Auto }), "result-task10");
    await listen((task) => `remote-${task.id}`);
    const timeout = 5_000;
    for (const policy of [TaskExecutePolicy.Remote, TaskExecutePolicy.RemoteFirst, TaskExecutePolicy.Auto]) {
      assert.equal(await queue.query(`r-${policy}`, "test", {}, { policy, timeout }), `remote-r-${policy}`);
    }
  });

  it("falls back from a failed local run to the listeners", async () => {
    await listen((task) => `remote-${task.id}`);
    const failing = open(() => {
      throw new Error("Local error");
    });
    const policy = TaskExecutePolicy.LocalFirst;
    assert.equal(await failing.query("task6", "test", {}, { policy, timeout: 5_000 }), "remote-task6");
  });

  it("updates progress, and refuses to on an expired task", async () => {
    const task = queue.buildTask("task11", "test", {});
    const from = Date.now();
    await task.update(50, 100);
    assert.deepEqual([task.currentProgress, task.totalProgress], [50, 100]);
    assert.ok(task.updateProgressTime! >= from);
    const expired = new RedisTask({ id: "expired", name: "test", params: {}, expiry: Date.now() - 100 });
    await assert.rejects(expired.update(50, 100), (error) => error instanceof TaskTimeoutError);
  });

  it("marks a queue as listened", async () => {
    await queue.setQueueListened("test");
    assert.equal((await redis.exec([["EXISTS", keys.listen("test")]]))[0], 1);
  });

  describe("faults not copied", () => {
    it("a result of undefined, null, 0, empty text or false arrives, and at once", async () => {
      const values: Record<string, unknown> = { a: undefined, b: null, c: 0, d: "", e: false };
      await listen((task) => values[task.id]);
      const from = performance.now();
      for (const [id, value] of Object.entries(values)) {
        assert.equal(await queue.query(id, "test", {}, { policy: "remote", timeout: 10_000 }), value);
      }
      assert.ok(performance.now() - from < 3_000, "polling would take an interval each");
    });

    it("a task that reports progress still delivers its result", async () => {
      await listen(async (task) => {
        await task.update(1, 2);
        return "done";
      });
      assert.equal(await queue.query("p", "test", {}, { policy: "remote", timeout: 5_000 }), "done");
      const task = await queue.getTask("p");
      assert.deepEqual([task?.currentProgress, task?.totalProgress], [1, 2]);
    });

    it("a task that a listener took away and died with runs again", async () => {
      await queue.enqueue("t", "test", {}, { timeout: 30_000 });
      // What the model's listener does, then dies: here only a bell token can be lost that way.
      await redis.exec([["LPOP", keys.bell("test")]]);
      await listen((task) => `remote-${task.id}`);
      await until(async () => (await queue.getTask("t"))?.state === "succeeded", "the task is done");
    });

    it("RemoteFirst runs a task once, though nobody started it in time", async () => {
      let runs = 0;
      await queue.setQueueListened("test");
      const here = open(() => ++runs);
      const options = { policy: TaskExecutePolicy.RemoteFirst, timeout: 5_000, startWithin: 100 };
      assert.equal(await here.query("once", "test", {}, options), 1);
      await listen(() => ++runs);
      await queue.query("after", "test", {}, { policy: "remote", timeout: 5_000 });
      assert.equal(runs, 2, "the withdrawn task was not run again by the listener");
    });

    it("Auto does not wait for a listener that has stopped", async () => {
      await listen(() => "remote");
      stop.abort();
      await Promise.all(listening.splice(0));
      stop = new AbortController();
      assert.equal(await queue.query("here", "test", {}), "result-here");
    });

    it("a timeout longer than the queue's default holds", async () => {
      const short = open(undefined, { timeout: 100 });
      const answer = short.query("long", "test", {}, { policy: "remote", timeout: 10_000 });
      await until(async () => (await queue.getTask("long"))?.state === "queued", "it waits");
      const life = (await redis.exec([["PTTL", keys.record("long")]]))[0] as number;
      assert.ok(life > 9_000, `the record would go after ${life} ms`);
      await listen(() => "late but in time");
      assert.equal(await answer, "late but in time");
    });

    it("an expired id in the list harms no listener", async () => {
      await redis.exec([["RPUSH", keys.queue("test"), "vanished"]]);
      await listen((task) => task.id);
      assert.equal(await queue.query("next", "test", {}, { policy: "remote", timeout: 5_000 }), "next");
    });

    it("a listener claims no more than it has workers for", async () => {
      let running = 0;
      let most = 0;
      const open: (() => void)[] = [];
      const done = Array.from({ length: 6 }, (_, i) => queue.query(`w${i}`, "test", {}, { policy: "remote" }));
      await listen(() => {
        most = Math.max(most, ++running);
        return new Promise<void>((resolve) =>
          open.push(() => {
            running--;
            resolve();
          })
        );
      }, 2);
      for (let ended = 0; ended < 6; ended++) {
        await until(() => open.length > 0, "a task runs");
        assert.ok((await redis.exec([["ZCARD", keys.lease("test")]]))[0] as number <= 2);
        open.shift()!();
      }
      await Promise.all(done);
      assert.equal(most, 2);
    });

    it("F65: two queries with one id run it once and both get the answer", async () => {
      let runs = 0;
      await listen(() => ++runs);
      const ask = () => queue.query("same", "test", {}, { policy: "remote", timeout: 5_000 });
      assert.deepEqual(await Promise.all([ask(), ask()]), [1, 1]);
      const other = open();
      assert.equal(await other.query("same", "test", {}, { policy: "remote", timeout: 5_000 }), 1);
    });

    it("F65: two joiners and one once reader run the task once and all get the answer", async () => {
      let runs = 0;
      const options = { policy: "remote", timeout: 5_000 } as const;
      const answers = [
        queue.query("shared", "test", {}, options),
        open().query("shared", "test", {}, options),
        open().query("shared", "test", {}, { ...options, once: true }),
      ];
      await until(async () => (await redis.exec([["SCARD", keys.joined("shared")]]))[0] === 2, "two have joined");
      await listen(() => ++runs);
      assert.deepEqual(await Promise.all(answers), [1, 1, 1]);
    });

    it("what stands in Redis is data: no class is rebuilt and no code runs", async () => {
      await listen(() => {
        throw Object.assign(new Error("no"), { name: "Process", cause: new Error("why"), code: "E_NO" });
      });
      await assert.rejects(queue.query("e", "test", {}, { policy: "remote", timeout: 5_000 }), (error: Error) => {
        assert.equal(Object.getPrototypeOf(error), Error.prototype);
        assert.equal(error.name, "Process");
        assert.equal((error as Error & { code: string }).code, "E_NO");
        assert.equal((error.cause as Error).message, "why");
        return true;
      });
    });
  });
});
