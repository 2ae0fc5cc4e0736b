/**
 * What cannot be read: set aside with its bytes when it is nobody's, left alone when a later version wrote it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ask, claimed, claimIds, claimOf, inWorld, LEASE, nonce, type OpenWorld, TWO } from "./store_kit.ts";
import { BOB } from "./store_kit.ts";

const GARBAGE = "garbage \u0001 é";
/** As a record of version 2 might begin. */
const NEWER = `2${"x".repeat(200)}`;

/** Declares the tests. */
export function testAside(open: OpenWorld): void {
  testBroken(open);
  testNewer(open);
}

function testBroken(open: OpenWorld): void {
  inWorld(open, "F15: a claim sets it aside with its bytes, says so once, and goes on", async (world) => {
    const { store } = world;
    await world.plant("bad", "greet", GARBAGE);
    await store.enqueue(ask("a"));
    const { tasks, aside } = await store.claim(claimOf(1));
    assert.deepEqual([tasks.map(({ id }) => id), aside], [["a"], ["bad"]]);
    assert.deepEqual((await store.claim(claimOf(2))).aside, []);
    const { total, entries } = await store.dead("greet");
    assert.equal(total, 1);
    assert.deepEqual(entries.map(({ id, record, raw }) => ({ id, record, raw })), [
      { id: "bad", record: null, raw: GARBAGE },
    ]);
    assert.equal(await world.text("bad"), GARBAGE);
    assert.deepEqual(await world.hints("greet"), []);
  });

  inWorld(open, "F15: what only looks like a record is set aside too", async (world) => {
    await world.plant("bad", "greet", `12${"x".repeat(200)}`);
    await world.plant("worse", "greet", `19000${"0".repeat(200)}`);
    await world.plant("short", "greet", "2");
    assert.deepEqual((await world.store.claim(claimOf(1))).aside, ["bad", "worse", "short"]);
  });

  inWorld(open, "F15: one that was running or delayed is set aside when its time comes", async (world) => {
    const { store, advance } = world;
    await claimed(world, "ran");
    await store.enqueue(ask("slept", { delay: LEASE }));
    for (const id of ["ran", "slept"]) await world.overwrite(id, GARBAGE);
    await advance(LEASE);
    const { aside, nextIn } = await store.claim(claimOf(1, { listener: TWO }));
    assert.deepEqual([aside, nextIn], [["ran", "slept"], null]);
    assert.equal((await store.counts("greet")).dead, 2);
  });

  inWorld(open, "F15: an enqueue that meets its hint leaves it for a claim", async (world) => {
    await world.plant("bad", "greet", GARBAGE);
    await world.store.enqueue(ask("a"));
    assert.deepEqual(await world.hints("greet"), ["bad", "a"]);
  });

  inWorld(open, "F15: a record written over it by replace takes it out of the dead letters", async (world) => {
    await world.plant("bad", "greet", GARBAGE);
    await world.store.claim(claimOf(1));
    assert.equal((await world.store.enqueue(ask("bad"))).verdict, "conflict");
    assert.equal((await world.store.enqueue(ask("bad", { ifExists: "reject" }))).verdict, "exists");
    assert.equal((await world.store.enqueue(ask("bad", { ifExists: "replace" }))).verdict, "accepted");
    assert.equal((await world.store.counts("greet")).dead, 0);
    assert.deepEqual(await claimIds(world.store, 2), ["bad"]);
  });

  inWorld(open, "F15: it can be deleted, and is then gone for good", async (world) => {
    const { store } = world;
    await world.plant("bad", "greet", GARBAGE);
    await store.claim(claimOf(1));
    assert.deepEqual(await store.remove({ id: "bad", nonce: nonce(BOB) }), { verdict: "refused", state: null });
    assert.deepEqual(await store.remove({ id: "bad", name: "greet" }), { verdict: "removed" });
    assert.equal((await store.counts("greet")).dead, 0);
    assert.equal((await store.readHeader("bad"))?.state, "deleted");
    assert.deepEqual(await store.remove({ id: "bad", name: "greet" }), { verdict: "kept" });
  });

  inWorld(open, "F15: other calls see no task there, and change nothing", async (world) => {
    const { store } = world;
    await world.overwrite("bad", GARBAGE);
    assert.deepEqual(await store.cancel({ id: "bad" }), { verdict: "unknown" });
    assert.equal(await store.take({ id: "bad", reader: BOB }), null);
    const put = { ...ask("bad", { kind: "local" }), state: "succeeded", owner: BOB, outcome: "\njson=1" } as const;
    assert.deepEqual(await store.put(put), { verdict: "conflict", state: null });
    const withdrawn = await store.withdraw({ id: "bad", nonce: nonce(BOB), owner: BOB, lease: LEASE });
    assert.deepEqual(withdrawn, { verdict: "refused", state: null });
    await assert.rejects(store.read("bad"), RangeError);
    await assert.rejects(store.readHeader("bad"), RangeError);
    assert.equal(await world.text("bad"), GARBAGE);
  });

  inWorld(open, "F15: trimmed, its entry goes and its bytes stay", async (world) => {
    await world.plant("bad", "greet", GARBAGE);
    await world.store.claim(claimOf(1));
    await world.advance(60_000);
    await world.plant("worse", "greet", GARBAGE);
    await world.store.claim(claimOf(2));
    assert.deepEqual((await world.store.dead("greet")).entries.map(({ id }) => id), ["worse"]);
    assert.equal(await world.text("bad"), GARBAGE);
  }, { deadMax: 1 });
}

function testNewer(open: OpenWorld): void {
  inWorld(open, "F83: a later version's task goes to the tail, is not taken and not set aside", async (world) => {
    const { store } = world;
    await world.plant("new", "greet", NEWER);
    for (const id of ["a", "b"]) await store.enqueue(ask(id));
    const { tasks, aside, more } = await store.claim(claimOf(1, { free: 1 }));
    assert.deepEqual([tasks.map(({ id }) => id), aside, more], [["a"], [], []]);
    assert.deepEqual(await world.hints("greet"), ["b", "new"]);
    assert.deepEqual(await claimIds(store, 2), ["b"]);
    assert.deepEqual(await world.hints("greet"), ["new"]);
    assert.equal(await world.text("new"), NEWER);
    assert.equal((await store.counts("greet")).dead, 0);
  });

  inWorld(open, "F83: one alone does not keep a listener busy", async (world) => {
    await world.plant("new", "greet", NEWER);
    await world.plant("new", "greet", NEWER);
    assert.deepEqual(await world.store.claim(claimOf(1)), { tasks: [], more: [], nextIn: null, aside: [] });
    assert.deepEqual(await world.hints("greet"), ["new"], "the same id twice is one hint too many");
    await world.plant("new", "other", NEWER);
    await world.store.claim(claimOf(2, { names: ["greet", "other"] }));
    assert.deepEqual([await world.hints("greet"), await world.hints("other")], [["new"], []]);
  });

  inWorld(open, "F83: more of them than one claim looks at are no work to be done at once", async (world) => {
    for (let n = 0; n < 300; n++) await world.plant(`new${n}`, "greet", NEWER);
    assert.deepEqual((await world.store.claim(claimOf(1))).more, []);
    assert.equal((await world.hints("greet")).length, 300);
  });

  inWorld(open, "F83: its lease and its due time are left for a listener that can read it", async (world) => {
    const { store, advance } = world;
    await claimed(world, "ran");
    await store.enqueue(ask("slept", { delay: LEASE }));
    for (const id of ["ran", "slept"]) await world.overwrite(id, NEWER);
    await advance(LEASE);
    const { aside, tasks, nextIn } = await store.claim(claimOf(1, { listener: TWO }));
    assert.deepEqual([aside, tasks, nextIn], [[], [], 5_000]);
    const { running, scheduled, dead } = await store.counts("greet");
    assert.deepEqual([running, scheduled, dead], [1, 1, 0]);
  });

  inWorld(open, "F83: neither an enqueue nor a removal harms it", async (world) => {
    const { store } = world;
    await world.plant("new", "greet", NEWER);
    await store.enqueue(ask("a"));
    assert.deepEqual(await world.hints("greet"), ["new", "a"]);
    assert.equal((await store.enqueue(ask("new"))).verdict, "conflict");
    assert.deepEqual(await store.remove({ id: "new", name: "greet" }), { verdict: "refused", state: null });
    assert.equal(await world.text("new"), NEWER);
  });
}
