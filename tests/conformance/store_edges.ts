/**
 * What one condition more or less in a script would change: who is answered what, and what is left behind.
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
  ONE,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
} from "./store_kit.ts";

const FAILED = { state: "failed", outcome: "\n!{}" } as const;
const MINE = { ownIfUnattended: { owner: ADA, lease: LEASE } };

/** Declares the tests. */
export function testEdges(open: OpenWorld): void {
  testLostList(open);
  testResentOwner(open);
  testLeftBehind(open);
  testPage(open);
  testMoments(open);
}

function testLostList(open: OpenWorld): void {
  inWorld(open, "a list that was lost comes back with those who ask again", async (world) => {
    const { store, keys } = world;
    for (const id of ["a", "b", "c"]) await store.enqueue(ask(id));
    await world.evict(keys.queue("greet"));
    for (const id of ["b", "c"]) assert.equal((await store.enqueue(ask(id))).verdict, "accepted");
    assert.deepEqual(await world.hints("greet"), ["b"], "who finds a list takes it for whole");
    await world.evict(keys.queue("greet"));
    await Promise.all(["a", "c"].map((id) => store.enqueue(ask(id))));
    assert.ok((await world.hints("greet")).includes("a"));
  });

  inWorld(open, "those of them whose deadline is over do not stay in it, however many ask at once", async (world) => {
    const { store, keys } = world;
    const requests = Array.from({ length: 6 }, (_, n) => ask(`a${n}`, { timeout: 1_000 }));
    for (const request of requests) await store.enqueue(request);
    await world.advance(1_000);
    await world.evict(keys.queue("greet"));
    await Promise.all(requests.map((request) => store.enqueue(request)));
    assert.deepEqual(await world.hints("greet"), []);
    assert.equal(await stateOf(world, "a5"), "expired");
  });
}

function testResentOwner(open: OpenWorld): void {
  inWorld(open, "an owner who asks again after the end of its lease has it still", async (world) => {
    const first = await world.store.enqueue(ask("a", MINE));
    await world.advance(LEASE);
    assert.deepEqual(await world.store.enqueue(ask("a", MINE)), first);
    await world.advance(LEASE - 1);
    assert.deepEqual(await claimIds(world.store, 1), []);
  });

  inWorld(open, "another run of the same owner finds the task taken back", async (world) => {
    await world.store.enqueue(ask("a", MINE));
    await world.advance(LEASE);
    const answer = await world.store.enqueue(ask("a", { ...MINE, nonce: nonce(ADA, 2) }));
    assert.deepEqual(answer, { verdict: "joined", state: "queued", nonce: nonce(ADA) });
  });

  inWorld(open, "who asks again for what a listener has lost finds it queued", async (world) => {
    await claimed(world, "a");
    await world.advance(LEASE);
    assert.deepEqual(await world.store.enqueue(ask("a", MINE)), { verdict: "accepted", state: "queued" });
  });

  for (const delay of [0, 5_000]) {
    inWorld(
      open,
      `what its owner gave back${delay ? " for a while" : ""} is not its own when it asks again`,
      async (world) => {
        const { store } = world;
        const answer = await store.enqueue(ask("a", MINE));
        assert.ok(answer.verdict === "owned");
        await store.release([own(answer.record)], delay);
        const state = delay ? "scheduled" : "queued";
        assert.deepEqual(await store.enqueue(ask("a", MINE)), { verdict: "accepted", state });
      },
    );
  }
}

function testLeftBehind(open: OpenWorld): void {
  const joinedLife = ({ life, keys }: StoreWorld) => life(keys.joined("a"));

  for (const way of ["removed", "replaced"] as const) {
    inWorld(open, `who joined what became unreadable is forgotten when that is ${way}`, async (world) => {
      const { store } = world;
      await store.enqueue(ask("a"));
      await store.enqueue(ask("a", { nonce: nonce(BOB) }));
      assert.notEqual(await joinedLife(world), null);
      await world.overwrite("a", "garbage");
      if (way === "removed") await store.remove({ id: "a", name: "greet" });
      else await store.enqueue(ask("a", { nonce: nonce(ADA, 2), ifExists: "replace" }));
      assert.equal(await joinedLife(world), null);
    });
  }

  for (const place of ["lease", "schedule"] as const) {
    inWorld(open, `a bare JSON task over one in a ${place} is no dead letter when its time comes`, async (world) => {
      const { store } = world;
      if (place === "lease") await claimed(world, "a");
      else await store.enqueue(ask("a", { delay: LEASE }));
      await world.overwrite("a", '{"params":1}');
      await world.advance(LEASE);
      const { aside } = await store.claim(claimOf(2, { free: 0 }));
      assert.deepEqual([aside, (await store.counts("greet")).dead], [[], 0]);
    });
  }

  inWorld(open, "a count that was lost begins anew with an end of its own", async (world) => {
    await finished(world, "a", "succeeded", 1);
    await world.evict(world.keys.stats("greet"));
    await finished(world, "b", "succeeded", 2);
    assert.notEqual(await world.life(world.keys.stats("greet")), null);
  });

  inWorld(open, "a task that was given up keeps the progress of its last attempt", async (world) => {
    const { store, advance } = world;
    await store.enqueue(ask("a", { timeout: 0 }));
    for (let crash = 1; crash <= 4; crash++) {
      const [task] = (await store.claim(claimOf(crash))).tasks;
      await store.progress(own(task!), `{"percent":${crash}}\n`);
      await advance(LEASE);
      await store.claim(claimOf(crash, { listener: "listener-see", free: 0 }));
      await advance(60_000);
    }
    const { state, outcome } = (await store.read("a"))!;
    assert.deepEqual([state, outcome.split("\n")[0]], ["failed", '{"percent":4}']);
  });
}

/** Dead letters whose records have so many bytes each, the oldest first. */
async function lettersOf(world: StoreWorld, sizes: readonly number[]): Promise<void> {
  for (const [n, size] of sizes.entries()) {
    const task = await claimed(world, `d${n}`, n + 1, { kind: "enqueued", params: "json=" });
    const rest = size - (await world.text(task.id))!.length;
    await world.store.fail(own(task), { ...FAILED, outcome: "\n!".padEnd(rest, "x") });
    assert.equal((await world.text(task.id))!.length, size);
    await world.advance(1);
  }
}

function testPage(open: OpenWorld): void {
  for (const [missing, expected] of [[0, 2], [1, 3]] as const) {
    inWorld(open, `a page of 256 KiB ${missing ? "less one byte goes on" : "ends"}`, async (world) => {
      await lettersOf(world, [131_072, 131_072 - missing, 1_000]);
      assert.equal((await world.store.dead("greet")).entries.length, expected);
    });
  }

  inWorld(open, "a page is read three times when its letters have gone, and not more often", async (world) => {
    await lettersOf(world, [1_000, 1_000, 1_000, 1_000, 1_000]);
    for (const n of [0, 1, 2, 3]) await world.evict(world.keys.record(`d${n}`));
    assert.deepEqual(await world.store.dead("greet", { limit: 1 }), { total: 2, entries: [] });
    const { total, entries } = await world.store.dead("greet", { limit: 1 });
    assert.deepEqual([total, entries.map(({ id }) => id)], [1, ["d4"]]);
  });
}

function testMoments(open: OpenWorld): void {
  inWorld(open, "a claim that moved a later version's hint aside rings for what is left behind it", async (world) => {
    const { store, keys } = world;
    await world.plant("newer", "greet", "2".padEnd(200, "x"));
    for (const id of ["a", "b"]) await store.enqueue(ask(id));
    await world.evict(keys.bell("greet"));
    assert.deepEqual(await claimIds(store, 1, { free: 1 }), ["a"]);
    assert.notEqual(await world.life(keys.bell("greet")), null);
  });

  inWorld(open, "a delay of one millisecond is one", async (world) => {
    const answer = await world.store.enqueue(ask("a", { delay: 1 }));
    assert.deepEqual(answer, { verdict: "accepted", state: "scheduled" });
  });

  inWorld(open, "a presence of one millisecond looks after its names", async (world) => {
    await claimed(world, "a");
    await world.advance(LEASE);
    await world.store.renew({ owner: ONE, lease: LEASE, tasks: [], presence: { names: ["greet"], duration: 1 } });
    assert.equal(await stateOf(world, "a"), "queued");
  });
}
