/**
 * Ended tasks beside the dead letters: a list of them by which their bytes are bounded; and how much there is of all.
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
  finished,
  inWorld,
  nonce,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
  tokenOf,
} from "./store_kit.ts";

/** Completes a task whose record has about so many bytes. */
async function completed(world: StoreWorld, id: string, sequence: number, bytes = 1_000): Promise<void> {
  const task = own(await claimed(world, id, sequence));
  await world.store.complete(task, `\njson="${"x".repeat(bytes)}"`);
}

/** Declares the tests. */
export function testEnded(open: OpenWorld): void {
  testList(open);
  testBytes(open);
  testEvicted(open);
  testCounts(open);
}

function testList(open: OpenWorld): void {
  inWorld(open, "every end but a dead letter's is counted, with the bytes of its record", async (world) => {
    const { store } = world;
    let bytes = 0;
    for (const [n, state] of (["succeeded", "failed", "cancelled", "expired"] as const).entries()) {
      await finished(world, state, state, n + 1);
      bytes += (await world.text(state))!.length;
    }
    await store.put({ ...ask("local", { kind: "local" }), state: "succeeded", owner: ADA, outcome: "\njson=1" });
    bytes += (await world.text("local"))!.length;
    const { done, doneBytes, dead } = await store.counts("greet");
    assert.deepEqual([done, doneBytes, dead], [5, bytes, 0]);
  });

  inWorld(open, "one that is met twice after its deadline ends once", async (world) => {
    await twice(world, "claimed");
    await world.advance(1_000);
    await world.store.claim(claimOf(1));
    assert.equal((await world.store.counts("greet")).done, 2, "cancelled once and expired once");
    await world.store.enqueue(ask("first", { timeout: 1_000 }));
    await twice(world, "swept");
    await world.advance(1_000);
    await world.store.enqueue(ask("last"));
    assert.deepEqual(await world.hints("greet"), ["last"]);
    assert.equal((await world.store.counts("greet")).done, 5);
  });

  inWorld(open, "what has expired by itself is forgotten when others end", async (world) => {
    for (let n = 1; n <= 5; n++) await completed(world, `a${n}`, n);
    await world.advance(300_000);
    await completed(world, "b", 6);
    const { done, doneBytes } = await world.store.counts("greet");
    assert.deepEqual([done, doneBytes], [1, (await world.text("b"))!.length]);
  });

  inWorld(open, "a queue that nobody uses any more leaves nothing behind", async (world) => {
    await completed(world, "a", 1);
    for (const key of [world.keys.done("greet"), world.keys.stats("greet")]) {
      const life = (await world.life(key))!;
      assert.ok(life > 295_000 && life <= 310_000, `${key}: ${life} ms`);
    }
  });

  inWorld(open, "the list lives as long as the longest result in it", async (world) => {
    const task = own(await claimed(world, "long", 1, { resultTtl: 900_000 }));
    await world.store.complete(task, "\njson=1");
    await completed(world, "short", 2);
    assert.ok((await world.life(world.keys.done("greet")))! > 890_000);
  });
}

/** Redis evicts the list of what has ended or its count, not both. */
function testEvicted(open: OpenWorld): void {
  inWorld(open, "a count that was evicted comes back with a life time, and about right", async (world) => {
    for (let n = 1; n <= 4; n++) await completed(world, `a${n}`, n);
    const { doneBytes } = await world.store.counts("greet");
    await world.evict(world.keys.stats("greet"));
    await completed(world, "a5", 5);
    assert.deepEqual(await world.store.counts("greet"), {
      ...{ queued: 0, scheduled: 0, running: 0, dead: 0, done: 5 },
      doneBytes: doneBytes / 4 * 5,
    });
    const life = await world.life(world.keys.stats("greet"));
    assert.ok(life !== null && life > 295_000 && life <= 310_000, `${life} ms`);
  });

  inWorld(open, "a count that was guessed too low is none at last, not less", async (world) => {
    await completed(world, "large", 1, 5_000);
    await world.advance(200_000);
    await completed(world, "old", 2);
    await world.evict(world.keys.stats("greet"));
    await completed(world, "small", 3, 10);
    assert.ok((await world.store.counts("greet")).doneBytes < 1_000);
    await world.advance(100_000);
    await completed(world, "new", 4, 10);
    assert.equal((await world.store.counts("greet")).doneBytes, 0);
  });

  inWorld(open, "the count of a list that was evicted begins anew", async (world) => {
    for (let n = 1; n <= 3; n++) await completed(world, `a${n}`, n);
    await world.evict(world.keys.done("greet"));
    await completed(world, "b", 4);
    const { done, doneBytes } = await world.store.counts("greet");
    assert.deepEqual([done, doneBytes], [1, (await world.text("b"))!.length]);
  });
}

/** A cancelled task leaves its hint, so one that comes again has two. */
async function twice({ store }: StoreWorld, id: string): Promise<void> {
  await store.enqueue(ask(id, { timeout: 1_000 }));
  await store.cancel({ id });
  await store.enqueue(ask(id, { timeout: 1_000, nonce: nonce(BOB) }));
}

function testBytes(open: OpenWorld): void {
  inWorld(open, "beyond their bytes the oldest go, list entry and record", async (world) => {
    for (let n = 1; n <= 6; n++) {
      await completed(world, `a${n}`, n);
      await world.advance(20_000);
    }
    const states = [];
    for (let n = 1; n <= 6; n++) states.push(await stateOf(world, `a${n}`));
    assert.deepEqual(states, [null, null, null, "succeeded", "succeeded", "succeeded"]);
    const { done, doneBytes } = await world.store.counts("greet");
    assert.equal(done, 3);
    assert.ok(doneBytes <= 4_000, `${doneBytes} bytes`);
  }, { doneBytes: 4_000 });

  inWorld(open, "none goes within the time of a caller in doubt", async (world) => {
    for (let n = 1; n <= 5; n++) await completed(world, `a${n}`, n);
    assert.equal((await world.store.counts("greet")).done, 5);
    await world.advance(29_999);
    await completed(world, "b", 6);
    assert.equal((await world.store.counts("greet")).done, 6);
    await world.advance(1);
    await completed(world, "c", 7);
    assert.equal((await world.store.counts("greet")).done, 2);
    assert.equal(await stateOf(world, "a5"), null);
  }, { doneBytes: 1 });

  inWorld(open, "a run that came after, a reader's and a dead letter's record stay", async (world) => {
    const { store } = world;
    await completed(world, "again", 1);
    await completed(world, "taken", 2);
    await world.advance(1_000);
    await store.enqueue(ask("again", { ifExists: "replace", nonce: `${ADA}00000002` }));
    await store.take({ id: "taken", reader: ADA });
    const dead = own(await claimed(world, "dead", 3, { kind: "enqueued", name: "other" }));
    await store.fail(dead, { state: "failed", outcome: "\n!{}" });
    await world.advance(40_000);
    const [, another] = [await stateOf(world, "again"), await claimed(world, "next", 4, { name: "other" })];
    await store.complete(own(another), "\njson=1");
    const { tasks } = await store.claim(claimOf(5));
    assert.deepEqual(tasks.map(({ id }) => id), ["again"]);
    await store.complete(own(tasks[0]!), "\njson=1");
    assert.equal((await store.counts("greet")).done, 1, "both old entries are gone");
    assert.equal(await stateOf(world, "again"), "succeeded");
    assert.equal(await stateOf(world, "taken"), "succeeded");
    assert.equal(await stateOf(world, "dead"), "failed");
  }, { doneBytes: 1 });
}

function testCounts(open: OpenWorld): void {
  inWorld(open, "counts say what waits, is due, runs and has ended", async (world) => {
    const { store } = world;
    const nothing = { queued: 0, scheduled: 0, running: 0, dead: 0, done: 0, doneBytes: 0 };
    assert.deepEqual(await store.counts("greet"), nothing);
    const failed = own(await claimed(world, "dead", 1, { kind: "enqueued" }));
    await store.fail(failed, { state: "failed", outcome: "\n!{}" });
    await claimed(world, "running", 2);
    for (const id of ["q1", "q2"]) await store.enqueue(ask(id));
    await store.enqueue(ask("later", { delay: 1_000 }));
    assert.deepEqual(await store.counts("greet"), { ...nothing, queued: 2, scheduled: 1, running: 1, dead: 1 });
  });

  inWorld(open, "ring wakes who sleeps at a bell of any name", async (world) => {
    const { store } = world;
    const bell = await store.openBell();
    const waiting = bell.wait(["a listener's own"], 5_000);
    await store.ring("a listener's own");
    assert.equal(await waiting, "a listener's own");
    for (let n = 0; n < 10; n++) await store.ring("a listener's own");
    let tokens = 0;
    while (await tokenOf(world, bell, "a listener's own") !== null) tokens++;
    assert.equal(tokens, 4);
    bell.close();
  });
}
