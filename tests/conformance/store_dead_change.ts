/**
 * What people do to dead letters: queue them again, and delete them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { deadIds, dies, OUTCOME } from "./store_dead.ts";
import {
  ADA,
  ask,
  BOB,
  claimed,
  claimIds,
  claimOf,
  inWorld,
  Mailbox,
  nonce,
  type OpenWorld,
  own,
  tokenOf,
} from "./store_kit.ts";

/** Declares the tests of queueing again. */
export function testRequeue(open: OpenWorld): void {
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

/** Declares the tests of deleting. */
export function testRemove(open: OpenWorld): void {
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
