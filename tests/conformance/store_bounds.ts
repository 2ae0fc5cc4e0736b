/**
 * Bounds to the last entry: where one less or one more would not be seen elsewhere.
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
  finished,
  inWorld,
  LEASE,
  nonce,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
} from "./store_kit.ts";

const FAILED = { state: "failed", outcome: "\n!{}" } as const;

/** Declares the tests. */
export function testBounds(open: OpenWorld): void {
  testDeadLetters(open);
  testEndedList(open);
  testPlaces(open);
}

/** So many enqueued tasks fail for good, in one turn, which Redis is told in one call. */
async function die({ store }: StoreWorld, count: number, sequence: number): Promise<void> {
  const enqueues = Array.from({ length: count }, (_, n) => ask(`d${sequence}-${n}`, { kind: "enqueued" }));
  await Promise.all(enqueues.map((request) => store.enqueue(request)));
  const { tasks } = await store.claim(claimOf(sequence, { free: count }));
  assert.equal(tasks.length, count);
  await Promise.all(tasks.map((task) => store.fail(own(task), FAILED)));
}

async function deadOf({ store }: StoreWorld): Promise<number> {
  return (await store.counts("greet")).dead;
}

function testDeadLetters(open: OpenWorld): void {
  inWorld(open, "of dead letters that are too old four go when another comes", async (world) => {
    await die(world, 8, 1);
    await world.advance(39_000);
    await die(world, 1, 2);
    await world.advance(1_000);
    await die(world, 1, 3);
    assert.equal(await deadOf(world), 6);
  }, { deadTtl: 40_000 });

  inWorld(open, "all that are too old go when there is one too many", async (world) => {
    await die(world, 8, 1);
    await world.advance(39_000);
    await die(world, 1, 2);
    await world.advance(1_000);
    await die(world, 1, 3);
    assert.equal(await deadOf(world), 2);
  }, { deadTtl: 40_000, deadMax: 9 });

  inWorld(open, "as many go as come, however many come in one call", async (world) => {
    await die(world, 100, 1);
    assert.equal(await deadOf(world), 1);
    await world.advance(1);
    await die(world, 100, 2);
    assert.equal(await deadOf(world), 1);
  }, { deadMax: 1 });

  inWorld(open, "one that was pushed out is taken like anything that has ended", async (world) => {
    await die(world, 1, 1);
    await world.advance(1);
    await die(world, 1, 2);
    assert.equal((await world.store.take({ id: "d1-0", reader: ADA }))?.state, "failed");
    near(await world.life(world.keys.record("d1-0")), 60_000);
  }, { deadMax: 1 });
}

function testEndedList(open: OpenWorld): void {
  const complete = async ({ store }: StoreWorld, id: string, sequence: number) => {
    const { tasks } = await store.claim(claimOf(sequence, { free: 0 }));
    assert.deepEqual(tasks, []);
    await store.complete(own(await claimed({ store } as StoreWorld, id, sequence + 1)), "\njson=1");
  };

  inWorld(open, "of what is over sixteen go and one more for each that comes", async (world) => {
    for (let n = 1; n <= 20; n++) await finished(world, `a${n}`, "succeeded", n);
    await world.advance(300_000);
    await complete(world, "b", 21);
    const { done, doneBytes } = await world.store.counts("greet");
    assert.equal(done, 4);
    assert.ok(doneBytes > 0);
    await complete(world, "c", 23);
    const after = await world.store.counts("greet");
    const texts = await Promise.all(["b", "c"].map((id) => world.text(id)));
    assert.deepEqual([after.done, after.doneBytes], [2, texts.reduce((sum, text) => sum + text!.length, 0)]);
  });

  inWorld(open, "what is too much goes once a caller in doubt has had its time, and not before", async (world) => {
    await finished(world, "a", "succeeded", 1);
    await world.advance(20_000);
    await finished(world, "b", "succeeded", 2);
    await world.advance(11_000);
    await finished(world, "c", "succeeded", 3);
    assert.equal((await world.store.counts("greet")).done, 2);
    assert.equal(await world.store.read("a"), null);
    assert.equal(await stateOf(world, "b"), "succeeded");
  }, { doneBytes: 1 });

  inWorld(open, "a run that ended in the same millisecond as the one before it stays", async (first) => {
    const twice = async ({ store }: StoreWorld) => {
      await store.complete(own(await claimed({ store } as StoreWorld, "a", 1)), "\njson=1");
      const again = await claimed({ store } as StoreWorld, "a", 2, { nonce: nonce(BOB), ifExists: "replace" });
      await store.complete(own(again), "\njson=1");
    };
    await twice(first);
    await finished(first, "b", "succeeded", 3);
    const world = await open({ doneBytes: (await first.store.counts("greet")).doneBytes - 1 });
    await twice(world);
    await world.advance(30_000);
    await finished(world, "b", "succeeded", 3);
    const [{ done }, state] = [await world.store.counts("greet"), await stateOf(world, "a")];
    await world.close();
    assert.deepEqual([done, state], [2, "succeeded"]);
  });

  for (const excess of [0, 1]) {
    inWorld(open, `${excess} bytes too many are ${excess === 0 ? "none" : "one too many"}`, async (first) => {
      await finished(first, "a", "succeeded", 1);
      await finished(first, "b", "succeeded", 2);
      const world = await open({ doneBytes: (await first.store.counts("greet")).doneBytes - excess });
      await finished(world, "a", "succeeded", 1);
      await world.advance(30_000);
      await finished(world, "b", "succeeded", 2);
      const { done } = await world.store.counts("greet");
      await world.close();
      assert.equal(done, 2 - excess);
    });
  }
}

function testPlaces(open: OpenWorld): void {
  inWorld(open, "of what is due 64 come forward in a claim, and the next one is due at once", async (world) => {
    const { store } = world;
    await Promise.all(Array.from({ length: 70 }, (_, n) => store.enqueue(ask(`a${n}`, { delay: 1_000 }))));
    await world.advance(1_000);
    assert.equal((await store.claim(claimOf(1, { free: 1 }))).nextIn, 0);
    assert.deepEqual(await store.counts("greet").then(({ queued, scheduled }) => [queued, scheduled]), [63, 6]);
  });

  inWorld(open, "an enqueue drops the dead hints at the head, two more than it brings", async (world) => {
    const { store } = world;
    await store.enqueue(ask("head"));
    for (let n = 0; n < 10; n++) {
      await store.enqueue(ask(`a${n}`));
      await store.cancel({ id: `a${n}` });
    }
    await store.cancel({ id: "head" });
    assert.equal((await world.hints("greet")).length, 11);
    await store.enqueue(ask("b"));
    assert.deepEqual(await world.hints("greet"), [...[2, 3, 4, 5, 6, 7, 8, 9].map((n) => `a${n}`), "b"]);
  });

  inWorld(open, "released for one millisecond a task is delayed", async (world) => {
    const task = own(await claimed(world, "a"));
    assert.equal((await world.store.release([task], 1))[0]?.state, "scheduled");
    await world.advance(1);
    assert.deepEqual(await claimIds(world.store, 2), ["a"]);
  });

  inWorld(
    open,
    "a run that takes the place of a running one of the same name keeps its own lease",
    async ({ store }) => {
      const mine = { ownIfUnattended: { owner: ADA, lease: LEASE } };
      await store.enqueue(ask("a", mine));
      await store.enqueue(ask("a", { ...mine, nonce: nonce(BOB), ifExists: "replace" }));
      assert.equal((await store.counts("greet")).running, 1);
    },
  );

  inWorld(open, "a run of another name takes nothing of the old one's places along", async (world) => {
    const { store } = world;
    const mine = { ownIfUnattended: { owner: ADA, lease: LEASE } };
    await store.enqueue(ask("a", mine));
    await store.enqueue(ask("a", { ...mine, nonce: nonce(BOB), name: "other", ifExists: "replace" }));
    await store.enqueue(ask("b", { delay: 1_000 }));
    await store.enqueue(ask("b", { delay: 1_000, nonce: nonce(BOB), name: "other", ifExists: "replace" }));
    const places = async (name: string) => {
      const { running, scheduled } = await store.counts(name);
      return [running, scheduled];
    };
    assert.deepEqual([await places("greet"), await places("other")], [[0, 0], [1, 1]]);
  });
}

/** A server's time goes on while a test asks. */
function near(life: number | null, expected: number): void {
  assert.ok(life !== null && life <= expected + 100 && life > expected - 5_000, `lives ${life} ms, not ${expected}`);
}
