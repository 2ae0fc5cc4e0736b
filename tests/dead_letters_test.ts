/** Tasks that failed for good: kept, looked at, queued again, deleted, and bounded. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  connect,
  type DeadListOptions,
  type QueueOptions,
  type RedisConnection,
  type RedisTask,
  RedisTaskQueue,
} from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until } from "./support/wait.ts";

/** Fails unless it is told not to. */
let isMended = false;
function work(task: RedisTask<unknown>): unknown {
  if (isMended) return task.params;
  throw new RangeError(`attempt ${task.attempt}`);
}

for (const place of ["memory:", "Redis"]) {
  describe(`dead letters on ${place}`, () => {
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

    /** A queue with a listener while `body` runs. */
    async function inQueue(
      body: (queue: RedisTaskQueue, prefix: string) => Promise<void>,
      options: QueueOptions = {},
    ): Promise<void> {
      const prefix = `dead-${count++}`;
      isMended = false;
      const own = { taskFn: { work }, interval: 50, backoff: 1, log: () => {}, ...options };
      const queue = new RedisTaskQueue(redis, prefix, own) as RedisTaskQueue;
      const listening = queue.listen("work");
      try {
        await body(queue, prefix);
      } finally {
        await queue.close({ atOnce: true });
        await listening;
      }
    }

    /** Lets tasks fail for good, one after the other. */
    async function kill(queue: RedisTaskQueue, ...ids: string[]): Promise<void> {
      for (const id of ids) {
        await queue.enqueue(id, "work", { of: id }, { maxAttempts: 2 });
        await until(async () => (await queue.getTask(id))?.state === "failed", `${id} is dead`);
      }
    }

    it("are listed newest first, with params, error and all attempts", async () => {
      await inQueue(async (queue) => {
        await kill(queue, "a", "b", "c");
        const letters = await queue.dead.list("work");
        assert.deepEqual(letters.map(({ id }) => id).slice().sort(), ["a", "b", "c"]);
        assert.ok(letters[0]!.diedAt >= letters[2]!.diedAt);
        const letter = letters.find(({ id }) => id === "a")!;
        assert.deepEqual([letter.name, letter.raw, letter.task?.params], ["work", null, { of: "a" }]);
        assert.equal(letter.task?.error?.message, "attempt 2");
        assert.deepEqual(letter.task?.attempts.map(({ message }) => message), ["attempt 1", "attempt 2"]);
        assert.equal((await queue.dead.list("work", { limit: 2 })).length, 2);
        assert.equal((await queue.dead.list("work", { limit: 2, offset: 2 })).length, 1);
        assert.equal(await queue.dead.count("work"), 3);
        const counts = await queue.counts("work");
        assert.deepEqual([counts.queued, counts.running, counts.dead], [0, 0, 3]);
      });
    });

    it("are only tasks that were enqueued: a query's failure belongs to its caller", async () => {
      await inQueue(async (queue) => {
        await assert.rejects(queue.query("q", "work", 1), RangeError);
        assert.deepEqual(await queue.dead.list("work"), []);
        assert.deepEqual((await queue.dead.remove("q")).refused, [{ id: "q", state: "failed" }]);
        assert.equal(await queue.hasTask("q"), true);
      });
    });

    it("start anew when they are requeued: first attempt, no history, a higher fence", async () => {
      await inQueue(async (queue) => {
        await kill(queue, "a", "b");
        const before = await queue.getTask("a");
        isMended = true;
        assert.deepEqual(await queue.dead.requeue("a"), { done: ["a"], refused: [] });
        const task = await until(async () => {
          const now = await queue.getTask("a");
          return now?.state === "succeeded" ? now : null;
        }, "it succeeds");
        assert.deepEqual([task.attempt, task.attempts, task.result], [1, [], { of: "a" }]);
        assert.ok(task.fence > before!.fence);
        assert.equal(await queue.dead.count("work"), 1);
        const again = await queue.dead.requeue(["a", "nobody", "b"]);
        assert.deepEqual(again.done, ["b"]);
        assert.deepEqual(again.refused, [{ id: "a", state: "succeeded" }, { id: "nobody", state: null }]);
      });
    });

    it("are requeued all at once, those that die again not twice", async () => {
      await inQueue(async (queue) => {
        const ids = Array.from({ length: 120 }, (_, at) => `t${at}`);
        await Promise.all(ids.map((id) => queue.enqueue(id, "work", null)));
        await until(async () => await queue.dead.count("work") === 120, "all are dead", 20_000);
        assert.equal(await queue.dead.requeueAll("work"), 120);
        await until(async () => await queue.dead.count("work") === 120, "all are dead again", 20_000);
        isMended = true;
        assert.equal(await queue.dead.requeueAll("work"), 120);
        await until(async () => (await queue.getTask("t119"))?.state === "succeeded", "they are done");
        assert.equal(await queue.dead.count("work"), 0);
      });
    });

    it("are removed, one, some or all, and no live or succeeded task with them", async () => {
      await inQueue(async (queue) => {
        await kill(queue, "a", "b", "c", "d");
        await queue.enqueue("later", "work", null, { delay: 60_000 });
        assert.deepEqual(await queue.dead.remove("a"), { done: ["a"], refused: [] });
        assert.equal(await queue.hasTask("a"), false);
        const some = await queue.dead.remove(["b", "later", "nobody"]);
        assert.deepEqual([some.done, some.refused.map(({ id }) => id)], [["b"], ["later", "nobody"]]);
        assert.equal(await queue.dead.removeAll("work"), 2);
        assert.deepEqual([await queue.dead.count("work"), await queue.hasTask("c")], [0, false]);
        assert.equal((await queue.getTask("later"))?.state, "scheduled");
      });
    });

    it("have one winner when requeue, remove and enqueue race", async () => {
      await inQueue(async (queue) => {
        for (let round = 0; round < 10; round++) {
          const id = `race${round}`;
          await kill(queue, id);
          const [first, second, gone] = await Promise.all([
            queue.dead.requeue(id),
            queue.dead.requeue(id),
            queue.dead.remove(id),
          ]);
          const winners = [first, second, gone].filter(({ done }) => done.length > 0).length;
          assert.ok(winners >= 1);
          await until(async () => ["failed", undefined].includes((await queue.getTask(id))?.state), "it has settled");
          await queue.dead.removeAll("work");
        }
      });
    });

    it("that cannot be read are shown with their bytes, refused to requeue, and removed by their name", async () => {
      await inQueue(async (queue, prefix) => {
        if (!("exec" in redis)) return;
        const keys = keysOf(prefix, "task-queue");
        await redis.exec([["SET", keys.record("odd"), "what is this?"], ["RPUSH", keys.queue("work"), "odd"]]);
        await until(async () => await queue.dead.count("work") === 1, "it is set aside");
        const [letter] = await queue.dead.list("work");
        assert.deepEqual([letter?.id, letter?.task, letter?.raw], ["odd", null, "what is this?"]);
        assert.deepEqual((await queue.dead.requeue("odd")).refused, [{ id: "odd", state: null }]);
        assert.deepEqual((await queue.dead.remove("odd", { name: "work" })).done, ["odd"]);
        assert.equal(await queue.dead.count("work"), 0);
      });
    });

    it("are at most deadMax, and the oldest go with their time", async () => {
      await inQueue(async (queue) => {
        await kill(queue, "a", "b", "c", "d", "e");
        assert.equal(await queue.dead.count("work"), 3);
        assert.deepEqual((await queue.dead.list("work")).map(({ id }) => id).sort(), ["c", "d", "e"]);
      }, { deadMax: 3 });
    });

    it("refuse misuse", async () => {
      await inQueue(async (queue) => {
        await assert.rejects(queue.dead.list(""), TypeError);
        await assert.rejects(
          queue.dead.list("work", { limit: 101 }),
          /limit 101: it must be a whole number from 1 to 100/,
        );
        await assert.rejects(queue.dead.list("work", { offset: -1 }), RangeError);
        await assert.rejects(queue.dead.list("work", { limits: 1 } as DeadListOptions), /did you mean "limit"/);
        await assert.rejects(queue.dead.requeue([""]), TypeError);
        await assert.rejects(queue.counts("x".repeat(513)), TypeError);
      });
    });
  });
}

describe("what has ended", () => {
  it("is kept up to doneBytes a name, the oldest go first, and none within half a minute", async () => {
    const clock = new FakeClock();
    const redis = await connect("memory:");
    const options = { clock, resultTtl: 3_600_000, doneBytes: 3_000, taskFn: () => "x".repeat(900), log: () => {} };
    const queue = new RedisTaskQueue(redis, "ended", options);
    for (const id of ["a", "b", "c", "d", "e"]) await queue.query(id, "work", null);
    assert.equal((await queue.counts("work")).done, 5, "none is dropped within half a minute");
    await clock.advance(31_000);
    await queue.query("f", "work", null);
    assert.equal(await queue.hasTask("a"), false);
    assert.equal(await queue.hasTask("f"), true);
    assert.ok((await queue.counts("work")).doneBytes <= 3_000);
    await queue.close();
  });
});
