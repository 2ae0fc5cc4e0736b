/** A fleet in which not everybody has every serializer, as during a deploy; over both stores. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect, type LogEntry, RedisTaskQueue, type Serializer } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { devalueSerializer } from "../../src/serializers/devalue.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until } from "../support/wait.ts";

const NAME = "n";
/** So that a test sees several rounds. */
const INTERVAL = 100;

for (const where of ["memory", "Redis"] as const) {
  describe(`a listener that lacks a serializer (${where})`, () => {
    let server: RedisServer | undefined;
    let redis: Awaited<ReturnType<typeof connect>>;
    let number = 0;
    before(async () => {
      if (where === "Redis") server = await startRedis();
      redis = await connect(server?.url ?? "memory:");
    });
    after(async () => {
      redis.close();
      await server?.stop();
    });

    /** Queues of one name that share their tasks, all closed at the end. */
    function fleet() {
      number += 1;
      const prefix = `fleet${number}`;
      const queues: RedisTaskQueue[] = [];
      const open = (options: ConstructorParameters<typeof RedisTaskQueue>[2] = {}) => {
        const queue = new RedisTaskQueue(redis, prefix, { interval: INTERVAL, log: () => {}, ...options });
        queues.push(queue);
        return queue;
      };
      return {
        open,
        keys: keysOf(prefix, "task-queue"),
        close: () => Promise.all(queues.map((queue) => queue.close())),
      };
    }

    it("leaves its task waiting, uncounted, visibly, and says so once", async () => {
      const { open, close } = fleet();
      const log: LogEntry[] = [];
      let starts = 0;
      const old = open({ taskFn: () => starts += 1, log: (entry) => void log.push(entry) });
      void old.listen(NAME);
      const writer = open({ serializer: devalueSerializer });
      await writer.enqueue("a", NAME, new Map([["k", 1]]), { timeout: 60_000 });
      await writer.enqueue("b", NAME, new Set([1]), { timeout: 60_000 });
      const isWaiting = async (id: string) => (await old.getTask(id))?.state === "scheduled";
      await until(() => log.length > 0, "it is said");
      // The fence grows with each claim: three rounds.
      const fences = new Set<number>();
      await until(async () => fences.add((await old.getTask("a"))!.fence).size > 3, "it was tried again and again");
      await until(async () => await isWaiting("a") && await isWaiting("b"), "both wait");
      const task = (await old.getTask("a"))!;
      assert.deepEqual([task.attempt, task.error, starts], [0, undefined, 0]);
      assert.throws(() => task.params, { name: "SerializationError", message: /no serializer named "devalue" here/ });
      assert.deepEqual((await writer.getTask("a"))?.params, new Map([["k", 1]]));
      assert.deepEqual(log.map(({ level, taskName }) => [level, taskName]), [["warn", NAME]]);
      assert.match(log[0]!.message, /Cannot run task a here: .* serializer "devalue".* option "serializers"/);
      await close();
    });

    it("does not keep it from one that has it", async () => {
      const { open, close } = fleet();
      const reads = { serializers: [devalueSerializer], serializer: devalueSerializer };
      const ran: string[] = [];
      for (const old of ["old1", "old2"]) void open({ taskFn: () => ran.push(old) }).listen(NAME);
      void open({ ...reads, taskFn: (task) => (ran.push("new"), task.params) }).listen(NAME);
      const caller = open(reads);
      const asked = Array.from(
        { length: 8 },
        (_, i) => caller.query(`t${i}`, NAME, new Set([i]), { policy: "remote" }),
      );
      assert.deepEqual(await Promise.all(asked), Array.from({ length: 8 }, (_, i) => new Set([i])));
      assert.deepEqual(ran, Array(8).fill("new"));
      assert.equal((await caller.getTask("t0"))?.attempt, 1, "what was given back is not counted");
      await close();
    });

    it("lets it expire at its deadline, and be cancelled", async () => {
      const { open, close } = fleet();
      void open({ taskFn: () => "never" }).listen(NAME);
      const caller = open({ serializer: devalueSerializer });
      await assert.rejects(caller.query("t", NAME, 1n, { policy: "remote", timeout: 250 }), {
        name: "TaskTimeoutError",
      });
      await caller.enqueue("c", NAME, 1n);
      await until(async () => (await caller.getTask("c"))?.state === "scheduled", "it waits");
      await caller.cancel("c");
      assert.equal((await caller.getTask("c"))?.state, "cancelled");
      await close();
    });

    it("a caller that lacks the serializer of the result is told its name", async () => {
      const { open, close } = fleet();
      void open({ serializer: devalueSerializer, taskFn: () => new Map() }).listen(NAME);
      const caller = open();
      await assert.rejects(caller.query("t", NAME, 1, { policy: "remote" }), {
        name: "SerializationError",
        message: /Cannot read the result of task t: no serializer named "devalue" here, only json/,
      });
      await assert.rejects(caller.getTask("t"), { name: "SerializationError", message: /"devalue"/ });
      await close();
    });

    it("a task that is given back to its caller by Auto runs here, where its serializer is known", async () => {
      const { open, close } = fleet();
      const own: Serializer = { ...devalueSerializer, name: "own" };
      const caller = open({ serializer: own, taskFn: (task) => task.params });
      assert.deepEqual(await caller.query("t", NAME, new Set([1])), new Set([1]));
      await close();
    });
  });
}
