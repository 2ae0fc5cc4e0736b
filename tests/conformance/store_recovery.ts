/**
 * Recovery: what becomes of tasks whose owner is gone.
 *
 * @module
 */
import assert from "node:assert/strict";
import { decodeOutcome } from "../../src/outcome.ts";
import {
  ask,
  claimed,
  claimIds,
  claimOf,
  inWorld,
  LEASE,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
  TWO,
} from "./store_kit.ts";

/** More than any backoff of a recovery. */
const LONG = 60_000;

/** Loses the lease of the task that waits, `times` over. */
async function crash({ store, advance }: StoreWorld, times: number): Promise<void> {
  for (let crash = 1; crash <= times; crash++) {
    const { tasks } = await store.claim(claimOf(crash, { listener: "listener-die" }));
    assert.equal(tasks.length, 1, `attempt ${crash} starts`);
    await advance(LEASE);
    await store.claim(claimOf(crash, { listener: "listener-see", free: 0 }));
    await advance(LONG);
  }
}

/** Declares the tests. */
export function testRecovery(open: OpenWorld): void {
  inWorld(open, "the first time, lost tasks go to the head of their queue", async (world) => {
    const { store, advance } = world;
    for (const id of ["a", "b", "c"]) await store.enqueue(ask(id));
    await store.claim(claimOf(1, { free: 2 }));
    await advance(LEASE - 1);
    assert.deepEqual(await claimIds(store, 1, { listener: TWO, free: 0 }), []);
    await advance(1);
    const { tasks } = await store.claim(claimOf(2, { listener: TWO }));
    const seen = tasks.map(({ id, crashes, attempt }) => [id, crashes, attempt]);
    assert.deepEqual(seen.sort(), [["a", 1, 2], ["b", 1, 2], ["c", 0, 1]]);
    assert.equal(tasks[2]!.id, "c");
  });

  inWorld(open, "the owner is cleared, so the old one has lost it", async (world) => {
    const zombie = own(await claimed(world, "a"));
    await world.advance(LEASE);
    await world.store.claim(claimOf(1, { listener: TWO, free: 0 }));
    assert.equal(await stateOf(world, "a"), "queued");
    assert.deepEqual((await world.store.complete(zombie, "\n")).verdict, "lost");
    assert.deepEqual(
      (await world.store.renew({ owner: zombie.owner, lease: LEASE, tasks: [zombie] }))[0]!.verdict,
      "lost",
    );
    assert.equal(await stateOf(world, "a"), "queued");
  });

  inWorld(open, "F14: the second time it waits in the schedule", async (world) => {
    const { store, advance } = world;
    await store.enqueue(ask("a", { timeout: 0 }));
    await crash(world, 1);
    await store.claim(claimOf(1));
    await advance(LEASE);
    const { tasks, nextIn } = await store.claim(claimOf(1, { listener: TWO }));
    assert.deepEqual(tasks, []);
    assert.equal(await stateOf(world, "a"), "scheduled");
    assert.ok(nextIn !== null && nextIn >= 1_000 && nextIn <= 10_000, `backoff ${nextIn}`);
    await advance(nextIn);
    assert.deepEqual(await claimIds(store, 2, { listener: TWO }), ["a"]);
  });

  inWorld(open, "F8 F13 F14: the fourth time it has failed, with an error that says so", async (world) => {
    await world.store.enqueue(ask("a", { timeout: 0 }));
    await crash(world, 4);
    const record = (await world.store.read("a"))!;
    assert.deepEqual([record.state, record.crashes], ["failed", 4]);
    const { body } = decodeOutcome(record.outcome);
    assert.equal(JSON.parse(body.slice(1)).name, "TaskFailedError");
    assert.deepEqual(await claimIds(world.store, 1), []);
  });

  inWorld(open, "a lost task past its deadline has expired", async (world) => {
    await claimed(world, "a", 1, { timeout: LEASE });
    await world.advance(LEASE);
    assert.deepEqual(await claimIds(world.store, 1, { listener: TWO }), []);
    assert.equal(await stateOf(world, "a"), "expired");
  });

  inWorld(open, "F75: a lost task whose cancel was asked for is cancelled", async (world) => {
    await claimed(world, "a");
    await world.store.cancel({ id: "a" });
    await world.advance(LEASE);
    assert.deepEqual(await claimIds(world.store, 1, { listener: TWO }), []);
    assert.equal(await stateOf(world, "a"), "cancelled");
  });

  inWorld(open, "a recovery that comes twice changes nothing more", async (world) => {
    await claimed(world, "a");
    await world.advance(LEASE);
    for (const sequence of [1, 2]) await world.store.claim(claimOf(sequence, { listener: TWO, free: 0 }));
    assert.deepEqual(await world.hints("greet"), ["a"]);
    assert.equal((await world.store.readHeader("a"))?.crashes, 1);
  });
}
