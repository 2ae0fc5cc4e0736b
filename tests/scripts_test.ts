/** What the scripts promise when they are stopped, sent twice or late: protocol rules 1, 2 and 4 on a real Redis. */
import { after, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { keysOf } from "../src/keys.ts";
import type { RedisPort } from "../src/port/redis.ts";
import type { TaskRecord } from "../src/record.ts";
import { RedisStore } from "../src/store/redis/redis_store.ts";
import type { EnqueueRequest, Ownership } from "../src/store/store.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { testConnect } from "./support/test_client.ts";

const keys = keysOf("scripts", "task-queue");
const CLIENT = "client000001";

function request(id: string, changes: Partial<EnqueueRequest> = {}): EnqueueRequest {
  return {
    id,
    name: "a",
    nonce: `${CLIENT}00000001`,
    kind: "enqueued",
    timeout: 60_000,
    resultTtl: 60_000,
    delay: 0,
    maxAttempts: 1,
    options: "",
    params: "json=1",
    ifExists: "join",
    ...changes,
  };
}

function own(record: TaskRecord): Ownership {
  return { id: record.id, name: record.name, owner: record.owner, fence: record.fence };
}

describe("scripts", () => {
  let server: RedisServer;
  let port: RedisPort;
  let store: RedisStore;
  let now = 1_900_000_000_000;

  before(async () => {
    server = await startRedis();
    port = await testConnect(server.url);
    store = new RedisStore(port, keys, { time: () => now });
  });
  after(async () => {
    port.close();
    await server.stop();
  });
  beforeEach(async () => {
    await port.exec([["FLUSHALL"]]);
  });

  const claim = (sequence: number, names = ["a"], listener = "listener0001") =>
    store.claim({ listener, sequence, free: 10, lease: 1_000, names });
  const plantWrongType = (key: string) => port.exec([["DEL", key], ["HSET", key, "not", "ours"]]);
  const value = async (...command: [string, ...string[]]) => (await port.exec([command]))[0];

  for (
    const [what, key] of [
      ["lease", keys.lease("a")],
      ["replay record", keys.listener("listener0001")],
    ] as const
  ) {
    it(`a claim stopped by a wrong type at its ${what} loses no hint`, async () => {
      await store.enqueue(request("t1"));
      await plantWrongType(key);
      await assert.rejects(claim(1), { code: "WRONGTYPE" });
      assert.equal((await store.readHeader("t1"))!.state, "queued");
      assert.deepEqual(await value("LRANGE", keys.queue("a"), "0", "-1"), ["t1"]);
      await port.exec([["DEL", key]]);
      assert.equal((await claim(2)).tasks.length, 1);
    });
  }

  it("a completion whose lease cannot be removed is accepted: the entry left is a dead hint", async () => {
    await store.enqueue(request("t1"));
    const [task] = (await claim(1)).tasks;
    await plantWrongType(keys.lease("a"));
    assert.equal((await store.complete(own(task!), "\njson=1")).verdict, "accepted");
    assert.equal((await store.complete(own(task!), "\njson=2")).verdict, "kept");
    assert.equal((await store.read("t1"))!.outcome, "\njson=1");
  });

  it("F51 F64: in a call of many enqueues the failure of one is its own: the others are stored and their bells ring", async () => {
    await plantWrongType(keys.queue("bad"));
    const [first, bad, last] = await Promise.allSettled([
      store.enqueue(request("t1")),
      store.enqueue(request("t2", { name: "bad", nonce: `${CLIENT}00000002` })),
      store.enqueue(request("t3", { nonce: `${CLIENT}00000003` })),
    ]);
    assert.equal(first.status, "fulfilled");
    assert.equal((bad as PromiseRejectedResult).reason.code, "WRONGTYPE");
    assert.equal(last.status, "fulfilled");
    assert.equal(await value("LLEN", keys.bell("a")), 1);
    assert.deepEqual((await claim(1)).tasks.map(({ id }) => id), ["t1", "t3"]);
  });

  it("F51 F64: in a call of many completions the failure of one is its own", async () => {
    await store.enqueue(request("t1"));
    await store.enqueue(request("t2", { nonce: `${CLIENT}00000002` }));
    const tasks = (await claim(1)).tasks;
    await plantWrongType(keys.scheduled("a"));
    const [retried, done] = await Promise.allSettled([
      store.fail(own(tasks[0]!), { state: "failed", outcome: "\n!{}", retryIn: 10 }),
      store.complete(own(tasks[1]!), "\njson=1"),
    ]);
    assert.equal((retried as PromiseRejectedResult).reason.code, "WRONGTYPE");
    assert.equal(done.status, "fulfilled");
    assert.equal((await store.readHeader("t1"))!.state, "running");
    assert.equal((await store.readHeader("t2"))!.state, "succeeded");
  });

  it("F52: on a full Redis a joiner joins, a resend is answered and only what is new is refused, in one call", async () => {
    await store.enqueue(request("t1", { kind: "asked" }));
    const owned = { owner: CLIENT, lease: 1_000 };
    const mine = request("t2", { name: "b", nonce: `${CLIENT}00000002`, ownIfUnattended: owned });
    assert.equal((await store.enqueue(mine)).verdict, "owned");
    await port.exec([["CONFIG", "SET", "maxmemory", "1"]]);
    const [joined, again, fresh] = await Promise.allSettled([
      store.enqueue(request("t1", { kind: "asked", nonce: "client00000200000001" })),
      store.enqueue(mine),
      store.enqueue(request("t3", { nonce: `${CLIENT}00000003` })),
    ]);
    const small = [
      store.withdraw({ id: "t1", nonce: `${CLIENT}00000001`, owner: CLIENT, lease: 1_000 }),
      store.cancel({ id: "t2" }),
      store.put({ ...request("t4"), kind: "enqueued", state: "stored", owner: CLIENT, outcome: "" }),
    ];
    await Promise.all(small);
    await port.exec([["CONFIG", "SET", "maxmemory", "0"]]);
    assert.equal((joined as PromiseFulfilledResult<{ verdict: string }>).value.verdict, "joined");
    assert.equal((again as PromiseFulfilledResult<{ verdict: string }>).value.verdict, "owned");
    assert.equal((fresh as PromiseRejectedResult).reason.name, "QueueFullError");
  });

  it("F52: on a full Redis tasks fail for good, are listed, requeued and deleted, and results stay bounded", async () => {
    const small = new RedisStore(port, keys, { time: () => now, bounds: { doneBytes: 1, deadMax: 1 } });
    for (let n = 1; n <= 4; n++) await store.enqueue(request(`t${n}`, { nonce: CLIENT + String(n).padStart(8, "0") }));
    await port.exec([["CONFIG", "SET", "maxmemory", "1"]]);
    const tasks = (await claim(1)).tasks.map(own);
    const failure = { state: "failed", outcome: "\n!{}" } as const;
    await small.complete(tasks[0]!, "\njson=1");
    await small.fail(tasks[1]!, failure);
    now += 40_000;
    const again = (await claim(2)).tasks.map(own);
    await small.complete(again[0]!, "\njson=1");
    await small.fail(again[1]!, failure);
    assert.deepEqual((await small.dead("a")).entries.map(({ id }) => id), ["t4"]);
    assert.equal(await small.read("t1"), null);
    assert.equal((await small.counts("a")).done, 1);
    assert.equal((await small.requeue({ id: "t4", nonce: `${CLIENT}00000009` })).verdict, "requeued");
    assert.equal((await small.remove({ id: "t3" })).verdict, "removed");
    await small.ring("a");
    await port.exec([["CONFIG", "SET", "maxmemory", "0"]]);
    assert.equal((await store.readHeader("t4"))!.state, "queued");
  });

  for (const what of ["dead", "done", "stats"] as const) {
    it(`F51: a wrong type at task-${what} stops no task from ending, and costs none its end`, async () => {
      await plantWrongType(keys[what]("a"));
      if (what === "stats") await port.exec([["DEL", keys.stats("a")], ["SET", keys.stats("a"), "not ours"]]);
      await store.enqueue(request("t1"));
      await store.enqueue(request("t2", { nonce: `${CLIENT}00000002` }));
      const [failed, done] = (await claim(1)).tasks;
      const answers = await Promise.all([
        store.fail(own(failed!), { state: "failed", outcome: "\n!{}" }),
        store.complete(own(done!), "\njson=1"),
      ]);
      assert.deepEqual(answers.map(({ verdict }) => verdict), ["accepted", "accepted"]);
      assert.deepEqual([(await store.read("t1"))!.state, (await store.read("t2"))!.outcome], ["failed", "\njson=1"]);
      assert.equal((await store.enqueue(request("t1", { nonce: `${CLIENT}00000003` }))).verdict, "accepted");
    });
  }

  it("F51: of records that are read together one of a wrong type fails alone, and one that is missing is none", async () => {
    await Promise.all([store.enqueue(request("good")), store.enqueue(request("also good"))]);
    await plantWrongType(keys.record("bad"));
    const reads = await Promise.allSettled(["good", "bad", "missing", "also good"].map((id) => store.read(id)));
    const [good, bad, missing, also] = reads;
    assert.equal((bad as PromiseRejectedResult).reason.code, "WRONGTYPE");
    assert.deepEqual(
      [good, missing, also].map((read) => (read as PromiseFulfilledResult<TaskRecord | null>).value?.id),
      ["good", undefined, "also good"],
    );
  });

  it("F51: a requeue stopped by a wrong type at its list changes nothing", async () => {
    await store.enqueue(request("t1"));
    await store.fail(own((await claim(1)).tasks[0]!), { state: "failed", outcome: "\n!{}" });
    await plantWrongType(keys.queue("a"));
    await assert.rejects(store.requeue({ id: "t1", nonce: `${CLIENT}00000002` }), { code: "WRONGTYPE" });
    assert.equal((await store.readHeader("t1"))!.state, "failed");
    assert.equal((await store.dead("a")).total, 1);
  });

  it("what stands in the list of ended tasks and is none of ours is dropped", async () => {
    await port.exec([["RPUSH", keys.done("a"), "garbage", ""], ["HSET", keys.stats("a"), "doneBytes", "1000"]]);
    await store.enqueue(request("t1"));
    await store.complete(own((await claim(1)).tasks[0]!), "\njson=1");
    const { done, doneBytes } = await store.counts("a");
    assert.deepEqual([done, doneBytes], [1, 1_000 + (await value("GET", keys.record("t1")) as string).length]);
  });

  it("an entry that no death of its task left is no dead letter, and its record is not its own to take along", async () => {
    await store.enqueue(request("t1"));
    await store.fail(own((await claim(1)).tasks[0]!), { state: "failed", outcome: "\n!{}" });
    await port.exec([["ZADD", keys.dead("b"), "1", "t1"], ["ZADD", keys.dead("b"), "2", "t2"]]);
    const small = new RedisStore(port, keys, { time: () => now + 60_000, bounds: { deadMax: 1 } });
    await port.exec([["SET", keys.record("t3"), "garbage"], ["RPUSH", keys.queue("b"), "t3"]]);
    await small.claim({ listener: "listener0001", sequence: 2, free: 1, lease: 1_000, names: ["b"] });
    assert.deepEqual((await store.dead("b")).entries.map(({ id }) => id), ["t3"]);
    assert.equal((await store.dead("a")).total, 1);
    assert.equal((await store.read("t1"))!.state, "failed");
    await port.exec([["ZADD", keys.dead("a"), "1", "t1"]]);
    assert.deepEqual(await store.dead("a"), { total: 0, entries: [] });
  });

  it("an entry that stayed behind makes no dead letter of what has succeeded", async () => {
    await store.enqueue(request("t1"));
    await store.complete(own((await claim(1)).tasks[0]!), "\njson=1");
    await port.exec([["ZADD", keys.dead("a"), String(now), "t1"], ["PERSIST", keys.record("t1")]]);
    await store.take({ id: "t1", reader: CLIENT });
    assert.notEqual(await value("PTTL", keys.record("t1")), -1);
  });

  it("a count that outlived its list begins anew with it", async () => {
    await port.exec([["HSET", keys.stats("a"), "doneBytes", "1000000000"]]);
    await store.enqueue(request("t1"));
    await store.complete(own((await claim(1)).tasks[0]!), "\njson=1");
    assert.equal((await store.counts("a")).doneBytes, (await value("GET", keys.record("t1")) as string).length);
  });

  it("the bounds are the usual ones unless told otherwise, each by itself", async () => {
    const bounded = new RedisStore(port, keys, { bounds: { deadTtl: 60_000 } });
    await bounded.enqueue(request("t1"));
    const [task] =
      (await bounded.claim({ listener: "listener0001", sequence: 1, free: 1, lease: 1_000, names: ["a"] })).tasks;
    await bounded.fail(own(task!), { state: "failed", outcome: "\n!{}" });
    const left = await value("PTTL", keys.record("t1")) as number;
    assert.ok(left > 55_000 && left <= 60_000, `${left} ms`);
  });

  it("what only looks like a record is none: it is not claimed and stops nobody", async () => {
    await port.exec([["SET", keys.record("bad"), `12${"x".repeat(200)}`], ["RPUSH", keys.queue("a"), "bad"]]);
    await store.enqueue(request("t1"));
    assert.deepEqual((await claim(1)).tasks.map(({ id }) => id), ["t1"]);
  });

  it("withdraw leaves a scheduled task its delay", async () => {
    await store.enqueue(request("t1", { delay: 60_000 }));
    const answer = await store.withdraw({ id: "t1", nonce: `${CLIENT}00000001`, owner: CLIENT, lease: 1_000 });
    assert.deepEqual(answer, { verdict: "refused", state: "scheduled" });
  });

  it("withdraw does not start again what has ended and left an entry among the delayed", async () => {
    await store.enqueue(request("t1"));
    await store.complete(own((await claim(1)).tasks[0]!), "\njson=1");
    await port.exec([["ZADD", keys.scheduled("a"), "1", "t1"]]);
    const answer = await store.withdraw({ id: "t1", nonce: `${CLIENT}00000001`, owner: CLIENT, lease: 1_000 });
    assert.deepEqual(answer, { verdict: "refused", state: "succeeded" });
  });

  it("a lease of what is gone makes no dead letter, and one under another name takes nothing back", async () => {
    await store.enqueue(request("t1"));
    await store.enqueue(request("t2"));
    await claim(1);
    await port.exec([["DEL", keys.record("t1")], ["ZADD", keys.lease("b"), "1", "t2"]]);
    now += 500;
    await claim(2, ["b"]);
    assert.equal((await store.readHeader("t2"))!.state, "running");
    now += 1_000;
    const { tasks, aside } = await claim(3);
    assert.deepEqual([tasks.map(({ id }) => id), aside, (await store.dead("a")).total], [["t2"], [], 0]);
  });

  for (const [length, isNewer] of [[113, false], [114, true]] as const) {
    it(`a later version's record has a header: ${length} bytes are ${isNewer ? "one" : "none"}`, async () => {
      const text = "2".padEnd(length, "x");
      await port.exec([["SET", keys.record("bad"), text], ["RPUSH", keys.queue("a"), "bad"]]);
      assert.deepEqual((await claim(1)).aside, isNewer ? [] : ["bad"]);
      assert.equal((await store.remove({ id: "bad", name: "a" })).verdict, isNewer ? "refused" : "removed");
    });
  }

  it("take of a run leaves another run of the same id alone", async () => {
    await store.enqueue(request("t1"));
    await store.complete(own((await claim(1)).tasks[0]!), "\njson=1");
    assert.equal(await store.take({ id: "t1", reader: CLIENT, nonce: `${CLIENT}00000009` }), null);
    assert.equal((await store.take({ id: "t1", reader: CLIENT, nonce: `${CLIENT}00000001` }))!.outcome, "\njson=1");
  });

  it("F51: an enqueue stopped by a wrong type at its list stores no record", async () => {
    await plantWrongType(keys.queue("a"));
    await assert.rejects(store.enqueue(request("t1")), { code: "WRONGTYPE" });
    assert.equal(await store.read("t1"), null);
  });

  it("a late copy of an older claim does nothing", async () => {
    await claim(5);
    await store.enqueue(request("t1"));
    assert.deepEqual((await claim(4)).tasks, []);
    assert.equal((await store.readHeader("t1"))!.state, "queued");
    assert.equal((await claim(6)).tasks.length, 1);
  });

  it("F26: a claim whose answer was lost is replayed with the same tasks and new leases", async () => {
    await store.enqueue(request("t1"));
    const [first] = (await claim(1)).tasks;
    now += 900;
    const [again] = (await claim(1)).tasks;
    assert.deepEqual(again, first);
    now += 900;
    assert.deepEqual((await claim(1, ["a"], "listener0002")).tasks, [], "the replay renewed the lease");
  });

  it("F5: a zombie's late complete is refused and told the truth", async () => {
    await store.enqueue(request("t1"));
    const [zombie] = (await claim(1)).tasks;
    now += 1_001;
    const [heir] = (await claim(1, ["a"], "listener0002")).tasks;
    assert.deepEqual(await store.complete(own(zombie!), "\njson=1"), {
      verdict: "lost",
      state: "running",
      cancelAsked: false,
    });
    assert.equal((await store.complete(own(heir!), "\njson=2")).verdict, "accepted");
    assert.equal((await store.complete(own(zombie!), "\njson=1")).state, "succeeded");
    assert.equal((await store.read("t1"))!.outcome, "\njson=2");
  });

  it("the same id under another name is never run by the wrong handler", async () => {
    await store.enqueue(request("t1"));
    const other = await store.enqueue(request("t1", { name: "b", nonce: `${CLIENT}00000002`, ifExists: "replace" }));
    assert.equal(other.verdict, "accepted");
    assert.deepEqual((await claim(1, ["a"])).tasks, [], "the hint in a's list is dead");
    assert.equal((await claim(2, ["b"])).tasks[0]!.name, "b");
  });

  it("F77: the same id many times in a list starts once", async () => {
    await store.enqueue(request("t1"));
    await port.exec([["RPUSH", keys.queue("a"), ...Array.from({ length: 10 }, () => "t1")]]);
    assert.equal((await claim(1)).tasks.length, 1);
    assert.deepEqual((await claim(2)).tasks, []);
  });

  it("a queue that nobody serves does not grow by the tasks that timed out", async () => {
    for (let i = 0; i < 200; i++) {
      await store.enqueue(request(`t${i}`, { timeout: 1_000, nonce: CLIENT + String(i).padStart(8, "0") }));
      now += 500;
    }
    const length = await value("LLEN", keys.queue("a")) as number;
    assert.ok(length <= 4, `${length} hints are left`);
  });

  it("a bare JSON task of another program is claimed under the name of the list it stood in", async () => {
    await port.exec([["SET", keys.record("f"), '{"params":{"é":1}}'], ["RPUSH", keys.queue("a"), "f"]]);
    const [task] = (await claim(1)).tasks;
    assert.equal(task!.name, "a");
    assert.equal(task!.kind, "foreign");
    assert.equal(task!.params, '{"params":{"é":1}}');
    await store.complete(own(task!), "\njson=1");
    assert.equal((await store.read("f"))!.state, "succeeded");
  });

  it("F15: garbage at a record's key is not claimed, not overwritten, and harms no other task", async () => {
    await port.exec([["SET", keys.record("bad"), "garbage"], ["RPUSH", keys.queue("a"), "bad", "t1"]]);
    await store.enqueue(request("t1"));
    assert.deepEqual((await claim(1)).tasks.map((task) => task.id), ["t1"]);
    assert.equal((await store.enqueue(request("bad"))).verdict, "conflict");
    assert.equal(await value("GET", keys.record("bad")), "garbage");
  });

  it("F49: scripts that the server forgot are sent again", async () => {
    await store.enqueue(request("t1"));
    await port.exec([["SCRIPT", "FLUSH"]]);
    await store.enqueue(request("t2"));
    await port.exec([["SCRIPT", "FLUSH"]]);
    assert.equal((await claim(1)).tasks.length, 2);
  });

  it("F62: many large bodies come in several claims, none lost", async () => {
    const params = `json=${JSON.stringify("x".repeat(100_000))}`;
    for (let i = 0; i < 12; i++) await store.enqueue(request(`big${i}`, { params }));
    const seen: string[] = [];
    for (let sequence = 1; seen.length < 12; sequence++) {
      const answer = await store.claim({ listener: "listener0001", sequence, free: 100, lease: 60_000, names: ["a"] });
      assert.ok(answer.tasks.length > 0, `claim ${sequence} brought nothing after ${seen.length}`);
      seen.push(...answer.tasks.map((task) => task.id));
      if (seen.length < 12) assert.deepEqual(answer.more, ["a"]);
    }
    assert.deepEqual(seen, Array.from({ length: 12 }, (_, i) => `big${i}`));
  });
});
