import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  MemoryRedis,
  type QueueOptions,
  type RedisTask,
  RedisTaskQueue,
  TaskCancelledError,
  TaskConflictError,
  TaskExecutePolicy,
  type TaskFns,
  TaskTimeoutError,
} from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { keysOf } from "../src/keys.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import { until, within } from "./support/wait.ts";

const { Local, Remote, LocalFirst, RemoteFirst, Auto } = TaskExecutePolicy;
const ALL = [Local, Remote, LocalFirst, RemoteFirst, Auto];
const keys = keysOf("app", "task-queue");

describe("RedisTaskQueue", () => {
  let redis: MemoryRedis;
  let store: MemoryStore;
  let queues: RedisTaskQueue[];

  beforeEach(() => {
    redis = new MemoryRedis();
    store = new MemoryStore(redis, keys, systemClock);
    queues = [];
  });
  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.close()));
    redis.close();
  });

  function open(taskFn?: TaskFns, options: QueueOptions = {}): RedisTaskQueue {
    const queue = new RedisTaskQueue(redis, "app", {
      ...{ interval: 60, timeout: 5_000, log: () => {}, ...(taskFn ? { taskFn } : {}) },
      ...options,
    });
    queues.push(queue);
    return queue;
  }

  /** A listener in another client, present when this resolves. */
  async function listen(taskFn: TaskFns, options: { workers?: number; signal?: AbortSignal } = {}): Promise<void> {
    void open(taskFn).listen("n", { grace: 0, ...options });
    await until(() => store.isListened("n"), "the listener is present");
  }

  describe("by policy", () => {
    const here = () => "here";
    const there = () => "there";
    const fails = () => {
      throw new RangeError("no");
    };

    it("with a listener: Local and LocalFirst run here, the others there", async () => {
      await listen(there);
      const queue = open(here);
      const results = await Promise.all(ALL.map((policy) => queue.query(policy, "n", 1, { policy })));
      assert.deepEqual(results, ["here", "there", "here", "there", "there"]);
    });

    it("without a listener: all but Remote run here, and at once", async () => {
      const queue = open(here);
      const rest = ALL.filter((policy) => policy !== Remote);
      const results = await Promise.all(rest.map((policy) => queue.query(policy, "n", 1, { policy, timeout: 400 })));
      assert.deepEqual(results, ["here", "here", "here", "here"]);
      await assert.rejects(queue.query("r", "n", 1, { policy: Remote, timeout: 50 }), TaskTimeoutError);
    });

    it("with a busy listener: RemoteFirst takes its task back, Auto and Remote wait", async () => {
      const free = new AbortController();
      const busy = () =>
        free.signal.aborted ? "there" : new Promise((resolve) => {
          free.signal.addEventListener("abort", () => resolve("there"));
        });
      await listen(busy, { workers: 1 });
      const queue = open(here);
      await queue.enqueue("blocker", "n", 1);
      await until(async () => (await queue.getTask("blocker"))?.state === "running", "the listener is busy");
      assert.equal(await queue.query("first", "n", 1, { policy: RemoteFirst, startWithin: 20 }), "here");
      const waiting = [Auto, Remote].map((policy) => queue.query(policy, "n", 1, { policy }));
      await until(async () => (await queue.getTask(Remote))?.state === "queued", "they wait");
      free.abort();
      assert.deepEqual(await Promise.all(waiting), ["there", "there"]);
    });

    it("RemoteFirst leaves a task that has started alone until its deadline", async () => {
      await listen(() => new Promise(() => {}));
      const queue = open(here);
      const options = { policy: RemoteFirst, startWithin: 10, timeout: 150 };
      await assert.rejects(queue.query("a", "n", 1, options), TaskTimeoutError);
    });

    it("Auto takes its task back when the listeners are gone", async () => {
      await store.markListened(["n"], "gone00000000", 100);
      const queue = open(here);
      assert.equal(await within(queue.query("a", "n", 1), "the answer"), "here");
    });

    it("a failed run: LocalFirst asks, RemoteFirst runs here, the others fail", async () => {
      await listen(there);
      assert.equal(await open(fails).query("a", "n", 1, { policy: LocalFirst }), "there");
      await assert.rejects(open(fails).query("b", "n", 1, { policy: Local }), RangeError);
    });

    it("a failed remote run: RemoteFirst runs here, the others fail as the listener did", async () => {
      await listen(fails);
      const queue = open(here);
      assert.equal(await queue.query("a", "n", 1, { policy: RemoteFirst }), "here");
      assert.equal((await queue.getTask("a"))?.result, "here");
      for (const policy of [Auto, Remote]) await assert.rejects(queue.query(policy, "n", 1, { policy }), RangeError);
    });

    it("with Redis down: all but Remote run here, Remote rejects at once", async () => {
      const queue = open(here);
      redis.close();
      for (const policy of ALL.filter((one) => one !== Remote)) {
        assert.equal(await within(queue.query(policy, "n", 1, { policy }), policy), "here");
      }
      const asked = queue.query("r", "n", 1, { policy: Remote });
      await within(assert.rejects(asked, { name: "ConnectionLostError" }), "the rejection", 1_000);
    });

    it("without a taskFn: Local is a TypeError, the others mean Remote", async () => {
      await listen(there);
      const queue = open();
      await assert.rejects(queue.query("l", "n", 1, { policy: Local }), TypeError);
      for (const policy of [LocalFirst, RemoteFirst, Auto]) {
        assert.equal(await queue.query(policy, "n", 1, { policy }), "there");
      }
    });

    it("what RemoteFirst and Auto run here is queried and joined like any task", async () => {
      let runs = 0;
      const queue = open(async () => {
        runs += 1;
        await until(() => queue.hasTask("go"), "everybody has asked");
        return runs;
      });
      const answers = [1, 2, 3].map(() => queue.query("a", "n", 1));
      answers.push(open(here).query("a", "n", 1));
      await until(async () => (await store.readHeader("a"))?.joined, "they have joined");
      await queue.setTask(queue.buildTask("go", "n", 1));
      assert.deepEqual(await Promise.all(answers), [1, 1, 1, 1]);
    });
  });

  describe("query", () => {
    it("F23: brings undefined, null, 0, empty text and false as such, from here and from there", async () => {
      const values = [undefined, null, 0, "", false];
      const give = (task: RedisTask<number>) => values[task.params];
      await listen(give);
      const queue = open(give);
      for (const policy of [Remote, Local, Auto]) {
        const asked = values.map((_, index) => queue.query(`${policy}${index}`, "n", index, { policy, once: true }));
        assert.deepEqual(await Promise.all(asked), values);
      }
    });

    it("once leaves no record behind, whether it succeeded or failed", async () => {
      const odd = (task: RedisTask<number>) => {
        if (task.params % 2) throw new RangeError("odd");
        return "even";
      };
      await listen(odd);
      const queue = open(odd);
      for (const policy of [Remote, Local, Auto]) {
        await queue.query(`${policy}0`, "n", 0, { policy, once: true });
        await assert.rejects(queue.query(`${policy}1`, "n", 1, { policy, once: true }), RangeError);
        assert.deepEqual([await queue.hasTask(`${policy}0`), await queue.hasTask(`${policy}1`)], [false, false]);
      }
    });

    it("F66: gives the stored result of a task that succeeded, and starts one that failed anew", async () => {
      let runs = 0;
      await listen((task: RedisTask<string>) => {
        runs += 1;
        if (task.params === "bad" && runs < 3) throw new Error("bad");
        return runs;
      });
      const queue = open();
      assert.equal(await queue.query("a", "n", "good"), 1);
      assert.equal(await queue.query("a", "n", "good"), 1);
      await assert.rejects(queue.query("b", "n", "bad"));
      assert.equal(await queue.query("b", "n", "bad"), 3);
    });

    it("refuses an id that belongs to another name", async () => {
      const queue = open({ n: () => 1, m: () => 2 });
      await queue.enqueue("a", "n", 1);
      await assert.rejects(queue.query("a", "m", 1), TaskConflictError);
      assert.equal(await queue.hasTask("a"), true);
    });

    it("a signal ends the wait with its reason, and cancels the task unless others wait for it", async () => {
      const queue = open();
      const leave = new AbortController();
      const options = { policy: Remote, signal: leave.signal };
      const asked = queue.query("a", "n", 1, options);
      const shared = queue.query("b", "n", 1, options);
      await until(() => queue.hasTask("b"), "it is queued");
      const joiner = open().query("b", "n", 1, { policy: Remote });
      await until(async () => (await store.readHeader("b"))?.joined, "it is joined");
      leave.abort(new Error("changed my mind"));
      await assert.rejects(asked, { message: "changed my mind" });
      await assert.rejects(shared, { message: "changed my mind" });
      await until(async () => (await queue.getTask("a"))?.state === "cancelled", "it is cancelled");
      await listen(() => "done");
      assert.equal(await joiner, "done");
      await assert.rejects(queue.query("c", "n", 1, { signal: leave.signal }), { message: "changed my mind" });
    });

    it("a signal and a timeout stop what runs here", async () => {
      const reasons: unknown[] = [];
      const queue = open((task: RedisTask) =>
        new Promise((_, reject) => {
          task.signal.addEventListener("abort", () => {
            reasons.push(task.signal.reason);
            reject(task.signal.reason);
          });
        })
      );
      const leave = new AbortController();
      for (const policy of [Local, Auto]) {
        await assert.rejects(queue.query(`${policy}1`, "n", 1, { policy, timeout: 30 }), TaskTimeoutError);
        const asked = queue.query(`${policy}2`, "n", 1, { policy, signal: leave.signal });
        setTimeout(() => leave.abort(new Error("gone")), 20);
        await assert.rejects(asked, { message: "gone" });
      }
      await until(() => reasons.length >= 3, "the handlers are told");
      assert.ok(reasons[0] instanceof TaskTimeoutError);
    });

    it("asks again when Redis has forgotten the task", async () => {
      const queue = open();
      const asked = queue.query("a", "n", 1);
      await until(() => queue.hasTask("a"), "it is queued");
      redis.delete(keys.record("a"));
      redis.delete(keys.queue("n"));
      await until(() => queue.hasTask("a"), "it is queued again");
      await listen(() => "done");
      assert.equal(await asked, "done");
    });

    it("refuses params that cannot be written, ids that are none, and unknown options", async () => {
      const queue = open();
      await assert.rejects(queue.query("a", "n", 1n), { name: "SerializationError" });
      await assert.rejects(queue.query("", "n", 1), TypeError);
      await assert.rejects(queue.query("a", "n", 1, { onse: true } as Record<string, unknown>), /did you mean "once"/);
      await assert.rejects(queue.query("a", "n", 1, { timeout: 0 }), TaskTimeoutError);
    });

    it("a second serializer plugs in, and its name is in the record", async () => {
      const dates = {
        name: "dates",
        serialize: (value: unknown) => JSON.stringify({ at: (value as Date).getTime() }),
        deserialize: (text: string) => new Date((JSON.parse(text) as { at: number }).at),
      };
      const next = (task: RedisTask<Date>) => new Date(task.params.getTime() + 1);
      void open(next, { serializer: dates }).listen("n", { grace: 0 });
      const queue = open(undefined, { serializer: dates });
      assert.deepEqual(await queue.query("a", "n", new Date(5)), new Date(6));
      assert.ok(redis.get(keys.record("a"), Date.now())?.includes('dates={"at":5}'));
      await assert.rejects(open().query("a", "n", 1), { name: "SerializationError" });
    });
  });

  describe("tasks as data", () => {
    it("are stored, read, and read once", async () => {
      const queue = open();
      const task = queue.buildTask("a", "n", { x: 1 });
      assert.equal(await queue.getTask("a"), null);
      await task.save();
      assert.deepEqual([(await queue.getTask("a"))?.state, await queue.hasTask("a")], ["stored", true]);
      task.result = "done";
      await task.save();
      const read = await queue.getTask("a", { once: true });
      assert.deepEqual([read?.state, read?.result, read?.params], ["succeeded", "done", { x: 1 }]);
      assert.deepEqual([await queue.getTask("a", { once: true }), await queue.hasTask("a")], [null, false]);
    });

    it("are never stored over a live one", async () => {
      const queue = open();
      await queue.enqueue("a", "n", 1);
      await assert.rejects(queue.setTask(queue.buildTask("a", "n", 2)), TaskConflictError);
      assert.equal((await queue.getTask("a", { once: true }))?.params, 1);
      assert.equal(await queue.hasTask("a"), true);
    });

    it("enqueue tells what the task is now, and what stands in its way", async () => {
      const queue = open();
      const task = await queue.enqueue("a", "n", 1);
      assert.deepEqual([task.state, task.expiry], ["queued", Infinity]);
      assert.equal((await queue.enqueue("b", "n", 1, { delay: 10_000 })).state, "scheduled");
      await assert.rejects(queue.enqueue("a", "n", 1, { ifExists: "reject" }), TaskConflictError);
      assert.equal((await queue.enqueue("a", "n", 1)).state, "queued");
      assert.equal((await queue.enqueue("a", "m", 1, { ifExists: "replace" })).name, "m");
    });

    it("cancel ends what waits and tells what runs", async () => {
      const queue = open((task: RedisTask) =>
        new Promise((_, reject) => task.signal.addEventListener("abort", () => reject(task.signal.reason)))
      );
      const waiting = queue.enqueue("a", "m", 1);
      await waiting;
      const results = [await queue.cancel("a"), await queue.cancel("a"), await queue.cancel("x")];
      assert.deepEqual(results, ["cancelled", "cancelled", "unknown"]);
      const owned = assert.rejects(queue.query("b", "n", 1), TaskCancelledError);
      await until(async () => (await queue.getTask("b"))?.state === "running", "it runs here");
      assert.equal(await queue.cancel("b"), "cancelled");
      await owned;
    });

    it("Local writes progress, and its end", async () => {
      const queue = open(async (task: RedisTask) => {
        await task.update(1, 2);
        await until(async () => (await queue.getTask("a"))?.currentProgress === 1, "the progress is stored");
        return "done";
      });
      assert.equal(await queue.query("a", "n", 1, { policy: Local }), "done");
      const task = await queue.getTask("a");
      assert.deepEqual([task?.state, task?.result, task?.totalProgress], ["succeeded", "done", 2]);
    });
  });

  describe("listen", () => {
    it("refuses a name without a function, and names it", async () => {
      await assert.rejects(open({ n: () => 1 }).listen(["n", "m"]), {
        name: "TypeError",
        message: 'Cannot listen to "m": taskFn has no function for it; add one, or leave the name out',
      });
      await assert.rejects(open().listen("n"), TypeError);
      await assert.rejects(open(() => 1).listen([]), RangeError);
    });

    it("ends on its signal, and on close", async () => {
      const queue = open(() => 1);
      const stop = new AbortController();
      const one = queue.listen("n", { signal: stop.signal });
      const two = queue.listen("m");
      await until(() => store.isListened("m"), "it is present");
      stop.abort();
      await within(one, "the first listener");
      await within(queue.close(), "close");
      await within(two, "the second listener");
      await assert.rejects(queue.query("a", "n", 1), TypeError);
    });
  });

  it("has the model's read-only properties and is disposable", async () => {
    const taskFn = () => 1;
    await using queue = new RedisTaskQueue(redis, "app", { taskFn });
    const { prefix, suffix, timeout, interval } = queue;
    assert.deepEqual([prefix, suffix, timeout, interval], ["app", "task-queue", 300_000, 5_000]);
    assert.equal(queue.redis, redis);
    assert.equal(queue.taskFn, taskFn);
    await queue.setQueueListened("n");
    assert.equal(await store.isListened("n"), true);
  });
});
