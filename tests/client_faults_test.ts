/** What a caller is owed when something around it goes wrong: other callers, other runs, its own queue's end. */
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { MemoryRedis, type QueueOptions, RedisTask, RedisTaskQueue, type TaskFns } from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { Calls } from "../src/calls.ts";
import type { Execution } from "../src/executor.ts";
import { keysOf } from "../src/keys.ts";
import { within as withinLimits } from "../src/limits.ts";
import { settingsOf } from "../src/options.ts";
import type { TaskRecord } from "../src/record.ts";
import { Runner } from "../src/runner.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { EnqueueRequest } from "../src/store/store.ts";
import { until, within } from "./support/wait.ts";

const LEASE = 200;

describe("a caller", () => {
  let redis: MemoryRedis;
  let store: MemoryStore;
  let queues: RedisTaskQueue[];

  beforeEach(() => {
    redis = new MemoryRedis();
    store = new MemoryStore(redis, keysOf("app", "task-queue"), systemClock);
    queues = [];
  });
  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.close()));
    redis.close();
  });

  function open(taskFn?: TaskFns, options: QueueOptions = {}): RedisTaskQueue {
    const queue = new RedisTaskQueue(redis, "app", {
      ...{ interval: 20, lease: LEASE, timeout: 5_000, log: () => {}, ...(taskFn ? { taskFn } : {}) },
      ...options,
    });
    queues.push(queue);
    return queue;
  }

  it("F70: that timed out holds nothing of a signal that others share", async () => {
    const shared = new AbortController();
    let held = 0;
    const { signal } = shared;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      held += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      held -= 1;
      remove(...args);
    };
    const never = () => new Promise<never>(() => {});
    const deadline = systemClock.monotonic() + 10;
    const call = withinLimits({ id: "t", deadline, signal }, systemClock, never);
    await assert.rejects(within(call, "the timeout"), { name: "TaskTimeoutError" });
    assert.equal(held, 0);
  });

  for (const policy of ["auto", "remote-first"] as const) {
    it(`keeps the delay of a task that it joined (${policy})`, async () => {
      let runs = 0;
      const queue = open(() => runs += 1);
      await queue.enqueue("late", "n", 1, { delay: 60_000 });
      const asked = queue.query("late", "n", 1, {
        ...{ policy, timeout: 150 },
        ...policy === "remote-first" ? { startWithin: 30 } : {},
      });
      await assert.rejects(within(asked, "the timeout"), { name: "TaskTimeoutError" });
      assert.equal(runs, 0);
      assert.equal((await store.readHeader("late"))?.state, "scheduled");
    });
  }

  it("with `once` deletes the run that answered, and no other of the same id", async () => {
    const nonces: (string | undefined)[] = [];
    const settings = settingsOf({ interval: 20, taskFn: () => "here", log: () => {} });
    const calls = new Calls({ store, client: "client000001", settings });
    const take = store.take.bind(store);
    store.take = (request) => {
      nonces.push(request.nonce);
      return take(request);
    };
    for (const policy of ["auto", "local"] as const) {
      const id = `once by ${policy}`;
      assert.equal(await calls.call({ id, name: "n", params: 1, timeout: 1_000, policy, once: true }), "here");
      assert.equal(await store.read(id), null, `${id} is gone`);
    }
    const nonce = `${"client000002"}00000007`;
    await store.enqueue(request("joined", nonce));
    const joined = calls.call({ id: "joined", name: "n", params: 1, timeout: 1_000, policy: "auto", once: true });
    assert.equal(await joined, "here");
    assert.deepEqual(nonces, ["client00000100000001", "client00000100000003", nonce]);
    calls.close();
  });

  it("never starts a run twice that the queue says is its own, however slow its outcome is to store", async () => {
    let runs = 0;
    const stored = resolvers<void>();
    const settings = settingsOf({ interval: 20, taskFn: () => runs += 1, log: () => {} });
    const runner = new Runner({ store, client: "client000001", settings });
    const complete = store.complete.bind(store);
    store.complete = (...args) => stored.promise.then(() => complete(...args));
    const own = { owner: "client000001", lease: 30_000 };
    const again = async (): Promise<Execution> => {
      const answer = await store.enqueue({ ...request("x", "client00000100000001"), ownIfUnattended: own });
      assert.equal(answer.verdict, "owned");
      return await runner.own((answer as { record: TaskRecord }).record, systemClock.monotonic());
    };
    assert.deepEqual(await again(), { state: "succeeded", value: 1 });
    assert.deepEqual(await again(), { state: "succeeded", value: 1 });
    stored.resolve();
    await runner.close();
    assert.equal(runs, 1);
  });

  it("whose queue is closed gives back what it runs, and its call ends", async () => {
    const started = resolvers<AbortSignal>();
    const queue = open((task: RedisTask) => {
      started.resolve(task.signal);
      return new Promise(() => {});
    }, { lease: 30_000 });
    const asked = assert.rejects(queue.query("x", "n", 1), {
      name: "ConnectionLostError",
      message: /queue was closed/,
    });
    const signal = await started.promise;
    await within(queue.close(), "the close");
    await within(asked, "the call");
    assert.equal((signal.reason as Error).name, "ListenerStoppedError");
    const record = await store.read("x");
    assert.deepEqual([record?.state, record?.attempt], ["queued", 0]);
  });

  it("whose queue is closed is not sent to a listener after its own run failed", async () => {
    const started = resolvers<void>();
    const end = resolvers<void>();
    const queue = open(async () => {
      started.resolve();
      await end.promise;
      throw new RangeError("here");
    });
    const asked = queue.query("x", "n", 1, { policy: "local-first" });
    const rejected = assert.rejects(asked, { name: "RangeError", message: "here" });
    await started.promise;
    await queue.close();
    end.resolve();
    await within(rejected, "the call");
    assert.equal(await store.readHeader("x"), null);
  });

  it("gets an answer when the client that ran its task has died and nobody listens", async () => {
    const nonce = "client00000900000001";
    const dead = { owner: "client000009", lease: LEASE };
    await store.enqueue({ ...request("x", nonce), ownIfUnattended: dead });
    assert.equal(await within(open(() => "here").query("x", "n", 1), "the answer"), "here");
  });

  it("leaves a run alone that takes many leases, and gets its answer", async () => {
    let runs = 0;
    const end = resolvers<void>();
    const long = async (): Promise<number> => {
      runs += 1;
      await end.promise;
      return runs;
    };
    const first = open(long).query("x", "n", 1);
    await until(() => runs === 1, "it runs");
    const enqueued: string[] = [];
    const enqueue = MemoryStore.prototype.enqueue;
    MemoryStore.prototype.enqueue = function (asked) {
      enqueued.push(asked.id);
      return enqueue.call(this, asked);
    };
    try {
      const other = open(long).query("x", "n", 1);
      await until(() => enqueued.length >= 4, "it was asked for again three times");
      end.resolve();
      assert.deepEqual(await within(Promise.all([first, other]), "both answers"), [1, 1]);
    } finally {
      MemoryStore.prototype.enqueue = enqueue;
    }
  });

  it("that runs its task in no queue can be cancelled by its own queue object", async () => {
    const started = resolvers<AbortSignal>();
    const queue = open((task: RedisTask) => {
      started.resolve(task.signal);
      return new Promise(() => {});
    });
    const asked = assert.rejects(queue.query("x", "n", 1, { policy: "local" }), { name: "TaskCancelledError" });
    const signal = await started.promise;
    assert.equal(await queue.cancel("x"), "cancelled");
    await within(asked, "the call");
    assert.equal((signal.reason as Error).name, "TaskCancelledError");
    assert.equal(await queue.cancel("x"), "cancelled");
    assert.equal(await queue.cancel("y"), "unknown");
  });

  it("that owns its task hears at once when another process cancels it, and listens no longer than it runs", async () => {
    const controls: boolean[] = [];
    const openControl = MemoryStore.prototype.openControl;
    MemoryStore.prototype.openControl = async function (...args) {
      const control = await openControl.apply(this, args);
      const at = controls.push(true) - 1;
      return {
        close: () => {
          controls[at] = false;
          control.close();
        },
      };
    };
    try {
      const queue = open(() => new Promise(() => {}), { lease: 3_600_000, interval: 600_000 });
      const asked = assert.rejects(queue.query("x", "n", 1), { name: "TaskCancelledError" });
      await until(() => controls[0] === true, "it hears");
      assert.equal(await open().cancel("x"), "cancelled");
      await within(asked, "the call");
      await until(() => controls[0] === false, "it listens no longer");
      assert.equal(controls.length, 1);
    } finally {
      MemoryStore.prototype.openControl = openControl;
    }
  });

  it("cannot store a task as waiting or running, for nobody would do it", async () => {
    const queue = open();
    for (const state of ["scheduled", "queued", "running"] as const) {
      const task = new RedisTask({ id: "x", name: "n", params: 1, state });
      await assert.rejects(queue.setTask(task), { name: "TypeError", message: new RegExp(`it is ${state}`) });
    }
    await queue.enqueue("x", "n", 1);
    await assert.rejects((await queue.getTask("x"))!.save(), { name: "TypeError", message: /it is queued/ });
    const endless = new RedisTask({ id: "y", name: "n", params: 1, expiry: Date.now() + 1e13 });
    await assert.rejects(queue.setTask(endless), { name: "RangeError", message: /expiry of task y/ });
  });

  it("cannot store a task over another that has ended", async () => {
    const queue = open(() => "answer");
    await queue.query("x", "n", 1);
    await assert.rejects(queue.setTask(queue.buildTask("x", "n", 2)), { name: "TaskConflictError" });
    await assert.rejects((await queue.getTask("x"))!.save(), { name: "TaskConflictError", message: /is succeeded/ });
    assert.equal((await queue.getTask("x"))?.result, "answer");
  });
});

function request(id: string, nonce: string): EnqueueRequest {
  return {
    ...{ id, name: "n", nonce, kind: "enqueued", timeout: 0, resultTtl: 30_000, delay: 0, maxAttempts: 1 },
    ...{ options: "", params: "json=1", ifExists: "join" },
  };
}

function resolvers<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve!: (value: Value) => void;
  const promise = new Promise<Value>((done) => resolve = done);
  return { promise, resolve };
}
