/** Scripts that stop half way, keys of other programs in our place, clocks that jump, values of any shape, huge batches. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type RedisPort, type RedisTaskQueue, TaskTimeoutError } from "../../mod.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { keysOf } from "../../src/keys.ts";
import type { TaskRecord } from "../../src/record.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import type { EnqueueRequest, Ownership } from "../../src/store/store.ts";
import { brokenTasks, leftovers } from "../support/invariants.ts";
import { deferred } from "../support/listening.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { Scene } from "../support/scene.ts";
import { testConnect } from "../support/test_client.ts";
import { until, within } from "../support/wait.ts";

const PREFIX = "scripts";
const keys = keysOf(PREFIX, "task-queue");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const [ONE, TWO] = ["listener0001", "listener0002"] as const;

let nonces = 0;
function request(id: string, change: Partial<EnqueueRequest> = {}): EnqueueRequest {
  return {
    ...{ id, name: "work", nonce: `client000001${String(++nonces).padStart(8, "0")}`, kind: "enqueued" },
    ...{ timeout: 60_000, resultTtl: 60_000, delay: 0, maxAttempts: 3, options: "", params: "json=1" },
    ifExists: "join",
    ...change,
  };
}
const own = ({ id, name, owner, fence }: TaskRecord): Ownership => ({ id, name, owner, fence });
const failed = (retryIn?: number) => ({
  ...{ state: "failed" as const, outcome: '\n!{"name":"Error","message":"no"}' },
  ...(retryIn === undefined ? {} : { retryIn }),
});

describe("the scripts and the keys", () => {
  let server: RedisServer;
  let port: RedisPort;
  let store: RedisStore;
  let scene: Scene;
  let ahead: number;
  let sequence: number;

  before(async () => {
    server = await startRedis();
    port = await testConnect(server.url);
    store = new RedisStore(port, keys, { time: () => Date.now() + ahead });
  });
  after(async () => {
    port.close();
    await server.stop();
  });
  beforeEach(async () => {
    await port.exec([["FLUSHALL"]]);
    [scene, ahead, sequence] = [new Scene(PREFIX), 0, 0];
  });
  afterEach(() => scene.close());

  const value = async (...command: [string, ...string[]]) => (await port.exec([command]))[0];
  const claim = async (listener: string = ONE, free = 10) =>
    (await store.claim({ listener, sequence: ++sequence, free, lease: 1_000, names: ["work"] })).tasks;
  const claimOne = async (id: string, change: Partial<EnqueueRequest> = {}) => {
    await store.enqueue(request(id, change));
    return (await claim())[0]!;
  };
  const state = async (id: string) => (await store.readHeader(id))?.state;
  const ask = (queue: RedisTaskQueue, id: string, params: unknown = id, timeout = 20_000) =>
    queue.query(id, "work", params, { policy: "remote", timeout });

  /** Every verb that writes, from a state in which each kind of task is there. */
  const VERBS: Readonly<Record<string, (tasks: Readonly<Record<string, TaskRecord>>) => Promise<unknown>>> = {
    enqueue: () => store.enqueue(request("new")),
    "enqueue with a delay": () => store.enqueue(request("new", { delay: 500 })),
    "enqueue over a failed one": () => store.enqueue(request("failed")),
    "enqueue that joins": () => store.enqueue(request("running", { kind: "asked" })),
    "enqueue that replaces": () => store.enqueue(request("running", { ifExists: "replace" })),
    claim: () => claim(),
    "claim that recovers": () => {
      ahead = 2_000;
      return claim(TWO);
    },
    complete: ({ running }) => store.complete(own(running!), "\njson=1"),
    "fail for good": ({ running }) => store.fail(own(running!), failed()),
    "fail to be tried again": ({ running }) => store.fail(own(running!), failed(500)),
    release: ({ running }) => store.release([own(running!)]),
    renew: ({ running }) =>
      store.renew({ owner: ONE, lease: 1_000, tasks: [own(running!)], presence: { names: ["work"], duration: 500 } }),
    progress: ({ running }) => store.progress(own(running!), '{"progress":[1,2,3]}\n'),
    "cancel of one that waits": () => store.cancel({ id: "waiting" }),
    "cancel of one that is delayed": () => store.cancel({ id: "delayed" }),
    "cancel of one that runs": () => store.cancel({ id: "running" }),
    withdraw: () => store.withdraw({ id: "waiting", nonce: "client00000200000002", owner: TWO, lease: 1_000 }),
    put: () => store.put({ ...request("new"), state: "stored", owner: ONE, outcome: "" }),
    take: () => store.take({ id: "failed", reader: TWO }),
    requeue: () => store.requeue({ id: "failed", nonce: "client00000200000009" }),
    remove: () => store.remove({ id: "failed" }),
  };
  const PLACES: Readonly<Record<string, string>> = {
    ...{ queue: keys.queue("work"), scheduled: keys.scheduled("work"), lease: keys.lease("work") },
    ...{ dead: keys.dead("work"), done: keys.done("work"), stats: keys.stats("work"), bell: keys.bell("work") },
    ...{ listen: keys.listen("work"), listener: keys.listener(ONE), joined: keys.joined("running") },
    ...{ "a new record": keys.record("new"), "a record": keys.record("waiting") },
  };

  for (const [place, key] of Object.entries(PLACES)) {
    it(`F51 F64: a key of another type stops no verb half way, and no record is without its hint (${place})`, async () => {
      for (const [verb, run] of Object.entries(VERBS)) {
        await port.exec([["FLUSHALL"]]);
        ahead = 0;
        await store.enqueue(request("failed"));
        await store.fail(own((await claim())[0]!), failed());
        const running = await claimOne("running");
        await store.enqueue(request("waiting", { nonce: "client00000200000002" }));
        await store.enqueue(request("delayed", { delay: 600 }));
        await port.exec([["RENAME", key, "kept"], ["HSET", key, "not", "ours"]]);
        await run({ running }).catch((error) => assert.match(String(error), /WRONGTYPE/, `${verb}: ${error}`));
        await port.exec([["HDEL", key, "not"]]);
        // The place is given back as it was; a record that was overwritten is gone for good.
        if (key !== keys.record("waiting")) await port.exec([["RENAMENX", "kept", key]]);
        assert.deepEqual(await brokenTasks(port, keys), [], verb);
        ahead = 10_000; // Whatever the verb did, all of it can be done, and nothing is left in its way.
        for (let round = 0; round < 4; round++, ahead += 10_000) {
          for (const task of await claim(TWO)) await store.complete(own(task), "\njson=1");
        }
        const left = (await leftovers(port, keys)).filter((other) => other !== key);
        assert.deepEqual(left, [], verb);
      }
    });
  }

  it("F56: the server's clock jumps an hour ahead: leases end early, and the older run is refused by its fence", async () => {
    const first = await claimOne("t", { timeout: 10 * HOUR });
    ahead = HOUR;
    const [second] = await claim(TWO);
    assert.ok(second!.fence > first.fence);
    assert.equal((await store.complete(own(first), "\njson=1")).verdict, "lost");
    assert.equal((await store.complete(own(second!), "\njson=2")).verdict, "accepted");
    assert.equal((await store.read("t"))!.outcome, "\njson=2");
  });

  it("F56: the server's clock jumps an hour back: fences still grow, owners keep what they renew, the delay is the jump", async () => {
    const first = await claimOne("t", { timeout: 10 * HOUR });
    await claimOne("orphan", { timeout: 10 * HOUR });
    ahead = -HOUR;
    assert.equal((await store.renew({ owner: ONE, lease: 1_000, tasks: [own(first)] }))[0]!.verdict, "accepted");
    ahead += 1_500;
    const [second] = await claim(TWO);
    assert.equal(second!.id, "t", "a lease that was renewed after the jump ends as it should");
    assert.ok(second!.fence > first.fence);
    await store.release([own(second!)]);
    const [third] = await claim(TWO);
    assert.ok(third!.fence > second!.fence);
    assert.equal((await store.complete(own(third!), "\njson=1")).verdict, "accepted");
    ahead = 1_500;
    assert.deepEqual((await claim(TWO)).map(({ id }) => id), ["orphan"]);
  });

  it("F57: clocks of a listener and a client that are wrong by a day change nothing", async () => {
    const skewed = (by: number): Clock => ({ ...bound(systemClock), now: () => systemClock.now() + by });
    for (const [listener, client] of [[DAY, -DAY], [-DAY, DAY]] as const) {
      const gate = deferred();
      const serving = await scene.listen(server.url, (task) => task.params === "long" ? gate.promise : undefined, {
        clock: skewed(listener),
      });
      const queue = await scene.open(server.url, { clock: skewed(client) });
      const id = `by ${client} `;
      assert.equal(await ask(queue, `${id}at once`, "x", 5_000), "x");
      const from = performance.now();
      await queue.enqueue(`${id}later`, "work", "x", { delay: 300, timeout: 5_000 });
      await until(async () => await state(`${id}later`) === "succeeded", "the delayed one is done");
      assert.ok(performance.now() - from >= 290, "its delay was kept");
      await assert.rejects(within(ask(queue, `${id}long`, "long", 400), "its timeout", 2_000), TaskTimeoutError);
      await until(async () => await state(`${id}long`) === "expired", "its run has ended");
      gate.resolve();
      await serving.stop();
    }
  });

  it("F58: a key that expires late is decided by its deadline, one that expires early is asked for again", async () => {
    await store.enqueue(request("late", { timeout: 1_000 }));
    assert.equal(await value("PERSIST", keys.record("late")), 1);
    ahead = 1_500;
    assert.deepEqual(await claim(), []);
    assert.equal(await state("late"), "expired");
    ahead = 0;
    const client = await scene.open(server.url);
    const waiting = ask(client, "early");
    await until(async () => await value("LLEN", keys.queue("work")) === 1, "it waits");
    await port.exec([["PEXPIRE", keys.record("early"), "1"]]);
    await until(
      async () => await state("early") === "queued" && await value("LLEN", keys.queue("work")) === 2,
      "again",
    );
    await scene.listen(server.url);
    assert.equal(await within(waiting, "the answer"), "early");
    assert.equal(scene.starts.get("early"), 1);
  });

  it("F59: expiry events are neither asked for nor needed", async () => {
    assert.equal(await server.cli("CONFIG", "GET", "notify-keyspace-events"), "notify-keyspace-events\n");
    const gate = deferred();
    await scene.listen(server.url, () => gate.promise);
    const client = await scene.open(server.url);
    await assert.rejects(within(ask(client, "t", 1, 300), "its timeout", 2_000), TaskTimeoutError);
    await until(async () => await state("t") === "expired", "its record says so");
    gate.resolve();
    assert.equal(await ask(client, "next"), "next");
    const channels = await value("PUBSUB", "CHANNELS") as string[];
    assert.ok(channels.length > 0 && channels.every((channel) => channel.startsWith(keys.base)), channels.join());
    assert.equal(await value("PUBSUB", "NUMPAT"), 0);
  });

  it("F50 F62: 20,000 dead hints and 20,000 lost leases are dealt with in bounded steps", async () => {
    const ids = Array.from({ length: 20_000 }, (_, at) => `gone${at}`);
    for (let at = 0; at < ids.length; at += 1_000) {
      const some = ids.slice(at, at + 1_000);
      await port.exec([
        ["RPUSH", keys.queue("work"), ...some],
        ["ZADD", keys.lease("work"), ...some.flatMap((id, index) => [String(index), id])],
        ["ZADD", keys.scheduled("work"), ...some.flatMap((id, index) => [String(index), id])],
      ]);
    }
    await store.enqueue(request("last"));
    const sizes = async () =>
      await port.exec([
        ["LLEN", keys.queue("work")],
        ["ZCARD", keys.lease("work")],
        ["ZCARD", keys.scheduled("work")],
      ]) as number[];
    let before = await sizes();
    for (let calls = 1;; calls++) {
      const tasks = await claim(ONE, 128);
      const now = await sizes();
      assert.ok(before.every((size, at) => size - now[at]! <= 256), `${before} → ${now}`);
      before = now;
      if (tasks.length > 0) break;
      assert.ok(calls < 200, "the task behind them is never reached");
    }
    assert.equal(await state("last"), "running");
  });

  it("F62: 20,000 waiters of one task and 20,000 ids of one listener pass every limit of Lua", async () => {
    const task = await claimOne("popular", { kind: "asked" });
    const joiners = Array.from({ length: 20_000 }, (_, at) => `c${String(at).padStart(11, "0")}`);
    for (let at = 0; at < joiners.length; at += 5_000) {
      await port.exec([["SADD", keys.joined("popular"), ...joiners.slice(at, at + 5_000)]]);
    }
    await port.exec([["SETRANGE", keys.record("popular"), "3", "1"]]);
    assert.equal((await store.complete(own(task), "\njson=1")).verdict, "accepted");
    assert.equal(await value("EXISTS", keys.joined("popular")), 0);
    const lost = Array.from({ length: 20_000 }, (_, at) => ({ ...own(task), id: `t${at}` }));
    const answers = await store.renew({ owner: ONE, lease: 1_000, tasks: lost });
    assert.ok(answers.length === 20_000 && answers.every(({ verdict }) => verdict === "gone"));
    assert.equal((await store.release(lost)).length, 20_000);
  });

  it("F63: what users wrote passes every script byte for byte", async () => {
    const deep = "[".repeat(1_001) + "]".repeat(1_001);
    const texts = ["[]", "{}", "12345678901234567", "1e400", "-0", '"\\u0000\\ud800"', '{"a":1,"a":2}', deep, " 1 "];
    for (const [at, text] of texts.entries()) {
      const id = `t${at}`;
      const first = await claimOne(id, { params: `json=${text}`, options: text.length < 999 ? text : "" });
      await store.progress(own(first), `{}\njson=${text}`);
      await store.fail(own(first), { ...failed(1), outcome: `{}\njson=${text}` });
      ahead += 1_000;
      const [second] = await claim();
      assert.deepEqual([second!.params, second!.outcome], [`json=${text}`, `{}\njson=${text}`]);
      await store.release([own(second!)]);
      ahead += 1_000;
      const [third] = await claim();
      await store.fail(own(third!), { ...failed(), outcome: `{}\n!${text}` });
      assert.equal((await store.dead("work")).entries.at(-1)!.record!.outcome, `{}\n!${text}`);
      await store.requeue({ id, nonce: request(id).nonce });
      const [fourth] = await claim();
      await store.complete(own(fourth!), `\njson=${text}`);
      const { params, outcome, options } = (await store.read(id))!;
      assert.deepEqual([params, outcome], [`json=${text}`, `\njson=${text}`]);
      assert.equal(options, first.options);
      const bare = `{"params":${text === '"\\u0000\\ud800"' ? "0" : text}}`;
      await port.exec([["SET", keys.record(`bare${at}`), bare], ["RPUSH", keys.queue("work"), `bare${at}`]]);
      const [foreign] = await claim();
      assert.equal(foreign!.params, bare);
      await store.complete(own(foreign!), "\njson=1");
    }
  });
});

/** A clock whose functions do not need it. */
function bound(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delay, callback) => clock.after(delay, callback),
    nextTurn: (callback) => clock.nextTurn(callback),
  };
}
