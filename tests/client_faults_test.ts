/** What a caller is owed when something around it goes wrong: other callers, other runs, its own queue's end. */
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { MemoryRedis, type QueueOptions, RedisTaskQueue, type TaskFns } from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { Calls } from "../src/calls.ts";
import { keysOf } from "../src/keys.ts";
import { within as withinLimits } from "../src/limits.ts";
import { settingsOf } from "../src/options.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { EnqueueRequest } from "../src/store/store.ts";
import { within } from "./support/wait.ts";

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

  it("that timed out holds nothing of a signal that others share", async () => {
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
      const asked = queue.query("late", "n", 1, { policy, startWithin: 30, timeout: 150 });
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
});

function request(id: string, nonce: string): EnqueueRequest {
  return {
    ...{ id, name: "n", nonce, kind: "enqueued", timeout: 0, resultTtl: 30_000, delay: 0, maxAttempts: 1 },
    ...{ options: "", params: "json=1", ifExists: "join" },
  };
}
