/** What a task asks for in its handler has no more time than it has itself, and ends with it, without being told. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  connect,
  MemoryRedis,
  type QueueOptions,
  type RedisConnection,
  type RedisTask,
  RedisTaskQueue,
  TaskExecutePolicy,
  type TaskFns,
  TaskTimeoutError,
} from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { keysOf } from "../src/keys.ts";
import { Scope } from "../src/scope.ts";
import { openStore } from "../src/store/open.ts";
import type { Store } from "../src/store/store.ts";
import { deferred, never } from "./support/listening.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until, within } from "./support/wait.ts";

const { Local, Remote, Auto } = TaskExecutePolicy;
const TIMEOUT = 400;

for (const kind of ["memory", "redis"] as const) {
  describe(`a query inside a task, ${kind}`, () => {
    let server: RedisServer | null = null;
    let redis: RedisConnection;
    let store: Store;
    let queues: RedisTaskQueue[];
    let prefix: string;
    let count = 0;

    before(async () => {
      if (kind === "redis") server = await startRedis();
    });
    after(async () => {
      await server?.stop();
    });
    beforeEach(async () => {
      redis = server === null ? new MemoryRedis() : await connect(server.url);
      count += 1;
      prefix = `scope${count}`;
      store = openStore(redis, keysOf(prefix, "task-queue"), systemClock);
      queues = [];
    });
    afterEach(async () => {
      await Promise.all(queues.map((queue) => queue.close({ atOnce: true })));
      redis.close();
    });

    function open(taskFn?: TaskFns, options: QueueOptions = {}): RedisTaskQueue {
      const settings = { interval: 200, log: () => {}, ...(taskFn ? { taskFn } : {}) };
      const queue = new RedisTaskQueue(redis, prefix, { ...settings, ...options });
      queues.push(queue);
      return queue;
    }

    /** A queue whose functions are listened to, by name. */
    async function serve(taskFn: Record<string, (task: RedisTask) => unknown>): Promise<RedisTaskQueue> {
      const queue = open(taskFn);
      const names = Object.keys(taskFn);
      void queue.listen(names, { grace: 0 });
      await until(
        async () => (await Promise.all(names.map((name) => store.isListened(name)))).every(Boolean),
        "it listens",
      );
      return queue;
    }

    const deadlineOf = async (id: string): Promise<number> => (await store.readHeader(id))?.deadline ?? 0;
    const stateOf = async (id: string) => (await store.readHeader(id))?.state;
    const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

    for (const policy of [Remote, Auto, Local]) {
      it(`has what is left, through awaits, timers and Promise.all (${policy})`, async () => {
        const asked: Promise<unknown>[] = [];
        const queue = open({
          outer: async () => {
            await turn();
            const one = queue.query("awaited", "inner", 1);
            const two = new Promise((resolve) => setTimeout(resolve, 1))
              .then(() => queue.query("timed", "inner", 1, { timeout: Infinity }));
            const three = new Promise((resolve, reject) => {
              setTimeout(() => queue.query("called back", "inner", 1).then(resolve, reject), 1);
            });
            asked.push(one, two, three);
            await Promise.all(asked);
          },
        });
        if (policy === Remote) {
          void queue.listen("outer", { grace: 0 });
          await until(() => store.isListened("outer"), "it listens");
        }
        const end = Date.now() + TIMEOUT;
        await assert.rejects(queue.query("outer", "outer", 1, { policy, timeout: TIMEOUT }), TaskTimeoutError);
        assert.equal(asked.length, 3);
        for (const one of asked) {
          await assert.rejects(within(one, "the inner answer", 1_000), (error) => {
            assert.ok(error instanceof TaskTimeoutError);
            assert.match(error.message, /task outer/);
            return true;
          });
        }
        for (const id of ["awaited", "timed", "called back"]) {
          const deadline = await deadlineOf(id);
          assert.ok(deadline > 0 && deadline <= end + 50, `${id} ends ${deadline - end} ms later`);
        }
      });
    }

    it("may be made while its queue drains, and not from outside or later", async () => {
      const drained = open();
      let go = () => {};
      const going = new Promise<void>((resolve) => go = resolve);
      let late: Promise<unknown> = Promise.resolve();
      const queue = open({
        outer: async () => {
          await going;
          late = new Promise((resolve) => setTimeout(resolve, 200)).then(() => queue.query("late", "inner", 1));
          late.catch(() => {});
          return queue.query("inner", "inner", 1);
        },
      });
      await serve({ inner: () => "answer" });
      void queue.listen("outer", { grace: 5_000 });
      const answer = drained.query("outer", "outer", 1, { policy: Remote, timeout: TIMEOUT });
      await until(async () => await stateOf("outer") === "running", "it runs");
      const closed = queue.close();
      await assert.rejects(queue.query("outside", "inner", 1), /a queue that was closed/);
      go();
      assert.equal(await answer, "answer");
      await closed;
      await assert.rejects(late, /a queue that was closed/);
    });

    it("inside another has what is left of the outermost", async () => {
      const queue = await serve({
        outer: () => queue.query("middle", "middle", 1),
        middle: () => queue.query("inner", "inner", 1, { timeout: 60_000 }),
      });
      const asked = open().query("outer", "outer", 1, { policy: Remote, timeout: TIMEOUT });
      await assert.rejects(asked, TaskTimeoutError);
      const [outer, middle, inner] = await Promise.all(["outer", "middle", "inner"].map(deadlineOf));
      assert.ok(inner! > 0 && inner! <= middle! + 20 && middle! <= outer! + 20, `${outer} ${middle} ${inner}`);
    });

    it("has its own timeout when that is shorter, and says then whose it was", async () => {
      const errors: unknown[] = [];
      const queue = await serve({
        outer: async () => {
          await queue.query("short", "inner", 1, { timeout: 30 }).catch((error) => errors.push(error));
          return "went on";
        },
      });
      assert.equal(await open().query("outer", "outer", 1, { timeout: 5_000 }), "went on");
      assert.match(String(errors[0]), /^TaskTimeoutError: .* short .*not done within 30 ms$/);
    });

    it("ends with the attempt's reason; its task is cancelled, unless others wait for it", async () => {
      const inner: Promise<unknown>[] = [];
      const queue = await serve({
        outer: () => {
          inner.push(queue.query("alone", "inner", 1), queue.query("shared", "inner", 1));
          return Promise.all(inner);
        },
      });
      const asked = assert.rejects(open().query("outer", "outer", 1), { name: "TaskCancelledError" });
      await until(async () => await stateOf("alone") && await stateOf("shared"), "it has asked");
      const joiner = open().query("shared", "inner", 1);
      await until(async () => (await store.readHeader("shared"))?.joined, "it is joined");
      assert.equal(await open().cancel("outer"), "cancelled");
      await asked;
      for (const one of inner) {
        await assert.rejects(one, { name: "TaskCancelledError", message: /task outer: it was cancelled/ });
      }
      await until(async () => await stateOf("alone") === "cancelled", "the inner task is cancelled");
      assert.equal(await stateOf("shared"), "queued");
      await serve({ inner: () => "for the joiner" });
      assert.equal(await joiner, "for the joiner");
    });

    it("ends when the outer attempt took too long, and its task never starts", async () => {
      const inner: Promise<unknown>[] = [];
      const queue = open({
        outer: () => {
          inner.push(assert.rejects(queue.query("inner", "inner", 1), /task outer/));
          return never();
        },
      }, { attemptTimeout: 300 });
      void queue.listen("outer", { grace: 0 });
      const task = await open().enqueue("outer", "outer", 1);
      assert.equal(task.expiry, Infinity);
      await until(() => stateOf("inner"), "it has asked");
      assert.ok(await deadlineOf("inner") <= Date.now() + 320, "it has what is left of the attempt");
      await within(Promise.all(inner), "its end");
      // Redis counts from when the task reached it.
      await until(async () => Date.now() > await deadlineOf("inner"), "its deadline has passed in Redis too");
      const started: string[] = [];
      await serve({ inner: (task) => started.push(task.id) });
      await open().query("after", "inner", 1);
      assert.deepEqual(started, ["after"]);
    });

    it("by a handler that goes on after its end is not sent", async () => {
      const late = deferred<unknown>();
      const queue = await serve({
        outer: async (task) => {
          await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
          late.resolve(await queue.query("inner", "inner", 1).catch((error) => error));
        },
      });
      const asked = assert.rejects(open().query("outer", "outer", 1), { name: "TaskCancelledError" });
      await until(async () => await stateOf("outer") === "running", "it runs");
      await open().cancel("outer");
      await asked;
      assert.match(String(await within(late.promise, "the late query")), /^TaskCancelledError: .*task outer/);
      assert.equal(await stateOf("inner"), undefined);
    });

    it("asked on its own account is free: outside, after the task, and by enqueue", async () => {
      const later = deferred();
      const detached = deferred<unknown>();
      const queue = await serve({
        outer: async () => {
          await queue.enqueue("enqueued", "inner", 1);
          void later.promise.then(() => {
            assert.equal(Scope.current(), undefined);
            detached.resolve(queue.query("late", "inner", 1, { timeout: 3_000 }));
          });
          return "done";
        },
      });
      assert.equal(await open().query("outer", "outer", 1, { timeout: 2_000 }), "done");
      assert.equal(await deadlineOf("enqueued"), 0);
      later.resolve();
      await until(() => stateOf("late"), "it has asked");
      assert.ok(await deadlineOf("late") > Date.now() + 2_000);
      await serve({ inner: () => "inner" });
      assert.equal(await detached.promise, "inner");
      assert.equal(Scope.current(), undefined);
    });
  });
}
