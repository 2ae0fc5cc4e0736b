/** The `signal` of a query: whenever it aborts, the call ends with its reason at once, and nothing of it stays. */
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import {
  MemoryRedis,
  type RedisTask,
  RedisTaskQueue,
  TaskExecutePolicy,
  type TaskFns,
  TaskTimeoutError,
} from "../mod.ts";
import { Calls } from "../src/calls.ts";
import { systemClock } from "../src/clock.ts";
import { keysOf } from "../src/keys.ts";
import { onAbort } from "../src/limits.ts";
import { settingsOf } from "../src/options.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { Store } from "../src/store/store.ts";
import { deferred, withVerbs } from "./support/listening.ts";
import { until, within } from "./support/wait.ts";

const { Remote, Auto } = TaskExecutePolicy;
const GONE = { message: "changed my mind" };

/** A signal that counts who listens to it. */
function counted(): { controller: AbortController; held: () => number; added: () => number } {
  const controller = new AbortController();
  const { signal } = controller;
  const held = new Set<unknown>();
  let added = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    held.add(args[1]);
    added += 1;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    held.delete(args[1]);
    remove(...args);
  };
  return { controller, held: () => held.size, added: () => added };
}

describe("the signal of a query", () => {
  let redis: MemoryRedis;
  let store: MemoryStore;
  let queues: RedisTaskQueue[];
  const stateOf = async (id: string) => (await store.readHeader(id))?.state;

  beforeEach(() => {
    redis = new MemoryRedis();
    store = new MemoryStore(redis, keysOf("app", "task-queue"), systemClock);
    queues = [];
  });
  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.close()));
    redis.close();
  });

  function open(taskFn?: TaskFns): RedisTaskQueue {
    const queue = new RedisTaskQueue(redis, "app", { interval: 100, log: () => {}, ...(taskFn ? { taskFn } : {}) });
    queues.push(queue);
    return queue;
  }

  function callsOf(verbs: Partial<Store>): Calls {
    const settings = settingsOf({ interval: 100, log: () => {} });
    return new Calls({ store: withVerbs(store, verbs), client: "client000001", settings });
  }

  it("aborted before, nothing is sent", async () => {
    const queue = open(() => assert.fail("it ran"));
    const signal = AbortSignal.abort(new Error("changed my mind"));
    for (const policy of Object.values(TaskExecutePolicy)) {
      await assert.rejects(queue.query(policy, "n", 1, { policy, signal }), GONE);
      assert.equal(await queue.hasTask(policy), false);
    }
  });

  it("aborted while the inbox opens, nothing is sent", async () => {
    const [opening, opened] = [deferred(), deferred()];
    let sent = 0;
    const calls = callsOf({
      openInbox: async (...args) => {
        opening.resolve();
        await opened.promise;
        return await store.openInbox(...args);
      },
      enqueue: (request) => (sent += 1, store.enqueue(request)),
    });
    const leave = new AbortController();
    const task = { id: "a", name: "n", params: 1, timeout: 5_000, policy: Remote };
    const asked = calls.call({ ...task, signal: leave.signal });
    await opening.promise;
    leave.abort(new Error("changed my mind"));
    await within(assert.rejects(asked, GONE), "the rejection", 1_000);
    opened.resolve();
    await calls.call({ ...task, id: "b", timeout: 20 }).catch(() => {});
    assert.equal(sent, 1);
    await calls.close();
  });

  it("aborted during the enqueue, the call ends at once and the task is cancelled when it has arrived", async () => {
    const [sending, sent] = [deferred(), deferred()];
    const calls = callsOf({
      enqueue: async (request) => {
        sending.resolve();
        await sent.promise;
        return await store.enqueue(request);
      },
    });
    const leave = new AbortController();
    const asked = calls.call({ id: "a", name: "n", params: 1, timeout: 5_000, policy: Remote, signal: leave.signal });
    await sending.promise;
    leave.abort(new Error("changed my mind"));
    await within(assert.rejects(asked, GONE), "the rejection", 1_000);
    sent.resolve();
    await until(async () => await stateOf("a") === "cancelled", "it is cancelled");
    await calls.close();
  });

  for (const policy of [Remote, Auto]) {
    it(`aborted while it runs, ${policy === Remote ? "at a listener" : "here"}, the handler is told`, async () => {
      const started = deferred<AbortSignal>();
      const queue = open((task: RedisTask) => {
        started.resolve(task.signal);
        return new Promise(() => {});
      });
      if (policy === Remote) void queue.listen("n", { grace: 0 });
      const leave = new AbortController();
      const asked = assert.rejects(queue.query("a", "n", 1, { policy, signal: leave.signal }), GONE);
      const signal = await started.promise;
      leave.abort(new Error("changed my mind"));
      await within(asked, "the rejection", 1_000);
      await until(() => signal.aborted, "the handler is told");
      assert.equal((signal.reason as Error).name, "TaskCancelledError");
      await until(async () => await stateOf("a") === "cancelled", "it is cancelled");
    });
  }

  it("that aborts because another task timed out cancels all the same", async () => {
    const outer = new AbortController();
    const asked = open().query("a", "n", 1, { policy: Remote, signal: outer.signal });
    await until(() => stateOf("a"), "it is queued");
    outer.abort(new TaskTimeoutError("the other's time is over"));
    await assert.rejects(asked, { name: "TaskTimeoutError", message: "the other's time is over" });
    await until(async () => await stateOf("a") === "cancelled", "it is cancelled");
  });

  it("aborted after the answer, nothing happens", async () => {
    const { controller, held } = counted();
    const queue = open(() => "done");
    assert.equal(await queue.query("a", "n", 1, { signal: controller.signal }), "done");
    assert.equal(held(), 0);
    controller.abort(new Error("changed my mind"));
    assert.equal(await stateOf("a"), "succeeded");
    assert.equal(await queue.query("a", "n", 1), "done");
  });

  it("F70: shared by 1,000 queries is listened to once, warns of nothing, and is free of them afterwards", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on("warning", onWarning);
    try {
      const { controller, held, added } = counted();
      const { signal } = controller;
      const queue = open((task: RedisTask<number>) => task.params);
      const numbers = Array.from({ length: 1_000 }, (_, index) => index);
      const asked = numbers.map((index) => queue.query(`q${index}`, "n", index, { signal }));
      assert.equal(held(), 1);
      assert.deepEqual(await Promise.all(asked), numbers);
      assert.deepEqual([held(), added()], [0, 1]);
      const left = numbers.map((index) =>
        assert.rejects(open().query(`w${index % 5}`, "n", 1, { policy: Remote, signal }), GONE)
      );
      await until(() => stateOf("w4"), "they wait");
      controller.abort(new Error("changed my mind"));
      await within(Promise.all(left), "all rejections");
      assert.equal(added(), 2);
      await new Promise((resolve) => setTimeout(resolve)); // Node warns in a later turn.
      assert.deepEqual(warnings.filter(({ name }) => name === "MaxListenersExceededWarning"), []);
    } finally {
      process.off("warning", onWarning);
    }
  });

  it("calls back each who waits once, also one who leaves or comes while it aborts", () => {
    const { controller, held } = counted();
    const { signal } = controller;
    const heard: string[] = [];
    onAbort(signal, () => {
      heard.push("first");
      leaveSecond();
      onAbort(signal, () => heard.push("late"));
    });
    const leaveSecond = onAbort(signal, () => heard.push("second"));
    const same = () => heard.push("same");
    const leaveSame = onAbort(signal, same);
    onAbort(signal, same);
    leaveSame();
    leaveSame();
    assert.equal(held(), 1);
    controller.abort();
    assert.deepEqual(heard, ["first", "late", "same"]);
  });
});
