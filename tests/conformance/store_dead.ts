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
  claimOf,
  inWorld,
  LEASE,
  nonce,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
} from "./store_kit.ts";

export const OUTCOME = '\n!{"name":"Error","message":"no"}';
const MONTH = 30 * 24 * 60 * 60_000;

/** Brings a task to a dead end. */
export async function dies(
  { store }: StoreWorld,
  id: string,
  sequence: number,
  kind: "enqueued" | "asked" = "enqueued",
) {
  await store.enqueue(ask(id, { kind, timeout: 0, resultTtl: 60_000 }));
  const { tasks } = await store.claim(claimOf(sequence));
  await store.fail(own(tasks[0]!), { state: "failed", outcome: OUTCOME });
}

/** The ids among the dead letters, and how many there are. */
export async function deadIds({ store }: StoreWorld, page = {}): Promise<[string[], number]> {
  const { entries, total } = await store.dead("greet", page);
  return [entries.map(({ id }) => id), total];
}

/** Declares the tests. */
export function testDead(open: OpenWorld): void {
  testEntries(open);
  testEntriesEnd(open);
  testLivesAgain(open);
  testBounds(open);
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
    assert.match((await store.read("a"))!.outcome, /its listeners died 4 times/);
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

function testLivesAgain(open: OpenWorld): void {
  inWorld(open, "an entry whose task lives again is dropped by whoever looks", async (world) => {
    await dies(world, "a", 1);
    await world.overwrite("a", (await world.text("a"))!.replace(/^15/, "12"));
    assert.deepEqual(await deadIds(world), [[], 0]);
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
