/**
 * Enqueue: the join table row by row, replays, ownership when nobody listens, dead hints.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { TaskState } from "../../src/errors.ts";
import type { EnqueueRequest } from "../../src/store/store.ts";
import {
  ADA,
  ask,
  BOB,
  claimed,
  claimIds,
  claimOf,
  finished,
  idsOf,
  inWorld,
  LEASE,
  nonce,
  ONE,
  type OpenWorld,
  own,
  stateOf,
  type StoreWorld,
} from "./store_kit.ts";

/** Ids, names and params that break naive splitting. */
export const STRANGE: readonly string[] = [
  "naïve 😀 日本",
  "a:b|c{d}",
  "NUL\0inside",
  "3:x 4:y",
  " ",
  "\u{1F468}\u200D\u{1F469}",
];

/** Declares the tests. */
export function testEnqueue(open: OpenWorld): void {
  testStart(open);
  testJoin(open);
  testEndedFound(open);
  testUnattended(open);
  testTrim(open);
}

function testStart(open: OpenWorld): void {
  inWorld(open, "a new id is queued and waits for a listener", async ({ store, hints }) => {
    assert.deepEqual(await store.enqueue(ask("a")), { verdict: "accepted", state: "queued" });
    const record = (await store.read("a"))!;
    assert.equal(record.state, "queued");
    assert.equal(record.params, 'json={"who":"world"}');
    assert.equal(record.attempt, 0);
    assert.deepEqual(await hints("greet"), ["a"]);
  });

  inWorld(open, "F67: the same call sent twice is one task", async ({ store, hints }) => {
    const first = await store.enqueue(ask("a"));
    assert.deepEqual(await store.enqueue(ask("a")), first);
    assert.deepEqual(await hints("greet"), ["a"]);
  });

  inWorld(open, "the same call after the end answers the ended record", async (world) => {
    await finished(world, "a", "failed");
    const answer = await world.store.enqueue(ask("a"));
    assert.equal(answer.verdict, "ended");
    assert.equal(answer.verdict === "ended" && answer.record.state, "failed");
  });

  inWorld(open, "F76: a delayed task is scheduled, and queued when its time has come", async (world) => {
    const { store, advance } = world;
    assert.deepEqual(await store.enqueue(ask("a", { delay: 1_000 })), { verdict: "accepted", state: "scheduled" });
    const early = await store.claim(claimOf(1));
    assert.deepEqual([early.tasks.length, early.nextIn], [0, 1_000]);
    await advance(1_000);
    assert.deepEqual(await claimIds(store, 2), ["a"]);
  });

  inWorld(open, "F63 F78: any characters are kept in ids, names and params", async ({ store }) => {
    for (const text of STRANGE) {
      await store.enqueue(ask(text, { name: text, params: `json=${text}`, options: `{"o":"${text}"}` }));
    }
    const { tasks } = await store.claim(claimOf(1, { names: STRANGE }));
    const again = await store.claim(claimOf(1, { names: STRANGE }));
    for (const claim of [tasks, again.tasks]) {
      assert.deepEqual(idsOf(claim), STRANGE);
      assert.deepEqual(claim.map(({ name }) => name), STRANGE);
      assert.deepEqual(claim.map(({ params }) => params), STRANGE.map((text) => `json=${text}`));
      assert.deepEqual(claim.map(({ options }) => options), STRANGE.map((text) => `{"o":"${text}"}`));
    }
    for (const task of tasks) await store.complete(own(task), `\njson=${task.id}`);
    for (const text of STRANGE) assert.equal((await store.read(text))?.outcome, `\njson=${text}`);
  });
}

function testJoin(open: OpenWorld): void {
  const live: Record<string, (world: StoreWorld, change?: Partial<EnqueueRequest>) => Promise<unknown>> = {
    scheduled: ({ store }, change) => store.enqueue(ask("a", { ...change, delay: 5_000 })),
    queued: ({ store }, change) => store.enqueue(ask("a", change)),
    running: (world, change) => claimed(world, "a", 1, change),
  };
  for (const [state, make] of Object.entries(live)) {
    inWorld(open, `a ${state} task is joined`, async (world) => {
      await make(world);
      const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB) }));
      assert.deepEqual(answer, { verdict: "joined", state, nonce: nonce(ADA) });
      assert.equal((await world.store.readHeader("a"))?.joined, true);
    });

    inWorld(open, `who joined a ${state} task without deadline is not remembered for ever`, async (world) => {
      await make(world, { timeout: 0 });
      assert.equal(await world.life(world.keys.record("a")), null);
      await world.store.enqueue(ask("a", { nonce: nonce(BOB) }));
      const life = await world.life(world.keys.joined("a"));
      assert.ok(life !== null && life > 604_000_000 && life <= 604_800_000, `${life} ms`);
    });

    inWorld(open, `a ${state} task of another name is a conflict`, async (world) => {
      await make(world);
      const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB), name: "other" }));
      assert.deepEqual(answer, { verdict: "conflict", name: "greet" });
    });

    inWorld(open, `reject answers that a ${state} task exists`, async (world) => {
      await make(world);
      const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB), ifExists: "reject" }));
      assert.deepEqual(answer, { verdict: "exists", state });
    });

    inWorld(open, `replace starts anew over a ${state} task`, async (world) => {
      await make(world);
      const before = (await world.store.readHeader("a"))!;
      const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB), params: "json=2", ifExists: "replace" }));
      assert.deepEqual(answer, { verdict: "accepted", state: "queued" });
      const { tasks } = await world.store.claim(claimOf(2));
      assert.deepEqual(tasks.map((task) => [task.params, task.nonce]), [["json=2", nonce(BOB)]]);
      assert.ok(tasks[0]!.fence > before.fence);
    });
  }

  inWorld(open, "F66: the owner of a replaced run has lost it", async (world) => {
    const { store } = world;
    const task = await claimed(world, "a");
    await store.enqueue(ask("a", { nonce: nonce(BOB), name: "other", ifExists: "replace" }));
    const answer = await store.complete(own(task), "\njson=1");
    assert.deepEqual([answer.verdict, answer.state], ["lost", "queued"]);
    assert.equal((await store.claim(claimOf(2))).nextIn, null);
  });
}

function testEndedFound(open: OpenWorld): void {
  inWorld(open, "a stored task starts, under any name", async (world) => {
    const { nonce: _, ...rest } = ask("a");
    await world.store.put({ ...rest, nonce: nonce(BOB), state: "stored", owner: BOB, outcome: "" });
    assert.equal((await world.store.enqueue(ask("a", { name: "other" }))).verdict, "accepted");
    assert.deepEqual(await claimIds(world.store, 1, { names: ["other"] }), ["a"]);
  });

  inWorld(open, "a stored task starts under its own nonce as well", async (world) => {
    await world.store.put({ ...ask("a"), state: "stored", owner: ADA, outcome: "" });
    assert.deepEqual(await world.store.enqueue(ask("a")), { verdict: "accepted", state: "queued" });
    assert.deepEqual(await claimIds(world.store, 1), ["a"]);
  });

  inWorld(open, "a succeeded task answers with its result", async (world) => {
    await finished(world, "a", "succeeded");
    const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB) }));
    assert.equal(answer.verdict === "ended" && answer.record.outcome, "\njson=1");
  });

  inWorld(open, "a succeeded task of another name is a conflict", async (world) => {
    await finished(world, "a", "succeeded");
    const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB), name: "other" }));
    assert.deepEqual(answer, { verdict: "conflict", name: "greet" });
  });

  for (const state of ["failed", "cancelled", "expired"] as const) {
    inWorld(open, `after ${state} it starts anew and the fence grows`, async (world) => {
      const before = await finished(world, "a", state);
      const answer = await world.store.enqueue(ask("a", { nonce: nonce(BOB) }));
      assert.deepEqual(answer, { verdict: "accepted", state: "queued" });
      const [task] = (await world.store.claim(claimOf(2))).tasks;
      assert.ok(task!.fence > before.fence);
      assert.deepEqual([task!.attempt, task!.outcome], [1, ""]);
    });
  }

  for (const state of ["succeeded", "failed"] as const) {
    inWorld(open, `reject answers that a ${state} task exists, replace starts anew`, async (world) => {
      await finished(world, "a", state);
      const again = (ifExists: "reject" | "replace") => world.store.enqueue(ask("a", { nonce: nonce(BOB), ifExists }));
      assert.deepEqual(await again("reject"), { verdict: "exists", state });
      assert.deepEqual(await again("replace"), { verdict: "accepted", state: "queued" });
    });
  }

  inWorld(open, "a task that waited past its deadline has expired, so it starts anew", async (world) => {
    await world.store.enqueue(ask("a", { timeout: 1_000 }));
    await world.advance(1_000);
    assert.equal((await world.store.enqueue(ask("a", { nonce: nonce(BOB) }))).verdict, "accepted");
    assert.deepEqual(await claimIds(world.store, 1), ["a"]);
  });
}

function testUnattended(open: OpenWorld): void {
  const mine = { ownIfUnattended: { owner: ADA, lease: LEASE } };

  inWorld(open, "nobody listens: the caller owns it, leased like any claim", async ({ store, advance, hints }) => {
    const answer = await store.enqueue(ask("a", mine));
    assert.equal(answer.verdict, "owned");
    if (answer.verdict !== "owned") return;
    assert.deepEqual([answer.record.state, answer.record.owner, answer.record.attempt], ["running", ADA, 1]);
    assert.deepEqual(await hints("greet"), []);
    assert.deepEqual(await store.enqueue(ask("a", mine)), answer);
    assert.equal((await store.enqueue(ask("a", { ...mine, nonce: nonce(BOB) }))).verdict, "joined");
    await advance(LEASE);
    assert.deepEqual(await claimIds(store, 1), ["a"]);
    assert.equal((await store.complete(own(answer.record), "\n")).verdict, "lost");
  });

  inWorld(open, "the same call again renews the lease that it brought", async ({ store, advance }) => {
    for (let copy = 0; copy < 3; copy++) {
      assert.equal((await store.enqueue(ask("a", mine))).verdict, "owned");
      await advance(LEASE - 1);
    }
    assert.deepEqual(await claimIds(store, 1), []);
  });

  inWorld(open, "somebody listens: it is queued", async ({ store, advance }) => {
    await store.markListened(["greet"], ONE, 5_000);
    assert.deepEqual(await store.enqueue(ask("a", mine)), { verdict: "accepted", state: "queued" });
    await advance(5_000);
    assert.equal((await store.enqueue(ask("b", mine))).verdict, "owned");
  });
}

function testTrim(open: OpenWorld): void {
  inWorld(open, "a queue that nobody serves does not grow by timed-out tasks", async (world) => {
    for (let round = 0; round < 20; round++) {
      await world.store.enqueue(ask(`a${round}`, { timeout: 1_000 }));
      await world.advance(1_000);
    }
    assert.ok((await world.hints("greet")).length <= 2);
  });

  inWorld(open, "dead hints are dropped, living ones stay in order", async (world) => {
    const { store } = world;
    for (const id of ["a", "b", "c", "d"]) await store.enqueue(ask(id));
    for (const id of ["a", "b"]) await store.cancel({ id });
    await store.enqueue(ask("e"));
    assert.deepEqual(await world.hints("greet"), ["c", "d", "e"]);
    const states: (TaskState | string | null)[] = [];
    for (const id of ["a", "c"]) states.push(await stateOf(world, id));
    assert.deepEqual(states, ["cancelled", "queued"]);
  });
}
