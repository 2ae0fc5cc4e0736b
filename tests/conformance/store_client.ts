/**
 * A client's calls: cancel, put, take and acknowledge, presence, life times.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PutRequest } from "../../src/store/store.ts";
import {
  ADA,
  ask,
  BOB,
  claimed,
  claimIds,
  claimOf,
  finished,
  inWorld,
  nonce,
  ONE,
  type OpenWorld,
  own,
  stateOf,
  TWO,
} from "./store_kit.ts";

/** Declares the tests. */
export function testClient(open: OpenWorld): void {
  testCancel(open);
  testPut(open);
  testTake(open);
  testPresence(open);
  testLife(open);
}

function testCancel(open: OpenWorld): void {
  for (const delay of [0, 5_000]) {
    inWorld(open, `a ${delay ? "scheduled" : "queued"} task is cancelled at once`, async (world) => {
      const { store } = world;
      await store.enqueue(ask("a", { delay }));
      assert.deepEqual(await store.cancel({ id: "a" }), { verdict: "cancelled" });
      assert.deepEqual(await store.cancel({ id: "a" }), { verdict: "ended", state: "cancelled" });
      await world.advance(delay);
      assert.deepEqual(await claimIds(store, 1), []);
    });
  }

  inWorld(open, "F75: a running task is asked; renew says so and a retry is not scheduled", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    assert.deepEqual(await store.cancel({ id: "a" }), { verdict: "asked" });
    assert.deepEqual(await store.cancel({ id: "a" }), { verdict: "asked" });
    const [answer] = await store.renew({ owner: ONE, lease: 1_000, tasks: [task] });
    assert.deepEqual(answer, { verdict: "accepted", state: "running", cancelAsked: true });
    const failed = await store.fail(task, { state: "failed", outcome: "\n!{}", retryIn: 10 });
    assert.equal(failed.state, "cancelled");
  });

  inWorld(open, "F74: whoever comes first wins: a cancelled task may still succeed", async (world) => {
    const task = own(await claimed(world, "a"));
    await world.store.cancel({ id: "a" });
    assert.equal((await world.store.complete(task, "\njson=1")).state, "succeeded");
    assert.deepEqual(await world.store.cancel({ id: "a" }), { verdict: "ended", state: "succeeded" });
  });

  inWorld(open, "a release honours the cancel", async (world) => {
    const task = own(await claimed(world, "a"));
    await world.store.cancel({ id: "a" });
    const answers = [...await world.store.release([task]), ...await world.store.release([task])];
    assert.deepEqual(answers.map(({ verdict, state }) => [verdict, state]), [
      ["accepted", "cancelled"],
      ["kept", "cancelled"],
    ]);
  });

  inWorld(open, "another run, or none, is unknown; a joined one is spared when asked", async ({ store }) => {
    assert.deepEqual(await store.cancel({ id: "a" }), { verdict: "unknown" });
    await store.enqueue(ask("a"));
    assert.deepEqual(await store.cancel({ id: "a", nonce: nonce(BOB) }), { verdict: "unknown" });
    await store.enqueue(ask("a", { nonce: nonce(BOB) }));
    assert.deepEqual(await store.cancel({ id: "a", unlessJoined: true }), { verdict: "joined" });
    assert.deepEqual(await store.cancel({ id: "a", nonce: nonce(ADA) }), { verdict: "cancelled" });
  });
}

function localTask(change: Partial<PutRequest> = {}): PutRequest {
  const { delay: _d, maxAttempts: _m, ifExists: _i, ...task } = ask("a");
  return { ...task, kind: "local", state: "running", owner: ADA, outcome: "", ...change };
}

function testPut(open: OpenWorld): void {
  inWorld(open, "a local run is written, updated and ended", async ({ store }) => {
    assert.deepEqual(await store.put(localTask()), { verdict: "written", state: "running" });
    await store.put(localTask({ outcome: '{"progress":[1,2,3]}\n' }));
    assert.equal((await store.read("a"))?.outcome, '{"progress":[1,2,3]}\n');
    await store.put(localTask({ state: "succeeded", outcome: "\njson=1" }));
    const record = (await store.read("a"))!;
    assert.deepEqual([record.state, record.kind, record.outcome], ["succeeded", "local", "\njson=1"]);
    assert.deepEqual(await store.put(localTask()), { verdict: "conflict", state: "succeeded" });
  });

  inWorld(open, "a live record of another run stays", async (world) => {
    const { store } = world;
    await store.enqueue(ask("a", { nonce: nonce(BOB) }));
    assert.deepEqual(await store.put(localTask()), { verdict: "conflict", state: "queued" });
    assert.deepEqual(await claimIds(store, 1), ["a"]);
    assert.deepEqual(await store.put(localTask({ state: "succeeded" })), { verdict: "conflict", state: "running" });
  });

  inWorld(open, "a local run goes over an ended record, a stored task does not", async (world) => {
    await finished(world, "a", "failed");
    const other = { nonce: nonce(BOB) };
    const stored = await world.store.put(localTask({ ...other, kind: "enqueued", state: "stored" }));
    assert.deepEqual(stored, { verdict: "conflict", state: "failed" });
    assert.equal((await world.store.put(localTask(other))).verdict, "written");
  });

  inWorld(open, "the owner of the run before a local one has lost it", async ({ store }) => {
    const answer = await store.enqueue(ask("a", { ownIfUnattended: { owner: ADA, lease: 1_000 } }));
    assert.equal(answer.verdict, "owned");
    if (answer.verdict !== "owned") return;
    await store.fail(own(answer.record), { state: "failed", outcome: "\n!{}" });
    await store.put(localTask({ nonce: nonce(ADA, 2) }));
    assert.equal((await store.complete(own(answer.record), "\njson=1")).verdict, "lost");
  });

  inWorld(open, "a stored task is stored again, and is in no queue", async ({ store, hints }) => {
    for (const params of ["json=1", "json=2"]) {
      const answer = await store.put(localTask({ kind: "enqueued", state: "stored", params }));
      assert.deepEqual(answer, { verdict: "written", state: "stored" });
    }
    assert.equal((await store.read("a"))?.params, "json=2");
    assert.deepEqual(await hints("greet"), []);
  });

  inWorld(open, "a late write of a run that was deleted does not bring it back", async ({ store }) => {
    await store.put(localTask({ state: "succeeded", outcome: "\njson=1" }));
    await store.take({ id: "a", reader: ADA });
    await store.acknowledge({ id: "a", reader: ADA });
    assert.deepEqual(await store.put(localTask()), { verdict: "conflict", state: "deleted" });
  });

  inWorld(open, "a local run that never ends has expired after its deadline", async (world) => {
    await world.store.put(localTask({ timeout: 1_000 }));
    assert.equal((await world.store.enqueue(ask("a", { nonce: nonce(BOB) }))).verdict, "joined");
    await world.advance(1_000);
    assert.equal((await world.store.enqueue(ask("a", { nonce: nonce(BOB, 2) }))).verdict, "accepted");
  });
}

function testTake(open: OpenWorld): void {
  const ada = { id: "a", reader: ADA };
  const bob = { id: "a", reader: BOB };

  inWorld(open, "F73: one reader takes an ended task, and may take it again", async (world) => {
    const { store } = world;
    await finished(world, "a", "succeeded");
    assert.equal((await store.take(ada))?.outcome, "\njson=1");
    assert.equal(await store.take(bob), null);
    await store.acknowledge(bob);
    assert.equal((await store.take(ada))?.outcome, "\njson=1");
  });

  inWorld(open, "a bare JSON task is taken as it is, but not for a run that was named", async (world) => {
    await world.plant("a", "greet", '{"params":1}');
    assert.equal((await world.store.take(ada))?.kind, "foreign");
    assert.equal(await world.store.take({ ...ada, nonce: nonce(ADA) }), null);
  });

  inWorld(open, "acknowledged it is gone, and its tombstone says that it was deleted", async (world) => {
    const { store, keys } = world;
    await finished(world, "a", "succeeded");
    await store.take(ada);
    await store.acknowledge(ada);
    assert.deepEqual([await store.read("a"), await store.take(ada), await store.take(bob)], [null, null, null]);
    assert.equal(await stateOf(world, "a"), "deleted");
    assert.deepEqual(await store.enqueue(ask("a")), { verdict: "deleted" });
    near(await world.life(keys.record("a")), 60_000);
    assert.equal((await store.enqueue(ask("a", { nonce: nonce(BOB) }))).verdict, "accepted");
  });

  inWorld(open, "a tombstone says whether the task had been cancelled", async (world) => {
    const { store } = world;
    for (const [n, state] of (["succeeded", "cancelled"] as const).entries()) {
      const task = own(await claimed(world, state, n + 1));
      await store.cancel({ id: state });
      await (state === "succeeded" ? store.complete(task, "\n") : store.fail(task, { state, outcome: "\n" }));
      await store.take({ ...ada, id: state });
      await store.acknowledge({ ...ada, id: state });
      const header = await store.readHeader(state);
      assert.deepEqual([header?.state, header?.cancelAsked], ["deleted", state === "cancelled"]);
    }
  });

  inWorld(open, "what was taken is kept for a minute, for a reader whose answer was lost", async (world) => {
    await finished(world, "a", "succeeded");
    await world.store.take(ada);
    near(await world.life(world.keys.record("a")), 60_000);
    assert.equal((await world.store.readHeader("a"))?.taken, true);
  });

  inWorld(open, "what was taken starts anew for another run, and a late acknowledge spares it", async (world) => {
    const taken = await finished(world, "a", "succeeded");
    await world.store.take(ada);
    assert.equal((await world.store.enqueue(ask("a", { nonce: nonce(BOB) }))).verdict, "accepted");
    assert.ok((await world.store.readHeader("a"))!.fence >= taken.fence);
    await world.store.acknowledge(ada);
    assert.equal(await stateOf(world, "a"), "queued");
  });

  inWorld(open, "a late copy of an acknowledge spares the next run that the same reader has taken", async (world) => {
    const { store } = world;
    const { nonce: first } = await finished(world, "a", "succeeded");
    await store.take(ada);
    await store.acknowledge({ ...ada, nonce: first });
    const task = await claimed(world, "a", 2, { nonce: nonce(BOB) });
    await store.complete(own(task), "\njson=2");
    await store.take(ada);
    await store.acknowledge({ ...ada, nonce: first });
    assert.equal((await store.take(ada))?.outcome, "\njson=2");
    await store.acknowledge({ ...ada, nonce: task.nonce });
    assert.equal(await stateOf(world, "a"), "deleted");
  });

  inWorld(open, "a live or joined task is read, and deleted by nobody", async (world) => {
    const { store } = world;
    assert.equal(await store.take(ada), null);
    const task = own(await claimed(world, "a"));
    assert.equal((await store.take(ada))?.state, "running");
    await store.enqueue(ask("a", { nonce: nonce(BOB) }));
    await store.complete(task, "\njson=1");
    assert.equal((await store.take(ada))?.outcome, "\njson=1");
    await store.acknowledge(ada);
    assert.equal((await store.take(bob))?.outcome, "\njson=1");
  });
}

function testPresence(open: OpenWorld): void {
  inWorld(open, "a name is listened to until the last presence ends or leaves", async ({ store, advance }) => {
    assert.equal(await store.isListened("greet"), false);
    await store.markListened(["greet"], ONE, 1_000);
    await store.markListened(["greet"], TWO, 2_000);
    await advance(1_000);
    assert.equal(await store.isListened("greet"), true);
    await store.leave(TWO, ["greet"]);
    assert.equal(await store.isListened("greet"), false);
  });
}

function testLife(open: OpenWorld): void {
  inWorld(
    open,
    "F58: a record lives longer than its deadline, and for good without one",
    async ({ store, life, keys }) => {
      await store.enqueue(ask("a", { timeout: 10_000 }));
      near(await life(keys.record("a")), 310_000);
      await store.enqueue(ask("b", { timeout: 0 }));
      assert.equal(await life(keys.record("b")), null);
    },
  );

  inWorld(open, "F69: an owned record lives two leases longer at least", async ({ store, life, keys }) => {
    await store.enqueue(ask("a", { timeout: 10_000 }));
    await store.claim(claimOf(1, { lease: 400_000 }));
    near(await life(keys.record("a")), 800_000);
  });

  inWorld(open, "an ended record lives as long as its result, also a cancelled one", async (world) => {
    const { store, life, keys } = world;
    await finished(world, "a", "succeeded");
    near(await life(keys.record("a")), 300_000);
    await store.enqueue(ask("b", { resultTtl: 40_000 }));
    await store.cancel({ id: "b" });
    near(await life(keys.record("b")), 40_000);
    await store.enqueue(ask("c", { resultTtl: 1 }));
    await store.cancel({ id: "c" });
    near(await life(keys.record("c")), 30_000);
  });

  inWorld(open, "a stored record lives as long as its timeout", async ({ store, life, keys }) => {
    await store.put(localTask({ kind: "enqueued", state: "stored", timeout: 5_000 }));
    near(await life(keys.record("a")), 5_000);
  });
}

/** A server's time goes on while a test asks. */
function near(life: number | null, expected: number): void {
  assert.ok(life !== null && life <= expected + 100 && life > expected - 5_000, `lives ${life} ms, not ${expected}`);
}
