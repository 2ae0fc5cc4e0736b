/**
 * Claim: order, bounds, replay, and what is never claimed.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  ask,
  BOB,
  claimIds,
  claimOf,
  idsOf,
  inWorld,
  LEASE,
  nonce,
  ONE,
  type OpenWorld,
  own,
  stateOf,
  TWO,
} from "./store_kit.ts";

/** Declares the tests. */
export function testClaim(open: OpenWorld): void {
  testOrder(open);
  testReplay(open);
  testRefused(open);
  testForeign(open);
}

function testOrder(open: OpenWorld): void {
  inWorld(open, "first in, first out, and never more than free slots", async ({ store }) => {
    for (const id of ["a", "b", "c"]) await store.enqueue(ask(id));
    const { tasks } = await store.claim(claimOf(1, { free: 2 }));
    assert.deepEqual(idsOf(tasks), ["a", "b"]);
    for (const task of tasks) {
      assert.deepEqual([task.state, task.owner, task.attempt], ["running", ONE, 1]);
      assert.equal(task.fence, tasks[0]!.fence);
    }
    assert.deepEqual(await claimIds(store, 2), ["c"]);
  });

  inWorld(open, "names are looked at in the order given", async ({ store }) => {
    for (const name of ["x", "y", "z"]) await store.enqueue(ask(name, { name }));
    assert.deepEqual(await claimIds(store, 1, { names: ["z", "x"] }), ["z", "x"]);
  });

  inWorld(open, "F80: more work than one answer holds is named as more", async ({ store }) => {
    for (let n = 0; n < 130; n++) await store.enqueue(ask(`a${n}`));
    const first = await store.claim(claimOf(1, { free: 1_000 }));
    assert.deepEqual([first.tasks.length, first.more], [128, ["greet"]]);
    const second = await store.claim(claimOf(2, { free: 1_000 }));
    assert.deepEqual([second.tasks.length, second.more], [2, []]);
  });

  inWorld(open, "an answer says when the next lease ends or task is due", async ({ store, advance }) => {
    await store.enqueue(ask("a"));
    assert.equal((await store.claim(claimOf(1))).nextIn, null);
    assert.equal((await store.claim(claimOf(1, { listener: TWO }))).nextIn, LEASE);
    await store.enqueue(ask("b", { delay: 7_000 }));
    await advance(2_000);
    assert.equal((await store.claim(claimOf(2))).nextIn, 5_000);
  });

  inWorld(open, "F3: each claim of a task gets a higher fence", async ({ store }) => {
    await store.enqueue(ask("a"));
    let fence = "";
    for (let sequence = 1; sequence <= 3; sequence++) {
      const [task] = (await store.claim(claimOf(sequence))).tasks;
      assert.match(task!.fence, /^\d{16}$/);
      assert.ok(task!.fence > fence);
      fence = task!.fence;
      await store.release([own(task!)]);
    }
  });
}

function testReplay(open: OpenWorld): void {
  inWorld(open, "F26: the same sequence brings the same tasks and renews their leases", async ({ store, advance }) => {
    for (const id of ["a", "b"]) await store.enqueue(ask(id));
    const first = await store.claim(claimOf(1));
    await store.enqueue(ask("late"));
    await store.complete(own(first.tasks[0]!), "\n");
    await advance(LEASE - 1);
    const again = await store.claim(claimOf(1));
    assert.deepEqual(again.tasks, [first.tasks[1]!]);
    await advance(LEASE - 1);
    assert.deepEqual(await claimIds(store, 1, { listener: TWO }), ["late"]);
  });

  inWorld(open, "a replay does not bring what another owns by now", async ({ store, advance }) => {
    await store.enqueue(ask("a"));
    await store.claim(claimOf(1));
    await advance(LEASE);
    assert.deepEqual(await claimIds(store, 1, { listener: TWO }), ["a"]);
    assert.deepEqual(await claimIds(store, 1), []);
  });

  inWorld(open, "a late copy of an older claim does nothing", async ({ store, hints }) => {
    await store.claim(claimOf(1));
    await store.claim(claimOf(2));
    await store.enqueue(ask("a"));
    assert.deepEqual(await store.claim(claimOf(1)), { tasks: [], more: [], nextIn: null, aside: [] });
    assert.deepEqual(await hints("greet"), ["a"]);
    assert.deepEqual(await claimIds(store, 3), ["a"]);
  });
}

function testRefused(open: OpenWorld): void {
  inWorld(open, "a hint whose record does not agree is dropped", async (world) => {
    const { store, hints } = world;
    for (const id of ["first", "withdrawn", "cancelled", "last"]) await store.enqueue(ask(id));
    await store.withdraw({ id: "withdrawn", nonce: nonce("client-ada--"), owner: BOB, lease: LEASE });
    await store.cancel({ id: "cancelled" });
    assert.deepEqual(await claimIds(store, 1), ["first", "last"]);
    assert.deepEqual(await hints("greet"), []);
  });

  inWorld(open, "F16: an id under another name is never claimed by the wrong one", async ({ store }) => {
    await store.enqueue(ask("a"));
    await store.enqueue(ask("a", { nonce: nonce(BOB), name: "other", ifExists: "replace" }));
    assert.deepEqual(await claimIds(store, 1), []);
    assert.deepEqual(await claimIds(store, 2, { names: ["other"] }), ["a"]);
  });

  inWorld(open, "F77: two hints of one task start it once", async ({ store }) => {
    await store.enqueue(ask("a"));
    await store.enqueue(ask("a", { nonce: nonce(BOB), ifExists: "replace" }));
    assert.deepEqual(await claimIds(store, 1), ["a"]);
    assert.deepEqual(await claimIds(store, 2), []);
  });

  inWorld(open, "F68: past its deadline nothing starts: it expires", async (world) => {
    await world.store.enqueue(ask("a", { timeout: 1_000 }));
    await world.store.enqueue(ask("later", { timeout: 1_000, delay: 500 }));
    await world.advance(1_000);
    assert.deepEqual(await claimIds(world.store, 1), []);
    assert.equal(await stateOf(world, "a"), "expired");
    assert.equal(await stateOf(world, "later"), "expired");
  });
}

function testForeign(open: OpenWorld): void {
  inWorld(open, "a bare JSON task gets its header from the claim that meets it", async ({ store, plant, advance }) => {
    const text = '{"params": {"who": "wörld"}, "timeout": 60000}';
    await plant("f", "greet", text);
    const [task] = (await store.claim(claimOf(1))).tasks;
    assert.deepEqual([task!.id, task!.name, task!.kind, task!.params], ["f", "greet", "foreign", text]);
    assert.ok(task!.deadline > 0);
    await advance(10);
    assert.equal((await store.complete(own(task!), "\njson=1")).verdict, "accepted");
    assert.equal((await store.read("f"))?.state, "succeeded");
  });

  inWorld(open, "F15: a foreign task that is no JSON does not harm the claim", async ({ store, plant }) => {
    await plant("f", "greet", "{broken");
    await store.enqueue(ask("a"));
    const { tasks } = await store.claim(claimOf(1));
    assert.deepEqual(idsOf(tasks), ["f", "a"]);
    assert.equal(tasks[0]!.params, "{broken");
  });
}
