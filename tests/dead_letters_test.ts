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
  type Serializer,
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

    it("have one winner when two requeue, and one when requeue races with an enqueue", async () => {
      await inQueue(async (queue) => {
        for (let round = 0; round < 10; round++) {
          const id = `race${round}`;
          await kill(queue, id);
          isMended = true;
          const before = (await queue.getTask(id))!.fence;
          const [first, second, anew] = await Promise.all([
            queue.dead.requeue(id),
            queue.dead.requeue(id),
            queue.enqueue(id, "work", "anew"),
          ]);
          assert.ok(first.done.length + second.done.length <= 1, "requeued once at most");
          assert.ok(["queued", "running", "succeeded"].includes(anew.state));
          const task = await until(async () => {
            const now = await queue.getTask(id);
            return now?.state === "succeeded" ? now : null;
          }, "it is done");
          assert.ok(task.fence > before);
          assert.equal(task.attempt, 1, "one run");
          isMended = false;
        }
        assert.equal(await queue.dead.count("work"), 0);
      });
    });

    it("that die again at once are not requeued twice by one requeueAll", async () => {
      const starts = new Map<string, number>();
      const taskFn = {
        work: (task: RedisTask) => {
          starts.set(task.id, (starts.get(task.id) ?? 0) + 1);
          throw new Error("again");
        },
      };
      await inQueue(async (queue) => {
        const ids = Array.from({ length: 150 }, (_, at) => `p${at}`);
        await Promise.all(ids.map((id) => queue.enqueue(id, "work", null)));
        await until(async () => await queue.dead.count("work") === 150, "all are dead", 20_000);
        assert.equal(await queue.dead.requeueAll("work"), 150);
        await until(async () => await queue.dead.count("work") === 150, "all are dead again", 20_000);
        assert.deepEqual([...new Set(starts.values())], [2]);
      }, { taskFn });
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

    it("are at most deadMax, the oldest go first", async () => {
      await inQueue(async (queue) => {
        await kill(queue, "a", "b", "c", "d", "e");
        assert.equal(await queue.dead.count("work"), 3);
        assert.deepEqual((await queue.dead.list("work")).map(({ id }) => id).sort(), ["c", "d", "e"]);
      }, { deadMax: 3 });
    });

    it("of a serializer that is unknown here show the text of their params, their error and their attempts", async () => {
      const upper: Serializer = {
        name: "upper",
        serialize: (v) => JSON.stringify(v),
        deserialize: (t) => JSON.parse(t),
      };
      await inQueue(async (queue, prefix) => {
        await kill(queue, "a");
        const other = new RedisTaskQueue(redis, prefix);
        const [letter] = await other.dead.list("work");
        assert.equal(letter?.raw, 'upper={"of":"a"}');
        assert.deepEqual([letter?.task?.error?.message, letter?.task?.attempts.length], ["attempt 2", 2]);
        assert.throws(() => letter?.task?.params, { name: "SerializationError" });
        await other.close();
      }, { serializer: upper });
    });

    it("live for deadTtl, and are out of reach once their queue was closed", async () => {
      await inQueue(async (queue, prefix) => {
        await kill(queue, "a");
        if ("exec" in redis) {
          const [life] = await redis.exec([["PTTL", keysOf(prefix, "task-queue").record("a")]]);
          assert.ok(Number(life) > 3_500_000 && Number(life) <= 3_600_000, String(life));
        }
        await queue.close({ atOnce: true });
        await assert.rejects(queue.dead.list("work"), /closed/);
        await assert.rejects(queue.dead.requeue("a"), /closed/);
        await assert.rejects(queue.dead.removeAll("work"), /closed/);
      }, { deadTtl: 3_600_000 });
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
        await assert.rejects(queue.dead.requeue(5 as unknown as string), /Cannot use 5 as ids/);
        assert.deepEqual(await queue.dead.requeue(["x", "x"]), { done: [], refused: [{ id: "x", state: null }] });
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
