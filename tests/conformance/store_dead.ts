/**
 * Dead letters: tasks of a queue that failed for good, until somebody queues them again or deletes them.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  ADA,
  ask,
  BOB,
  claimed,
  claimIds,
  claimOf,
  inWorld,
  LEASE,
  Mailbox,
  nonce,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
  tokenOf,
} from "./store_kit.ts";

const OUTCOME = '\n!{"name":"Error","message":"no"}';
const MONTH = 30 * 24 * 60 * 60_000;

/** Brings a task to a dead end. */
async function dies({ store }: StoreWorld, id: string, sequence: number, kind: "enqueued" | "asked" = "enqueued") {
  await store.enqueue(ask(id, { kind, timeout: 0, resultTtl: 60_000 }));
  const { tasks } = await store.claim(claimOf(sequence));
  await store.fail(own(tasks[0]!), { state: "failed", outcome: OUTCOME });
}

/** The ids among the dead letters, and how many there are. */
async function deadIds({ store }: StoreWorld, page = {}): Promise<[string[], number]> {
  const { entries, total } = await store.dead("greet", page);
  return [entries.map(({ id }) => id), total];
}

/** Declares the tests. */
export function testDead(open: OpenWorld): void {
  testEntries(open);
  testEntriesEnd(open);
  testBounds(open);
  testRequeue(open);
  testRemove(open);
}

function testEntries(open: OpenWorld): void {
  inWorld(open, "an enqueued task that failed for good is one, with its error and params", async (world) => {
    await dies(world, "a", 1);
    const { total, entries } = await world.store.dead("greet");
    assert.equal(total, 1);
    const [{ id, diedAt, record, raw }] = entries as [(typeof entries)[0]];
    assert.deepEqual([id, raw, record?.state, record?.outcome], ["a", null, "failed", OUTCOME]);
    assert.equal(record?.params, 'json={"who":"world"}');
    assert.equal(diedAt, record?.since);
    assert.deepEqual(record, await world.store.read("a"));
  });

  inWorld(open, "one whose listeners died too often is one too", async (world) => {
    const { store, advance } = world;
    await store.enqueue(ask("a", { kind: "enqueued", timeout: 0 }));
    for (let crash = 1; crash <= 4; crash++) {
      await store.claim(claimOf(crash, { listener: "listener-die" }));
      await advance(LEASE);
      await store.claim(claimOf(crash, { listener: "listener-see", free: 0 }));
      await advance(60_000);
    }
    assert.deepEqual(await deadIds(world), [["a"], 1]);
  });

  inWorld(open, "a bare JSON task that failed is one", async (world) => {
    await world.plant("f", "greet", '{"params":1}');
    const { tasks } = await world.store.claim(claimOf(1));
    await world.store.fail(own(tasks[0]!), { state: "failed", outcome: OUTCOME });
    assert.deepEqual(await deadIds(world), [["f"], 1]);
    assert.deepEqual(await world.store.requeue({ id: "f", nonce: nonce(BOB) }), { verdict: "requeued" });
    const [again] = (await world.store.claim(claimOf(2))).tasks;
    assert.deepEqual([again!.kind, again!.params, again!.attempt], ["foreign", '{"params":1}', 1]);
  });

  inWorld(open, "a query's failure, a cancel, an expiry and a task that was only put are none", async (world) => {
    const { store, advance } = world;
    await dies(world, "asked", 1, "asked");
    await store.enqueue(ask("cancelled", { kind: "enqueued" }));
    await store.cancel({ id: "cancelled" });
    await store.enqueue(ask("expired", { kind: "enqueued", timeout: 1_000 }));
    await advance(1_000);
    await store.claim(claimOf(2));
    assert.equal(await stateOf(world, "expired"), "expired");
    const { delay: _, maxAttempts: __, ifExists: ___, ...put } = ask("put", { kind: "enqueued" });
    await store.put({ ...put, state: "failed", owner: ADA, outcome: OUTCOME });
    assert.deepEqual(await deadIds(world), [[], 0]);
  });

  inWorld(open, "they come in pages, the oldest or the youngest first", async (world) => {
    for (const [n, id] of ["a", "b", "c", "d"].entries()) {
      await dies(world, id, n + 1);
      await world.advance(1);
    }
    assert.deepEqual(await deadIds(world, { limit: 3 }), [["a", "b", "c"], 4]);
    assert.deepEqual(await deadIds(world, { offset: 3 }), [["d"], 4]);
    assert.deepEqual(await deadIds(world, { newestFirst: true, offset: 1, limit: 2 }), [["c", "b"], 4]);
    assert.deepEqual(await world.store.dead("other"), { total: 0, entries: [] });
  });

  inWorld(open, "a page ends at a bound of bytes, and the next goes on behind it", async (world) => {
    const params = `json="${"x".repeat(150_000)}"`;
    for (const [n, id] of ["a", "b", "c"].entries()) {
      const task = own(await claimed(world, id, n + 1, { kind: "enqueued", params }));
      await world.store.fail(task, { state: "failed", outcome: OUTCOME });
      await world.advance(1);
    }
    assert.deepEqual(await deadIds(world), [["a", "b"], 3]);
    assert.deepEqual(await deadIds(world, { offset: 2 }), [["c"], 3]);
  });
}

function testEntriesEnd(open: OpenWorld): void {
  inWorld(open, "the same id enqueued again starts anew and is none any more", async (world) => {
    await dies(world, "a", 1);
    const before = await world.store.readHeader("a");
    await world.store.enqueue(ask("a", { kind: "enqueued", nonce: nonce(BOB) }));
    assert.deepEqual(await deadIds(world), [[], 0]);
    const [again] = (await world.store.claim(claimOf(2))).tasks;
    assert.ok(again!.fence > before!.fence);
  });

  inWorld(open, "one taken once stays until it is acknowledged", async (world) => {
    const { store } = world;
    await dies(world, "a", 1);
    assert.equal((await store.take({ id: "a", reader: ADA }))?.outcome, OUTCOME);
    assert.ok((await world.life(world.keys.record("a")))! > MONTH - 60_000);
    assert.deepEqual(await deadIds(world), [["a"], 1]);
    await store.acknowledge({ id: "a", reader: ADA });
    assert.deepEqual(await deadIds(world), [[], 0]);
    assert.equal(await stateOf(world, "a"), "deleted");
  });

  inWorld(open, "its end said again by put is kept and rewrites nothing", async (world) => {
    await dies(world, "a", 1);
    const record = (await world.store.read("a"))!;
    const put = { ...ask("a", { kind: "enqueued" }), state: "failed", owner: ADA, outcome: "\n!{}" } as const;
    assert.equal((await world.store.put(put)).verdict, "written");
    assert.deepEqual(await world.store.read("a"), record);
    assert.deepEqual(await deadIds(world), [["a"], 1]);
  });

  inWorld(open, "a local run of the same id replaces it", async (world) => {
    await dies(world, "a", 1);
    const request = ask("a", { kind: "local", nonce: nonce(BOB) });
    await world.store.put({ ...request, state: "succeeded", owner: BOB, outcome: "\njson=1" });
    assert.equal((await world.store.counts("greet")).dead, 0);
    assert.deepEqual(await deadIds(world), [[], 0]);
  });

  inWorld(open, "an entry that its record contradicts is dropped by whoever looks", async (world) => {
    for (const [n, id] of ["a", "b", "c"].entries()) await dies(world, id, n + 1);
    await world.overwrite("b", '{"params":1}');
    assert.deepEqual(await deadIds(world, { limit: 2 }), [["a", "c"], 2]);
  });
}

function testBounds(open: OpenWorld): void {
  inWorld(open, "entry and record live for thirty days", async (world) => {
    await dies(world, "a", 1);
    for (const key of [world.keys.record("a"), world.keys.dead("greet")]) {
      const life = (await world.life(key))!;
      assert.ok(life > MONTH - 60_000 && life <= MONTH, `${key}: ${life} ms`);
    }
  });

  inWorld(open, "the oldest go with their records when there are too many", async (world) => {
    for (const [n, id] of ["a", "b", "c", "d"].entries()) {
      await dies(world, id, n + 1);
      await world.advance(31_000);
    }
    assert.deepEqual(await deadIds(world), [["c", "d"], 2]);
    assert.equal(await world.store.read("a"), null);
    assert.equal(await stateOf(world, "c"), "failed");
  }, { deadMax: 2 });

  inWorld(open, "one that is one too many stays readable for the time of a caller in doubt", async (world) => {
    await dies(world, "a", 1);
    await world.advance(10_000);
    await dies(world, "b", 2);
    assert.deepEqual(await deadIds(world), [["b"], 1]);
    const life = (await world.life(world.keys.record("a")))!;
    assert.ok(life > 15_000 && life <= 20_000, `${life} ms`);
  }, { deadMax: 1 });

  inWorld(open, "the aged ones go when another comes", async (world) => {
    await dies(world, "a", 1);
    await world.advance(40_000);
    await dies(world, "b", 2);
    await world.advance(39_000);
    await dies(world, "c", 3);
    await world.advance(1_000);
    await dies(world, "d", 4);
    assert.equal((await world.store.counts("greet")).dead, 2);
    assert.deepEqual(await deadIds(world), [["c", "d"], 2]);
  }, { deadTtl: 40_000 });

  inWorld(open, "a record that lives again stays when its old entry goes", async (world) => {
    await dies(world, "a", 1);
    await world.overwrite("a", (await world.text("a"))!.replace(/^15/, "12"));
    await world.advance(60_000);
    await world.store.enqueue(ask("b", { kind: "enqueued" }));
    const { tasks } = await world.store.claim(claimOf(2));
    await world.store.fail(own(tasks[0]!), { state: "failed", outcome: OUTCOME });
    assert.deepEqual(await deadIds(world), [["b"], 1]);
    assert.equal(await stateOf(world, "a"), "queued");
  }, { deadMax: 1 });
}

function testRequeue(open: OpenWorld): void {
  inWorld(
    open,
    "a requeued one waits as new, without attempts, deadline and outcome; its fence grows",
    async (world) => {
      const { store } = world;
      const task = await claimed(world, "a", 1, { kind: "enqueued", timeout: 1_000, maxAttempts: 3 });
      await store.fail(own(task), { state: "failed", outcome: OUTCOME });
      await world.advance(2_000);
      assert.deepEqual(await store.requeue({ id: "a", nonce: nonce(BOB) }), { verdict: "requeued" });
      assert.equal((await store.counts("greet")).dead, 0);
      const record = (await store.read("a"))!;
      assert.deepEqual([record.state, record.attempt, record.crashes, record.deadline], ["queued", 0, 0, 0]);
      assert.deepEqual([record.outcome, record.nonce, record.owner], ["", nonce(BOB), "------------"]);
      assert.deepEqual([record.params, record.maxAttempts, record.kind], [task.params, 3, "enqueued"]);
      assert.equal(await world.life(world.keys.record("a")), null);
      assert.deepEqual(await deadIds(world), [[], 0]);
      const [again] = (await store.claim(claimOf(2))).tasks;
      assert.ok(again!.fence > task.fence);
      assert.equal((await store.complete(own(task), "\njson=1")).verdict, "lost");
      assert.equal((await store.complete(own(again!), "\njson=2")).verdict, "accepted");
    },
  );

  inWorld(open, "sent twice, a requeue has the effect of one", async (world) => {
    await dies(world, "a", 1);
    const request = { id: "a", nonce: nonce(BOB) };
    assert.deepEqual(await world.store.requeue(request), { verdict: "requeued" });
    assert.deepEqual(await world.store.requeue(request), { verdict: "kept", state: "queued" });
    assert.deepEqual(await world.hints("greet"), ["a"]);
    assert.deepEqual(await world.store.requeue({ id: "a", nonce: nonce(ADA, 7) }), {
      verdict: "refused",
      state: "queued",
    });
  });

  inWorld(open, "it wakes a listener", async (world) => {
    await dies(world, "a", 1);
    const bell = await world.store.openBell();
    while (await tokenOf(world, bell, "greet") !== null);
    await world.store.requeue({ id: "a", nonce: nonce(BOB) });
    assert.equal(await bell.wait(["greet"], 5_000), "greet");
    bell.close();
  });

  inWorld(open, "only a failed task of a queue can be requeued", async (world) => {
    const { store } = world;
    const requeue = (id: string) => store.requeue({ id, nonce: nonce(BOB, 9) });
    await dies(world, "asked", 1, "asked");
    assert.deepEqual(await requeue("asked"), { verdict: "refused", state: "failed" });
    await store.complete(own(await claimed(world, "done", 2, { kind: "enqueued" })), "\njson=1");
    assert.deepEqual(await requeue("done"), { verdict: "refused", state: "succeeded" });
    assert.deepEqual(await requeue("nobody"), { verdict: "refused", state: null });
    await world.plant("bare", "greet", "{}");
    assert.deepEqual(await requeue("bare"), { verdict: "refused", state: "queued" });
    await world.overwrite("broken", "garbage");
    assert.deepEqual(await requeue("broken"), { verdict: "refused", state: null });
  });

  inWorld(open, "one that was taken or whose cancel came too late is requeued clean", async (world) => {
    await dies(world, "a", 1);
    await world.store.take({ id: "a", reader: ADA });
    await world.store.requeue({ id: "a", nonce: nonce(BOB) });
    const header = (await world.store.readHeader("a"))!;
    assert.deepEqual([header.taken, header.cancelAsked, header.joined], [false, false, false]);
    assert.deepEqual(await claimIds(world.store, 2), ["a"]);
  });
}

function testRemove(open: OpenWorld): void {
  inWorld(open, "what has ended is deleted, and a late copy of its enqueue does not run it again", async (world) => {
    const { store } = world;
    await dies(world, "a", 1);
    assert.deepEqual(await store.remove({ id: "a", nonce: nonce(ADA) }), { verdict: "removed" });
    assert.deepEqual(await deadIds(world), [[], 0]);
    assert.equal(await store.read("a"), null);
    assert.deepEqual(await store.remove({ id: "a", nonce: nonce(ADA) }), { verdict: "kept" });
    assert.deepEqual(await store.enqueue(ask("a", { kind: "enqueued" })), { verdict: "deleted" });
    const life = (await world.life(world.keys.record("a")))!;
    assert.ok(life > 55_000 && life <= 60_000, `${life} ms`);
  });

  inWorld(open, "a stored one is deleted; a live one, another run and none are not", async (world) => {
    const { store } = world;
    await store.put({ ...ask("stored", { kind: "enqueued" }), state: "stored", owner: ADA, outcome: "" });
    assert.deepEqual(await store.remove({ id: "stored" }), { verdict: "removed" });
    await store.enqueue(ask("queued"));
    assert.deepEqual(await store.remove({ id: "queued" }), { verdict: "refused", state: "queued" });
    await store.enqueue(ask("later", { delay: 1_000 }));
    assert.deepEqual(await store.remove({ id: "later" }), { verdict: "refused", state: "scheduled" });
    await store.claim(claimOf(1));
    assert.deepEqual(await store.remove({ id: "queued" }), { verdict: "refused", state: "running" });
    await store.cancel({ id: "later" });
    assert.deepEqual(await store.remove({ id: "later", nonce: nonce(BOB) }), {
      verdict: "refused",
      state: "cancelled",
    });
    assert.deepEqual(await store.remove({ id: "later" }), { verdict: "removed" });
    assert.equal((await store.readHeader("later"))?.cancelAsked, true, "whoever cancelled it hears so");
    assert.deepEqual(await store.remove({ id: "nobody" }), { verdict: "refused", state: null });
    await world.plant("bare", "greet", "{}");
    assert.deepEqual(await store.remove({ id: "bare" }), { verdict: "refused", state: "queued" });
  });

  inWorld(open, "a deleted id starts anew, and its waiters hear of that run", async (world) => {
    const mailbox = new Mailbox();
    const inbox = await world.store.openInbox(BOB, mailbox.receive, () => {});
    await dies(world, "a", 1);
    await world.store.remove({ id: "a" });
    await world.store.enqueue(ask("a", { nonce: nonce(BOB) }));
    const [task] = (await world.store.claim(claimOf(2))).tasks;
    await world.store.complete(own(task!), "\njson=1");
    await mailbox.until(1);
    assert.deepEqual(mailbox.received, ["a"]);
    inbox.close();
  });
}
