/** What `cancel` answers, and that the one who waits and the record say the same. */
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  MemoryRedis,
  type QueueOptions,
  type RedisTask,
  RedisTaskQueue,
  TaskExecutePolicy,
  type TaskFns,
} from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { keysOf } from "../src/keys.ts";
import type { TaskRecord } from "../src/record.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { Ownership } from "../src/store/store.ts";
import { deferred } from "./support/listening.ts";
import { until, within } from "./support/wait.ts";

const { Auto, Remote, Local, LocalFirst } = TaskExecutePolicy;

describe("cancel", () => {
  let redis: MemoryRedis;
  let store: MemoryStore;
  let queues: RedisTaskQueue[];
  let sequence = 0;

  beforeEach(() => {
    redis = new MemoryRedis();
    store = new MemoryStore(redis, keysOf("app", "task-queue"), systemClock);
    queues = [];
    sequence = 0;
  });
  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.close({ atOnce: true })));
    redis.close();
  });

  function open(taskFn?: TaskFns, options: QueueOptions = {}): RedisTaskQueue {
    const settings = { interval: 50, log: () => {}, ...(taskFn ? { taskFn } : {}) };
    const queue = new RedisTaskQueue(redis, "app", { ...settings, ...options });
    queues.push(queue);
    return queue;
  }

  /** An owner of the test's own, who hears of nothing unless it asks. */
  async function own(id: string, lease: number = 30_000): Promise<Ownership> {
    await open().enqueue(id, "n", 1);
    return ownershipOf(await claim(lease));
  }
  async function claim(lease: number, listener = "listener0001"): Promise<TaskRecord | undefined> {
    sequence += 1;
    const { tasks } = await store.claim({ listener, sequence, free: 1, lease, names: ["n"] });
    return tasks[0];
  }
  function ownershipOf(record: TaskRecord | undefined): Ownership {
    assert.ok(record, "it was claimed");
    const { id, name, fence, owner } = record;
    return { id, name, fence, owner };
  }
  const stateOf = async (id: string) => (await store.readHeader(id))?.state;
  const asks = (id: string) => until(async () => (await store.readHeader(id))?.cancelAsked, "the cancel is asked for");

  it("ends what waits or is delayed, and says so again", async () => {
    const queue = open();
    await queue.enqueue("queued", "n", 1);
    await queue.enqueue("scheduled", "n", 1, { delay: 60_000 });
    for (const id of ["queued", "scheduled"]) {
      assert.equal(await queue.cancel(id), "cancelled");
      assert.equal(await queue.cancel(id), "cancelled");
      assert.equal(await stateOf(id), "cancelled");
    }
    assert.equal(await claim(1_000), undefined);
  });

  it("knows no task that was never there, was deleted, or is not a task yet", async () => {
    const queue = open(() => "done");
    assert.equal(await queue.cancel("nobody"), "unknown");
    await queue.query("once", "n", 1, { once: true });
    assert.equal(await queue.cancel("once"), "unknown");
  });

  it("comes too late for what has ended", async () => {
    const queue = open((task: RedisTask<boolean>) => {
      if (task.params) throw new RangeError("no");
    });
    await queue.query("succeeded", "n", false);
    await assert.rejects(queue.query("failed", "n", true), RangeError);
    assert.deepEqual([await queue.cancel("succeeded"), await queue.cancel("failed")], ["completed", "completed"]);
    assert.deepEqual([await stateOf("succeeded"), await stateOf("failed")], ["succeeded", "failed"]);
  });

  it("stops what a listener of another process runs, and waits for its end", async () => {
    const started = deferred<AbortSignal>();
    const worker = open((task: RedisTask) => {
      started.resolve(task.signal);
      return new Promise(() => {});
    });
    void worker.listen("n", { grace: 0 });
    const asked = assert.rejects(open().query("a", "n", 1, { policy: Remote }), { name: "TaskCancelledError" });
    const signal = await started.promise;
    assert.equal(await open().cancel("a"), "cancelled");
    assert.equal((signal.reason as Error).name, "TaskCancelledError");
    await asked;
    assert.equal(await stateOf("a"), "cancelled");
  });

  it("F74: loses against a run that is done first: all say that it succeeded", async () => {
    const asked = open().query("a", "n", 1, { policy: Remote });
    await until(() => stateOf("a"), "it waits");
    const task = ownershipOf(await claim(30_000));
    const cancelled = open().cancel("a");
    await asks("a");
    assert.equal((await store.complete(task, "\njson=7")).state, "succeeded");
    assert.deepEqual([await cancelled, await asked, await stateOf("a")], ["completed", 7, "succeeded"]);
  });

  it("F75: wins over a retry, a release and recovery", async () => {
    const ends: Record<string, (task: Ownership) => Promise<unknown>> = {
      retry: (task) => store.fail(task, { state: "failed", outcome: "\n", retryIn: 10 }),
      release: (task) => store.release([task]),
      recovery: () =>
        until(async () => (await claim(1_000, "listener0002"), await stateOf("recovery") === "cancelled"), "it"),
    };
    for (const [id, end] of Object.entries(ends)) {
      const task = await own(id, id === "recovery" ? 100 : 30_000);
      const cancelled = open().cancel(id);
      await asks(id);
      await end(task);
      assert.deepEqual([await cancelled, await stateOf(id)], ["cancelled", "cancelled"], id);
      assert.equal(await claim(1_000), undefined, `${id} does not come back`);
    }
  });

  it("is unreachable while nobody ends the run; it counts all the same when somebody does", async () => {
    const task = await own("a");
    assert.equal(await within(open().cancel("a", { timeout: 60 }), "the timeout", 1_000), "unreachable");
    assert.equal(await open().cancel("a", { timeout: 0 }), "unreachable");
    assert.equal((await store.fail(task, { state: "failed", outcome: "\n", retryIn: 0 })).state, "cancelled");
    assert.equal(await open().cancel("a"), "cancelled");
  });

  it("does not wait longer than its queue is open", async () => {
    await own("a");
    const queue = open();
    const cancelled = queue.cancel("a", { timeout: Infinity });
    await asks("a");
    await queue.close();
    assert.equal(await within(cancelled, "the end"), "unreachable");
  });

  it("sees how a run ended whose reader took it at once", async () => {
    for (const [id, state] of [["done", "completed"], ["stopped", "cancelled"]] as const) {
      const asked = open().query(id, "n", 1, { policy: Remote, once: true });
      await until(() => stateOf(id), "it waits");
      const task = ownershipOf(await claim(30_000));
      const cancelled = open().cancel(id);
      await asks(id);
      if (id === "done") await store.complete(task, "\njson=7");
      else await store.fail(task, { state: "cancelled", outcome: "\n" });
      await asked.catch(() => {});
      assert.equal(await stateOf(id), "deleted");
      assert.equal(await cancelled, state);
    }
  });

  it("means the run that it found, not one that takes its place", async () => {
    await own("a");
    const cancelled = open().cancel("a");
    await asks("a");
    await open().enqueue("a", "n", 2, { ifExists: "replace" });
    assert.equal(await cancelled, "unknown");
    assert.equal(await stateOf("a"), "queued");
  });

  for (const policy of [Local, LocalFirst]) {
    it(`reaches what runs here, in no queue, also with Redis away (${policy})`, async () => {
      const started = deferred();
      const queue = open(() => {
        started.resolve();
        return new Promise(() => {});
      });
      redis.close();
      const asked = assert.rejects(queue.query("a", "n", 1, { policy }), { name: "TaskCancelledError" });
      await started.promise;
      assert.equal(await within(queue.cancel("a"), "the cancel"), "cancelled");
      await within(asked, "the call");
      await assert.rejects(queue.cancel("b"), { name: "ConnectionLostError" });
    });
  }

  it("F74: and the end of a local run have one winner, in whichever turn of the microtask queue it comes", async () => {
    const seen = new Set<string>();
    for (let turns = 0; turns < 30; turns += 1) {
      const [started, done] = [deferred(), deferred()];
      const queue = open(() => (started.resolve(), done.promise.then(() => "done")));
      const id = `after ${turns}`;
      const asked = queue.query(id, "n", 1, { policy: Local }).catch((error: Error) => error.name);
      await started.promise;
      done.resolve();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      const told = [await queue.cancel(id), await asked, await stateOf(id)].join();
      assert.match(told, /^(cancelled,TaskCancelledError,cancelled|completed,done,succeeded)$/, id);
      seen.add(told);
    }
    assert.equal(seen.size, 2);
  });

  it("called by the handler itself ends its run", async () => {
    const results: unknown[] = [];
    const queue = open(async (task: RedisTask) => results.push(await queue.cancel(task.id)));
    for (const policy of [Local, Auto]) {
      await assert.rejects(queue.query(policy, "n", 1, { policy }), { name: "TaskCancelledError" });
      assert.equal(await stateOf(policy), "cancelled");
    }
    await until(() => results.length === 2, "both handlers go on");
    assert.deepEqual(results, ["cancelled", "cancelled"]);
  });

  it("refuses what is no id and no timeout", async () => {
    const queue = open();
    await assert.rejects(queue.cancel(""), TypeError);
    await assert.rejects(queue.cancel("a", { timeout: -1 }), RangeError);
    await assert.rejects(queue.cancel("a", { timeOut: 1 } as object), /did you mean "timeout"/);
  });
});
