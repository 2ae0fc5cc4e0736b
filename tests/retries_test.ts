/** Failed attempts: which are followed by another, when, and what is told of them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  connect,
  type EnqueueOptions,
  FatalTaskError,
  type QueueOptions,
  type RedisConnection,
  type RedisTask,
  RedisTaskQueue,
  type TaskEvent,
  TaskExecutePolicy,
} from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { keysOf } from "../src/keys.ts";
import type { LogEntry } from "../src/log.ts";
import type { TaskRecord } from "../src/record.ts";
import { Retries } from "../src/retries.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until } from "./support/wait.ts";

const { Remote } = TaskExecutePolicy;
/** Fails in the attempts before `params`, then says which attempt it is. */
function flaky(task: RedisTask<number>): number {
  if (task.attempt < task.params) throw new TypeError(`attempt ${task.attempt} of ${task.maxAttempts}`);
  return task.attempt;
}

for (const place of ["memory:", "Redis"]) {
  describe(`retries on ${place}`, () => {
    let server: RedisServer | undefined;
    let redis: RedisConnection & { close(): void };
    let count = 0;

    before(async () => {
      if (place === "Redis") server = await startRedis();
      redis = await connect(server?.url ?? "memory:") as typeof redis;
    });
    after(async () => {
      redis.close();
      await server?.stop();
    });

    /** A queue of its own with a listener, until `body` is done. */
    async function listening(
      taskFn: (task: RedisTask<number>) => unknown,
      options: QueueOptions,
      body: (queue: RedisTaskQueue, prefix: string) => Promise<void>,
    ): Promise<void> {
      const prefix = `retries-${count++}`;
      const queue = new RedisTaskQueue(redis, prefix, {
        ...{ taskFn: { flaky: taskFn }, interval: 200, backoff: 5, log: () => {} },
        ...options,
      });
      const listening = queue.listen("flaky");
      try {
        await body(queue as RedisTaskQueue, prefix);
      } finally {
        await queue.close({ atOnce: true });
        await listening;
      }
    }

    it("run a failed task again until it succeeds, and tell of each attempt", async () => {
      const events: TaskEvent[] = [];
      await listening(flaky, { maxAttempts: 5, onEvent: (event) => events.push(event) }, async (queue) => {
        assert.equal(await queue.query("t", "flaky", 3, { policy: Remote }), 3);
        const task = await queue.getTask("t");
        assert.deepEqual([task?.attempt, task?.maxAttempts], [3, 5]);
        const told = task?.attempts.map(({ attempt, name, message }) => [attempt, name, message]);
        assert.deepEqual(told, [[1, "TypeError", "attempt 1 of 5"], [2, "TypeError", "attempt 2 of 5"]]);
        assert.ok(task!.attempts.every(({ endedAt }) => Math.abs(endedAt - Date.now()) < 60_000));
        const ends = events.map(({ type }) => type).filter((type) => type !== "started" && type !== "joined");
        assert.deepEqual(ends, ["enqueued", "retried", "retried", "succeeded"]);
        assert.deepEqual(events.filter(({ type }) => type === "retried").map(({ retryIn }) => retryIn), [5, 5]);
      });
    });

    it("end after the last attempt, with its error and all attempts", async () => {
      await listening(flaky, {}, async (queue) => {
        const asked = queue.query("t", "flaky", 9, { policy: Remote, maxAttempts: 3 });
        await assert.rejects(asked, { name: "TypeError", message: "attempt 3 of 3" });
        const task = await queue.getTask("t");
        assert.deepEqual([task?.state, task?.attempts.length], ["failed", 3]);
      });
    });

    it("are not made of a fatal error, of what cannot be serialized, and by default", async () => {
      const handler = (task: RedisTask<number>) => {
        if (task.params === 1) throw new FatalTaskError("for good");
        if (task.params === 2) return 1n;
        throw new Error("once");
      };
      await listening(handler, {}, async (queue) => {
        const ask = (id: string, params: number, options: EnqueueOptions) =>
          queue.query(id, "flaky", params, { policy: Remote, ...options });
        await assert.rejects(ask("fatal", 1, { maxAttempts: 5 }), FatalTaskError);
        await assert.rejects(ask("odd", 2, { maxAttempts: 5 }), { name: "SerializationError" });
        await assert.rejects(ask("default", 3, {}), { message: "once" });
        for (const id of ["fatal", "odd", "default"]) assert.equal((await queue.getTask(id))?.attempt, 1, id);
      });
    });

    it("wait by the backoff that the task brought, else by the listener's", async () => {
      const asked: [number, string][] = [];
      const backoff = (attempt: number, error: Error) => {
        asked.push([attempt, error.message]);
        return 1;
      };
      await listening(flaky, { maxAttempts: 3, backoff }, async (queue, prefix) => {
        assert.equal(await queue.query("t", "flaky", 3, { policy: Remote }), 3);
        assert.deepEqual(asked, [[1, "attempt 1 of 3"], [2, "attempt 2 of 3"]]);
        // Another process hands tasks in: its backoff travels with them, a constant of a minute.
        const other = new RedisTaskQueue(redis, prefix, { backoff: 60_000, maxAttempts: 2 });
        await other.enqueue("slow", "flaky", 3);
        await until(async () => (await other.getTask("slow"))?.state === "scheduled", "it waits");
        await other.enqueue("own", "flaky", 2, { backoff: { type: "constant", delay: 2 } });
        await until(async () => (await other.getTask("own"))?.state === "succeeded", "it ran again");
        assert.equal(asked.length, 2, "the listener's was not asked");
        assert.equal((await other.getTask("slow"))?.error?.message, "attempt 1 of 2");
        await other.close();
      });
    });

    it("fail at once what would come after the deadline, with the last error", async () => {
      await listening(flaky, { maxAttempts: 5, backoff: 60_000 }, async (queue) => {
        const asked = queue.query("t", "flaky", 9, { policy: Remote, timeout: 20_000 });
        await assert.rejects(asked, { message: "attempt 1 of 5" });
      });
    });

    it("keep what was told of earlier attempts while progress is written", async () => {
      let release = () => {};
      const handler = async (task: RedisTask<number>) => {
        if (task.attempt === 1) throw new Error("first");
        await task.update(1, 2);
        await new Promise<void>((resolve) => release = resolve);
        return task.attempts.length;
      };
      await listening(handler, { maxAttempts: 2 }, async (queue) => {
        const asked = queue.query("t", "flaky", 0, { policy: Remote });
        const task = await until(async () => {
          const now = await queue.getTask("t");
          return now?.currentProgress === 1 ? now : null;
        }, "progress is written");
        assert.deepEqual(task.attempts.map(({ message }) => message), ["first"]);
        release();
        assert.equal(await asked, 1);
      });
    });

    it("are made here too, when nobody listens", async () => {
      const queue = new RedisTaskQueue(redis, `alone-${count++}`, {
        ...{ taskFn: { flaky }, interval: 50, backoff: 5, maxAttempts: 3, log: () => {} },
      });
      assert.equal(await queue.query("t", "flaky", 3), 3);
      await queue.close();
    });

    it("of a bare task are as many as it says", async () => {
      await listening(flaky, {}, async (queue, prefix) => {
        if (!("exec" in redis)) return;
        const keys = keysOf(prefix, "task-queue");
        await redis.exec([
          ["SET", keys.record("bare"), '{"params":2,"maxAttempts":2}'],
          ["RPUSH", keys.queue("flaky"), "bare"],
          ["SET", keys.record("wrong"), '{"params":2,"maxAttempts":"2"}'],
          ["RPUSH", keys.queue("flaky"), "wrong"],
        ]);
        await until(async () => (await queue.getTask("bare"))?.state === "succeeded", "it ran again");
        await until(async () => (await queue.getTask("wrong"))?.state === "failed", "it is refused");
        assert.match(String((await queue.getTask("wrong"))?.error), /maxAttempts is "2"/);
      });
    });
  });
}

describe("the retries of one owner", () => {
  const record = (change: Partial<TaskRecord> = {}) =>
    ({
      id: "t",
      name: "n",
      attempt: 1,
      maxAttempts: 9,
      kind: "asked",
      params: "",
      options: "",
      ...change,
    }) as TaskRecord;
  const random = { id: () => "", unit: () => 0 };

  it("beyond the budget wait half a minute and more, and the log says so once an outage", async () => {
    const clock = new FakeClock();
    const told: LogEntry[] = [];
    const retries = new Retries({ backoff: 10, clock, random, log: (entry) => told.push(entry) });
    const waits = Array.from({ length: 150 }, () => retries.next(record(), new Error("down")));
    assert.equal(waits.filter((wait) => wait === 10).length, 100);
    assert.equal(waits.filter((wait) => wait === 60_000).length, 50);
    assert.equal(told.length, 1);
    await clock.advance(1_000);
    assert.equal(retries.next(record(), new Error("down")), 10);
  });

  it("survive a backoff function that throws or gives nonsense, and say so", () => {
    for (const backoff of [() => NaN, () => -1, () => "soon" as unknown as number, () => assert.fail("oh")]) {
      const told: LogEntry[] = [];
      const retries = new Retries({ backoff, clock: systemClock, random, log: (entry) => told.push(entry) });
      assert.equal(retries.next(record({ attempt: 2 }), new Error("x")), 2_000);
      assert.match(told[0]?.message ?? "", /Cannot use the backoff function for task t/);
    }
  });

  it("take options that make no sense as none", () => {
    const retries = new Retries({ backoff: 7, clock: systemClock, random, log: () => {} });
    for (const options of ["{", "[]", '{"backoff":-1}', '{"backoff":{"delay":"1"}}', "null", '{"other":1}']) {
      assert.equal(retries.next(record({ options }), new Error("x")), 7, options);
    }
    assert.equal(retries.next(record({ options: '{"backoff":3}' }), new Error("x")), 3);
  });
});

describe("options of retries", () => {
  it("are refused with the value and the way out", async () => {
    const queue = new RedisTaskQueue(await connect("memory:"), "p");
    const refuse = (options: EnqueueOptions, reason: RegExp) =>
      assert.rejects(
        queue.enqueue("i", "n", 1, options),
        (error: Error) => reason.test(`${error.name}: ${error.message}`),
      );
    await refuse({ maxAttempts: 0 }, /RangeError: Cannot use maxAttempts 0: it must be a whole number from 1 to 999/);
    await refuse({ maxAttempts: 1.5 }, /RangeError/);
    await refuse({ maxAttempts: "3" as unknown as number }, /TypeError/);
    await refuse({ backoff: -1 }, /RangeError: Cannot use backoff -1/);
    await refuse(
      { backoff: (() => 1) as unknown as number },
      /TypeError: .*give a function to the queue whose listener/,
    );
    await refuse({ backoff: { delay: 1, typ: "constant" } as unknown as number }, /did you mean "type"/);
    await refuse({ backoff: { delay: 1, type: "linear" } as unknown as number }, /it is "constant" or "exponential"/);
    await refuse({ backoff: { delay: 1, jitter: 2 } }, /0 to 1/);
    assert.throws(() => new RedisTaskQueue(queue.redis, "p", { backoff: "1s" as unknown as number }), /or a function/);
    assert.throws(() => new RedisTaskQueue(queue.redis, "p", { deadMax: -1 }), /deadMax -1/);
  });
});
