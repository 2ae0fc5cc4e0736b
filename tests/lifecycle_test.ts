/**
 * A task's whole life, with every key that stands in Redis between its steps. Read it beside ARCHITECTURE.md: what
 * is asserted here is what the scripts promise each other.
 */
import { after, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { keysOf } from "../src/keys.ts";
import type { RedisPort } from "../src/port/redis.ts";
import { decodeRecord, type TaskRecord } from "../src/record.ts";
import { RedisStore } from "../src/store/redis/redis_store.ts";
import type { EnqueueRequest, Ownership } from "../src/store/store.ts";
import { type Keyspace, keyspace, lifeOf } from "./support/keyspace.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { testConnect } from "./support/test_client.ts";

const CLIENT = "client000001";
const LISTENER = "listener0001";
const START = 1_900_000_000_000;
const keys = keysOf("life", "task-queue");

const REQUEST: EnqueueRequest = {
  id: "t1",
  name: "resize",
  nonce: `${CLIENT}00000001`,
  kind: "asked",
  timeout: 60_000,
  resultTtl: 40_000,
  delay: 0,
  maxAttempts: 1,
  options: "",
  params: 'json={"width":3}',
  ifExists: "join",
};

describe("the life of a task in Redis", () => {
  let server: RedisServer;
  let port: RedisPort;
  let store: RedisStore;
  let now = START;

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
    now = START;
    await port.exec([["FLUSHALL"]]);
  });

  const claim = (sequence: number, lease = 30_000) =>
    store.claim({ listener: LISTENER, sequence, free: 4, lease, names: ["resize"] });
  const own = (record: TaskRecord): Ownership => ({
    id: record.id,
    name: record.name,
    owner: record.owner,
    fence: record.fence,
  });
  /** The keyspace with records decoded to states and the ended to ids, without what only wakes, replays or counts: a step shows what it moved. */
  const places = async (): Promise<Keyspace> => {
    const found = await keyspace(port);
    delete found[keys.bell("resize")];
    delete found[keys.listener(LISTENER)];
    delete found[keys.stats("resize")];
    const done = found[keys.done("resize")] as string[] | undefined;
    if (done) found[keys.done("resize")] = done.map((element) => element.slice(47));
    const record = found[keys.record("t1")];
    if (typeof record === "string") found[keys.record("t1")] = decodeRecord("t1", record).state;
    return found;
  };
  const hint = { [keys.queue("resize")]: ["t1"] };
  const lease = { [keys.lease("resize")]: ["t1"] };
  const due = { [keys.scheduled("resize")]: ["t1"] };
  const done = { [keys.done("resize")]: ["t1"] };
  const state = (text: string) => ({ [keys.record("t1")]: text });

  it("queued → running → succeeded → gone", async () => {
    await store.enqueue(REQUEST);
    assert.deepEqual(await keyspace(port), {
      [keys.record("t1")]: [
        "1" + "2" + "000" + "000" + "000" + START + "0000000000000000" + "------------" + "a" + "001",
        String(START + 60_000) + "0000040000" + `${CLIENT}00000001` + "006" + "0000" + "00000016",
        "resize" + 'json={"width":3}',
      ].join(""),
      [keys.queue("resize")]: ["t1"],
      [keys.bell("resize")]: ["1"],
    });
    assert.ok(await lifeOf(port, keys.record("t1")) > 60_000 + 299_000, "deadline + 5 min");

    const [task] = (await claim(1)).tasks;
    assert.deepEqual(await places(), { ...state("running"), ...lease });
    assert.equal(task!.fence, String(START * 1000));
    assert.equal(task!.attempt, 1);

    await store.progress(own(task!), '{"progress":[1,2,3]}\n');
    assert.equal((await store.read("t1"))!.outcome, '{"progress":[1,2,3]}\n');
    assert.equal((await store.read("t1"))!.params, 'json={"width":3}', "params are never rewritten");

    await store.complete(own(task!), '{"progress":[2,2,4]}\njson="done"');
    assert.deepEqual(await places(), { ...state("succeeded"), ...done });
    const element = `${START}` + "0000040000" + "00000168" + task!.fence + "t1";
    assert.deepEqual((await keyspace(port))[keys.done("resize")], [element]);
    assert.equal((await store.counts("resize")).doneBytes, 168);
    const life = await lifeOf(port, keys.record("t1"));
    assert.ok(life > 39_000 && life <= 40_000, `resultTtl, not ${life}`);

    await store.take({ id: "t1", reader: CLIENT });
    await store.acknowledge({ id: "t1", reader: CLIENT });
    assert.equal(await store.read("t1"), null);
    assert.equal((await store.readHeader("t1"))!.state, "deleted", "a tombstone stays for a late copy of the enqueue");
    assert.equal((await store.enqueue(REQUEST)).verdict, "deleted");
    assert.deepEqual(await places(), { ...state("deleted"), ...done });
  });

  it("scheduled → queued → running → scheduled (retry) → running → failed", async () => {
    await store.enqueue({ ...REQUEST, delay: 1_000, maxAttempts: 2 });
    assert.deepEqual(await places(), { ...state("scheduled"), ...due });
    assert.deepEqual((await claim(1)).tasks, []);
    assert.equal((await claim(2)).nextIn, 1_000);

    now += 1_000;
    const [first] = (await claim(3)).tasks;
    assert.deepEqual(await places(), { ...state("running"), ...lease });
    await store.fail(own(first!), { state: "failed", outcome: "\n!{}", retryIn: 500 });
    assert.deepEqual(await places(), { ...state("scheduled"), ...due });

    now += 500;
    const [second] = (await claim(4)).tasks;
    assert.equal(second!.attempt, 2);
    assert.ok(second!.fence > first!.fence);
    await store.fail(own(second!), { state: "failed", outcome: '\n!{"name":"Error","message":"no"}' });
    assert.deepEqual(await places(), { ...state("failed"), ...done });
  });

  it("running → queued (release): the attempt is not counted", async () => {
    await store.enqueue(REQUEST);
    const [task] = (await claim(1)).tasks;
    await store.release([own(task!)]);
    assert.deepEqual(await places(), { ...state("queued"), ...hint });
    const record = (await store.read("t1"))!;
    assert.equal(record.attempt, 0);
    assert.equal((await store.release([own(task!)]))[0]!.verdict, "kept", "sent twice, it has the effect of one");
    assert.deepEqual(await places(), { ...state("queued"), ...hint });
  });

  it("running → queued (first lost lease) → scheduled (later ones) → failed (the fourth)", async () => {
    await store.enqueue({ ...REQUEST, timeout: 0 });
    await claim(1, 1_000);
    now += 1_001;
    await store.renew({
      owner: "listener0002",
      lease: 1_000,
      tasks: [],
      presence: { names: ["resize"], duration: 15_000 },
    });
    const found = await places();
    delete found[keys.listen("resize")];
    assert.deepEqual(found, { ...state("queued"), ...hint });

    let sequence = 2;
    for (const wait of [1_000, 2_000]) {
      assert.equal((await claim(sequence++, 1_000)).tasks.length, 1);
      now += 1_001;
      assert.deepEqual((await claim(sequence++, 1_000)).tasks, []);
      const header = (await store.readHeader("t1"))!;
      assert.equal(header.state, "scheduled");
      assert.equal(header.owner, "------------");
      now += wait;
    }
    assert.equal((await claim(sequence++, 1_000)).tasks.length, 1);
    now += 1_001;
    assert.deepEqual((await claim(sequence++, 1_000)).tasks, []);
    const ended = (await store.read("t1"))!;
    assert.equal(ended.state, "failed");
    assert.match(ended.outcome, /listeners died/);
  });

  it("queued → cancelled and queued → expired leave only the ended record, once the dead hint is met", async () => {
    await store.enqueue(REQUEST);
    assert.equal((await store.cancel({ id: "t1" })).verdict, "cancelled");
    assert.deepEqual(await places(), { ...state("cancelled"), ...hint, ...done });
    await claim(1);
    assert.deepEqual(await places(), { ...state("cancelled"), ...done });

    await store.enqueue({ ...REQUEST, nonce: `${CLIENT}00000002` });
    now += 60_000;
    assert.deepEqual((await claim(2)).tasks, []);
    assert.deepEqual(await places(), { ...state("expired"), ...done });
  });

  it("an enqueued task that failed for good is a dead letter, with a life of its own", async () => {
    await store.enqueue({ ...REQUEST, kind: "enqueued" });
    const [task] = (await claim(1)).tasks;
    await store.fail(own(task!), { state: "failed", outcome: "\n!{}" });
    const dead = { [keys.dead("resize")]: ["t1"] };
    assert.deepEqual(await places(), { ...state("failed"), ...dead });
    const month = 30 * 24 * 60 * 60_000;
    for (const key of [keys.record("t1"), keys.dead("resize")]) {
      const life = await lifeOf(port, key);
      assert.ok(life > month - 1_000 && life <= month, `${key} lives for ${life} ms`);
    }
    await store.enqueue({ ...REQUEST, kind: "enqueued", nonce: `${CLIENT}00000002` });
    assert.deepEqual(await places(), { ...state("queued"), ...hint });
  });

  it("queued → running by the caller (withdraw): the hint is dead and a claim drops it", async () => {
    await store.enqueue(REQUEST);
    const answer = await store.withdraw({ id: "t1", nonce: REQUEST.nonce, owner: CLIENT, lease: 30_000 });
    assert.equal(answer.verdict, "owned");
    assert.deepEqual(await places(), { ...state("running"), ...hint, ...lease });
    assert.deepEqual((await claim(1)).tasks, []);
    assert.deepEqual(await places(), { ...state("running"), ...lease });
  });

  it("a listener's presence and replay record go when it leaves; nothing else is left", async () => {
    await store.claim({
      listener: LISTENER,
      sequence: 1,
      free: 1,
      lease: 30_000,
      names: ["resize"],
      presence: { names: ["resize"], duration: 15_000 },
    });
    assert.deepEqual(Object.keys(await keyspace(port)), [keys.listen("resize"), keys.listener(LISTENER)].toSorted());
    await store.leave(LISTENER, ["resize"]);
    assert.deepEqual(await keyspace(port), {});
  });

  it("F52: a full Redis refuses new tasks and drains the old ones", async () => {
    await store.enqueue(REQUEST);
    await port.exec([["CONFIG", "SET", "maxmemory", "1"]]);
    await assert.rejects(store.enqueue({ ...REQUEST, id: "t2", nonce: `${CLIENT}00000002` }), {
      name: "QueueFullError",
    });
    assert.equal((await store.enqueue(REQUEST)).verdict, "accepted", "the resend of an accepted one is answered");
    const [task] = (await claim(1)).tasks;
    await store.progress(own(task!), '{"progress":[1,2,3]}\n');
    const renewed = await store.renew({ owner: LISTENER, lease: 30_000, tasks: [own(task!)] });
    assert.equal(renewed[0]!.verdict, "accepted");
    assert.equal((await store.complete(own(task!), "\njson=1")).verdict, "accepted");
    await port.exec([["CONFIG", "SET", "maxmemory", "0"]]);
    assert.equal((await store.read("t1"))!.state, "succeeded");
  });
});
