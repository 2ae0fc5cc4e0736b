/**
 * Many callers, many answers, a long backlog, many names, many idle listeners, much progress: nothing is lost, nothing
 * is left over, and no step costs more because there is more of everything.
 */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type Clock, type RedisPort, type RedisTask, RedisTaskQueue } from "../../mod.ts";
import { systemClock } from "../../src/clock.ts";
import { keysOf } from "../../src/keys.ts";
import { openStore } from "../../src/store/open.ts";
import { enqueue, inState, listening, makeListener, openMemory, withVerbs } from "../support/listening.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { Scene } from "../support/scene.ts";
import { testConnect } from "../support/test_client.ts";
import { until } from "../support/wait.ts";

const keys = keysOf("load", "task-queue");

/** The machine's clock, which knows how many of its timers are pending. */
class CountingClock implements Clock {
  readonly now = systemClock.now;
  readonly monotonic = systemClock.monotonic;
  readonly nextTurn = systemClock.nextTurn;
  readonly #pending = new Set<object>();

  get pending(): number {
    return this.#pending.size;
  }

  after(delay: number, callback: () => void, options?: { background?: boolean }): () => void {
    const timer = {};
    this.#pending.add(timer);
    const cancel = systemClock.after(delay, () => {
      this.#pending.delete(timer);
      callback();
    }, options);
    return () => {
      this.#pending.delete(timer);
      cancel();
    };
  }
}

/** Counts the listeners of a signal. */
function countListeners(signal: AbortSignal): () => number {
  const held = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    held.add(args[1]);
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    held.delete(args[1]);
    remove(...args);
  };
  return () => held.size;
}

describe("a queue under load", () => {
  let server: RedisServer;
  let redis: RedisPort;
  let scene: Scene;

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    redis = await testConnect(server.url);
    scene = new Scene("load");
  });
  afterEach(async () => {
    await scene.close();
    redis.close();
  });

  /** How often Redis was asked for each command, those of scripts included. */
  async function commands(): Promise<Map<string, number>> {
    const text = await server.cli("INFO", "commandstats");
    return new Map([...text.matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g)].map(([, name, calls]) => [name!, +calls!]));
  }

  it("F70: 10,000 callers that gave up leave no waiter, no timer and no listener of their signal", async () => {
    const clock = new CountingClock();
    const { signal } = new AbortController();
    const held = countListeners(signal);
    const queue = await scene.open(server.url, { clock, interval: 5_000 });
    for (let round = 0; round < 4; round += 1) {
      const asked = Array.from({ length: 2_500 }, async (_, n) => {
        await queue.query(`${round} ${n}`, "nobody", n, { timeout: 300, policy: "remote", signal });
      });
      const reasons = (await Promise.allSettled(asked)).map((end) => end.status === "rejected" && end.reason.name);
      assert.deepEqual(new Set(reasons), new Set(["TaskTimeoutError"]));
    }
    assert.equal(held(), 0, "listeners of the shared signal");
    await until(async () => await server.cli("PUBSUB", "CHANNELS", "*inbox*") === "", "no inbox waits any more");
    await until(() => clock.pending === 0, "no timer is pending");
  });

  it("F71: thousands of answers that are there at once all arrive, by their messages alone", async () => {
    await scene.listen(server.url, () => {}, { workers: 128, interval: 600_000 });
    const queue = await scene.open(server.url, { interval: 600_000, timeout: 15_000 });
    let next = 0;
    const caller = async () => {
      for (let n = next++; n < 4_000; n = next++) {
        assert.equal(await queue.query(`fast ${n}`, "work", n, { policy: "remote" }), n);
      }
    };
    await Promise.all(Array.from({ length: 40 }, caller));
    assert.equal(scene.starts.size, 4_000);
  });

  it("F72: answers arrive while every subscription is killed at each question", async () => {
    await scene.listen(server.url);
    const queue = await scene.open(server.url);
    let killed = 0;
    let slowest = 0;
    const caller = async (of: number) => {
      for (let n = 0; n < 15; n += 1) {
        const from = performance.now();
        const answer = queue.query(`${of} ${n}`, "work", n, { policy: "remote" });
        const kill = async () => Number(await server.cli("CLIENT", "KILL", "TYPE", "pubsub"));
        const gone = await until(kill, "a subscription is killed");
        killed += gone; // Not `+= await`: four callers add.
        assert.equal(await answer, n);
        slowest = Math.max(slowest, performance.now() - from);
      }
    };
    await Promise.all([0, 1, 2, 3].map(caller));
    assert.ok(killed >= 60, `${killed} subscriptions were killed`);
    assert.ok(slowest < 5_000, `the slowest answer took ${slowest} ms`);
    assert.deepEqual(new Set(scene.starts.values()), new Set([1]));
  });

  it("F80: a claim, a renewal and an enqueue cost the same commands with 1,000 and with 20,000 waiting", async () => {
    const store = openStore(redis, keys, systemClock);
    const costs: Map<string, number>[] = [];
    let waiting = 0;
    for (const backlog of [500, 1_000, 20_000]) { // The first makes keys that the others find.
      while (waiting < backlog) {
        const batch = Array.from({ length: 500 }, (_, n) => enqueue(store, `task ${waiting + n}`));
        await Promise.all(batch);
        waiting += 500;
      }
      // However long that took, no life time is about to end, and the bell is to be rung.
      await redis.exec([["PEXPIRE", keys.done("work"), "600000"], ["DEL", keys.bell("work")]]);
      await server.cli("CONFIG", "RESETSTAT");
      const owner = `listener${backlog}`.padEnd(12, "0").slice(0, 12);
      const claim = { listener: owner, sequence: 1, free: 16, lease: 60_000, names: ["work"] };
      const { tasks } = await store.claim({ ...claim, presence: { names: ["work"], duration: 60_000 } });
      assert.equal(tasks.length, 16);
      const owned = tasks.map(({ id, name, fence }) => ({ id, name, fence, owner }));
      await store.renew({ owner, lease: 60_000, tasks: owned });
      for (const task of owned) await store.complete(task, "\njson=1");
      await enqueue(store, `one more ${backlog}`);
      const cost = await commands();
      for (const own of ["info", "config|resetstat", "evalsha", "eval"]) cost.delete(own);
      costs.push(cost);
    }
    assert.deepEqual(costs[2], costs[1]);
    assert.ok(costs[1]!.get("mget")! > 0, "commands of scripts are counted");
  });

  it("F80: 1,000 names are served, at most 256 by one listener", async () => {
    const names = Array.from({ length: 1_000 }, (_, n) => `name ${n}`);
    const work = (task: RedisTask) => task.name;
    const queue = await scene.open(server.url, { taskFn: work, interval: 1_000 });
    await assert.rejects(queue.listen(names), { name: "RangeError", message: /1000 names.*256/ });
    for (let first = 0; first < 1_000; first += 250) {
      queue.listen(names.slice(first, first + 250)).catch((error) => scene.log.push(error));
    }
    const asker = await scene.open(server.url, { interval: 600_000 });
    const answers = await Promise.all(names.map((name) => asker.query(name, name, null, { policy: "remote" })));
    assert.deepEqual(answers, names);
  });

  it("F81: fifty idle listeners are not woken by each task, one is", async () => {
    const queue = new RedisTaskQueue(redis, "load", { taskFn: () => 1, interval: 600_000, log: () => {} });
    const listeners = Array.from({ length: 50 }, () => queue.listen(["busy", "idle"], { workers: 4, grace: 0 }));
    const sleeping = async () => (await server.cli("INFO", "clients")).includes("blocked_clients:50");
    await until(sleeping, "all sleep");
    const asker = await scene.open(server.url, { interval: 600_000 });
    await asker.query("first", "busy", 0, { policy: "remote" });
    await until(sleeping, "all sleep again");
    const before = (await commands()).get("blpop")!;
    for (let n = 0; n < 100; n += 1) await asker.query(`t ${n}`, "busy", n, { policy: "remote" });
    await until(sleeping, "all sleep again");
    const woken = (await commands()).get("blpop")! - before;
    assert.ok(woken >= 100 && woken <= 200, `${woken} wake-ups for 100 tasks`);
    await queue.close();
    await Promise.all(listeners);
  });

  it("F82: 100,000 updates are at most ten writes a second, one in flight, and the latest counts", async () => {
    const { world, store } = openMemory();
    const clock = new CountingClock();
    let [writes, inFlight, most, timers] = [0, 0, 0, 0];
    const counting = withVerbs(store, {
      progress: async (task, outcome) => {
        writes += 1;
        most = Math.max(most, inFlight += 1);
        const answer = await store.progress(task, outcome);
        inFlight -= 1;
        return answer;
      },
    });
    const seconds: number[] = [];
    const work = async (task: RedisTask) => {
      const from = performance.now();
      for (let n = 1; n <= 100_000; n += 1) {
        void task.update(n, 100_000);
        if (n % 500 > 0) continue;
        await new Promise((resolve) => setTimeout(resolve, 1));
        timers = Math.max(timers, clock.pending);
      }
      seconds.push((performance.now() - from) / 1000);
    };
    await listening(makeListener(counting, { work }, { clock }), async () => {
      await enqueue(store, "a");
      const record = await inState(store, "a", "succeeded");
      assert.match(record.outcome, /"progress":\[100000,100000,/);
    });
    world.close();
    assert.ok(writes >= 1 && writes <= seconds[0]! * 10 + 2, `${writes} writes in ${seconds} seconds`);
    assert.equal(most, 1);
    assert.ok(timers < 10, `${timers} timers`);
  });
});
