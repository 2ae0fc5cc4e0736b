/** What `onEvent` hears, and that it costs nothing when nobody listens. */
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  type LogEntry,
  MemoryRedis,
  type QueueOptions,
  type RedisTask,
  RedisTaskQueue,
  type TaskEvent,
  TaskExecutePolicy,
  type TaskFns,
} from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { eventOf, Events } from "../src/events.ts";
import { keysOf } from "../src/keys.ts";
import { settingsOf } from "../src/options.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { OwnerAnswer } from "../src/store/store.ts";
import { deferred, never } from "./support/listening.ts";
import { until } from "./support/wait.ts";

const { Auto, Local, Remote } = TaskExecutePolicy;

describe("onEvent", () => {
  let redis: MemoryRedis;
  let store: MemoryStore;
  let queues: RedisTaskQueue[];

  beforeEach(() => {
    redis = new MemoryRedis();
    store = new MemoryStore(redis, keysOf("app", "task-queue"), systemClock);
    queues = [];
  });
  afterEach(async () => {
    await Promise.all(queues.map((queue) => queue.close({ atOnce: true })));
    redis.close();
  });

  /** A queue and the events that it tells. */
  function open(taskFn?: TaskFns, options: QueueOptions = {}): { queue: RedisTaskQueue; events: TaskEvent[] } {
    const events: TaskEvent[] = [];
    const queue = new RedisTaskQueue(redis, "app", {
      ...{ interval: 60, log: () => {}, onEvent: (event: TaskEvent) => void events.push(event) },
      ...(taskFn ? { taskFn } : {}),
      ...options,
    });
    queues.push(queue);
    return { queue, events };
  }

  async function listen(queue: RedisTaskQueue): Promise<void> {
    void queue.listen("n", { grace: 0 });
    await until(() => store.isListened("n"), "it listens");
  }

  const typesOf = (events: readonly TaskEvent[], id: string) =>
    events.filter((event) => event.id === id).map(({ type }) => type).join(" ");

  it("tells the caller of what it hands in, the listener of what it does", async () => {
    const { queue: worker, events: done } = open((task: RedisTask<string>) => {
      if (task.params === "bad") throw new RangeError("no");
    });
    const { queue, events } = open();
    await listen(worker);
    const before = Date.now();
    await queue.query("good", "n", "good", { policy: Remote });
    await assert.rejects(queue.query("bad", "n", "bad", { policy: Remote }), RangeError);
    await until(() => done.length === 4, "all is told");
    assert.deepEqual([typesOf(events, "good"), typesOf(events, "bad")], ["enqueued", "enqueued"]);
    assert.deepEqual([typesOf(done, "good"), typesOf(done, "bad")], ["started succeeded", "started failed"]);
    const [started, succeeded, , failed] = done;
    assert.deepEqual(started, { type: "started", id: "good", taskName: "n", at: started!.at, attempt: 1 });
    assert.ok(succeeded!.at >= started!.at && started!.at >= before);
    assert.ok(succeeded!.duration! >= 0 && succeeded!.attempt === 1);
    assert.ok(failed!.error instanceof RangeError);
  });

  it("tells of joins, cancels, expiries, and of what runs here", async () => {
    const { queue, events } = open((task: RedisTask) => task.params === "hang" ? never() : "done");
    await queue.enqueue("waiting", "other", 1);
    await queue.enqueue("waiting", "other", 1);
    await queue.cancel("waiting");
    assert.equal(typesOf(events, "waiting"), "enqueued joined cancelled");
    for (const policy of [Auto, Local]) {
      await queue.query(policy, "n", 1, { policy });
      await assert.rejects(queue.query(`late ${policy}`, "n", "hang", { policy, timeout: 30 }));
      const hangs = assert.rejects(queue.query(`stopped ${policy}`, "n", "hang", { policy }));
      await until(() => typesOf(events, `stopped ${policy}`).endsWith("started"), "it runs");
      await queue.cancel(`stopped ${policy}`);
      await hangs;
      const first = policy === Auto ? "enqueued " : "";
      await until(() => typesOf(events, `late ${policy}`) === `${first}started expired`, "it has expired");
      assert.equal(typesOf(events, policy), `${first}started succeeded`);
      assert.equal(typesOf(events, `stopped ${policy}`), `${first}started cancelled`);
    }
    const leave = new AbortController();
    const left = assert.rejects(queue.query("left", "other", 1, { policy: Remote, signal: leave.signal }));
    await until(() => typesOf(events, "left"), "it waits");
    leave.abort();
    await left;
    await until(() => typesOf(events, "left") === "enqueued cancelled", "it is cancelled");
  });

  it("tells of tasks that were given back, and of those that were lost", async () => {
    const started = deferred();
    const { queue: worker, events } = open(() => (started.resolve(), never()), { lease: 100 });
    const stop = new AbortController();
    const listening = worker.listen("n", { grace: 0, signal: stop.signal });
    const { queue } = open();
    await queue.enqueue("released", "n", 1);
    await started.promise;
    stop.abort();
    await listening;
    assert.equal(typesOf(events, "released"), "started released");
    await queue.cancel("released");
    await listen(worker);
    await queue.enqueue("lost", "n", 1);
    await until(() => typesOf(events, "lost") === "started", "it runs");
    redis.delete(keysOf("app", "task-queue").record("lost"));
    await until(() => typesOf(events, "lost") === "started lost", "it is lost");
    assert.equal(events.at(-1)!.error?.name, "LeaseLostError");
  });

  it("that throws or rejects harms nobody, and is complained of once", async () => {
    for (const onEvent of [() => assert.fail("hook"), () => Promise.reject(new Error("hook"))]) {
      const entries: LogEntry[] = [];
      const { queue } = open(() => "done", { onEvent, log: (entry) => void entries.push(entry) });
      const id = String(queues.length);
      assert.equal(await queue.query(id, "n", 1), "done");
      await until(() => entries.length > 0, "the complaint");
      assert.equal(entries.filter(({ message }) => message.startsWith("onEvent threw")).length, 1);
    }
  });

  it("left out, no event is made in a whole life of tasks", async () => {
    assert.equal(settingsOf({}).events, undefined);
    const tell = Events.prototype.tell;
    let made = 0;
    Events.prototype.tell = () => void (made += 1);
    try {
      const play = async (queue: RedisTaskQueue, name: string) => {
        await queue.query(`${name} auto`, "n", 1);
        await queue.query(`${name} local`, "n", 1, { policy: Local });
        await queue.enqueue(`${name} waits`, "other", 1);
        await queue.cancel(`${name} waits`);
        void queue.listen("n", { grace: 0 });
        await queue.query(`${name} remote`, "n", 1, { policy: Remote });
        await queue.close();
      };
      await play(new RedisTaskQueue(redis, "app", { taskFn: () => 1, interval: 60 }), "without");
      assert.equal(made, 0);
      await play(open(() => 1).queue, "with");
      assert.ok(made >= 8, `${made} are told when somebody listens`);
    } finally {
      Events.prototype.tell = tell;
    }
  });

  it("names what the store says of an attempt", () => {
    const answer = (verdict: OwnerAnswer["verdict"], state: OwnerAnswer["state"]) => ({
      verdict,
      state,
      cancelAsked: false,
    });
    assert.equal(eventOf(answer("accepted", "scheduled")), "retried");
    assert.equal(eventOf(answer("accepted", "scheduled"), true), "released");
    assert.equal(eventOf(answer("kept", "cancelled")), "cancelled");
    assert.equal(eventOf(answer("lost", "running")), "lost");
    assert.equal(eventOf(answer("gone", null)), "lost");
  });

  it("refuses a hook that is no function", () => {
    assert.throws(() => settingsOf({ onEvent: "log" as never }), { name: "TypeError", message: /onEvent.*function/ });
  });
});
