/**
 * Calls of clients that come once more, or too late, or meet another run: nothing is written twice, nothing is lost.
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
  inWorld,
  LEASE,
  nonce,
  type OpenWorld,
  own,
  TWO,
} from "./store_kit.ts";

/** Declares the tests. */
export function testAgain(open: OpenWorld): void {
  testPutAgain(open);
  testWithdrawAgain(open);
  testLives(open);
  testEnqueueAgain(open);
}

function localTask(change: Partial<PutRequest> = {}): PutRequest {
  const { delay: _d, maxAttempts: _m, ifExists: _i, ...task } = ask("a");
  return { ...task, kind: "local", state: "running", owner: ADA, outcome: "", ...change };
}

function testPutAgain(open: OpenWorld): void {
  inWorld(open, "an end that its reader has taken is not written again", async ({ store }) => {
    const end = localTask({ state: "succeeded", outcome: "\njson=1" });
    await store.put(end);
    await store.take({ id: "a", reader: BOB });
    assert.deepEqual(await store.put({ ...end, outcome: "\njson=2" }), { verdict: "written", state: "succeeded" });
    assert.equal((await store.take({ id: "a", reader: BOB }))?.outcome, "\njson=1");
  });

  inWorld(open, "a stored task, and one that was deleted, make room for another run", async ({ store }) => {
    await store.put(localTask({ kind: "enqueued", state: "stored" }));
    const stored = localTask({ kind: "enqueued", state: "stored", nonce: nonce(BOB) });
    assert.equal((await store.put(stored)).verdict, "written");
    assert.deepEqual(await store.remove({ id: "a" }), { verdict: "removed" });
    assert.equal((await store.put({ ...stored, nonce: nonce(BOB, 2) })).verdict, "written");
  });

  inWorld(open, "a deadline of one millisecond is one, and none is none", async ({ store, life, keys }) => {
    await store.put(localTask({ timeout: 1, resultTtl: 50_000 }));
    assert.notEqual((await store.read("a"))?.deadline, 0);
    near(await life(keys.record("a")), 300_001);
    const stored = { ...localTask({ kind: "enqueued", state: "stored" }), id: "b" };
    await store.put({ ...stored, timeout: 0 });
    near(await life(keys.record("b")), 300_000);
    await store.put({ ...stored, timeout: 1 });
    assert.ok((await life(keys.record("b")) ?? 0) <= 1);
  });

  inWorld(open, "a bare JSON task is queued, and not written over", async (world) => {
    await world.plant("a", "greet", '{"params":1}');
    assert.deepEqual(await world.store.put(localTask()), { verdict: "conflict", state: "queued" });
  });

  inWorld(open, "what was deleted cannot be cancelled", async ({ store }) => {
    await store.put(localTask({ kind: "enqueued", state: "stored" }));
    await store.remove({ id: "a" });
    assert.deepEqual(await store.cancel({ id: "a" }), { verdict: "unknown" });
  });

  inWorld(open, "an acknowledge that comes twice changes nothing", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    await store.cancel({ id: "a" });
    await store.fail(task, { state: "cancelled", outcome: "\n" });
    await store.take({ id: "a", reader: ADA });
    for (const _ of [1, 2]) {
      await store.acknowledge({ id: "a", reader: ADA });
      assert.equal((await store.readHeader("a"))?.cancelAsked, true);
    }
  });
}

function testWithdrawAgain(open: OpenWorld): void {
  const request = { id: "a", nonce: nonce(ADA), owner: ADA, lease: LEASE };

  inWorld(open, "what was withdrawn and has ended is not ours again", async ({ store }) => {
    await store.enqueue(ask("a"));
    const answer = await store.withdraw(request);
    assert.equal(answer.verdict, "owned");
    if (answer.verdict !== "owned") return;
    await store.complete(own(answer.record), "\njson=1");
    assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: "succeeded" });
  });

  inWorld(open, "what a listener runs, and a run in no queue, are not ours", async (world) => {
    const { store } = world;
    await claimed(world, "a");
    assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: "running" });
    await store.put({ ...localTask(), id: "b" });
    assert.deepEqual(await store.withdraw({ ...request, id: "b" }), { verdict: "refused", state: "running" });
  });

  inWorld(open, "withdrawn again it is leased again", async ({ store, advance }) => {
    await store.enqueue(ask("a"));
    for (const _ of [1, 2, 3]) {
      assert.equal((await store.withdraw(request)).verdict, "owned");
      await advance(LEASE - 1);
    }
    assert.deepEqual(await claimIds(store, 1), []);
  });

  for (const isLate of [false, true]) {
    inWorld(
      open,
      `a due one leaves the delayed ones when it is withdrawn${isLate ? " too late" : ""}`,
      async (world) => {
        const { store } = world;
        await store.enqueue(ask("a", { delay: 1_000, timeout: 2_000 }));
        await world.advance(isLate ? 2_000 : 1_000);
        assert.equal((await store.withdraw(request)).verdict, isLate ? "refused" : "owned");
        assert.equal((await store.counts("greet")).scheduled, 0);
      },
    );
  }
}

function testLives(open: OpenWorld): void {
  inWorld(open, "a shorter lease does not shorten the life that a longer one gave", async (world) => {
    const { store, life, keys } = world;
    const [long, short] = [400_000, 300_000];
    await store.enqueue(ask("a", { timeout: 10_000 }));
    const claim = async (sequence: number, lease: number) =>
      own((await store.claim(claimOf(sequence, { lease }))).tasks[0]!);
    const first = await claim(1, long);
    near(await life(keys.record("a")), 2 * long);
    await store.renew({ owner: first.owner, lease: short, tasks: [first] });
    near(await life(keys.record("a")), 2 * long);
    await store.release([first]);
    await claim(2, short);
    near(await life(keys.record("a")), 2 * long);
    await claim(2, short); // A replay.
    near(await life(keys.record("a")), 2 * long);
  });

  inWorld(open, "a hint of a task whose name only begins with the list's is dropped", async (world) => {
    const { store } = world;
    await store.enqueue(ask("head"));
    await store.enqueue(ask("a"));
    await store.enqueue(ask("a", { nonce: nonce(BOB), name: "greeting", ifExists: "replace" }));
    await store.enqueue(ask("b", { name: "greeting" }));
    await store.enqueue(ask("b", { nonce: nonce(BOB), name: "greet", ifExists: "replace" }));
    assert.deepEqual(await world.hints("greet"), ["head", "a", "b"]);
    assert.deepEqual(await claimIds(store, 1), ["head", "b"]);
    assert.deepEqual(await claimIds(store, 1, { listener: TWO, names: ["greeting"] }), ["a"]);
  });
}

function testEnqueueAgain(open: OpenWorld): void {
  const mine = { ownIfUnattended: { owner: ADA, lease: LEASE } };

  inWorld(open, "an enqueue that comes again owns neither what has ended nor what a listener runs", async (world) => {
    const { store } = world;
    const answer = await store.enqueue(ask("a", mine));
    assert.equal(answer.verdict, "owned");
    if (answer.verdict !== "owned") return;
    await store.complete(own(answer.record), "\njson=1");
    assert.equal((await store.enqueue(ask("a", mine))).verdict, "ended");
    await claimed(world, "b");
    assert.notEqual((await store.enqueue(ask("b", mine))).verdict, "owned");
  });

  inWorld(open, "a reject finds what has ended, however late, and not what was deleted", async (world) => {
    const { store } = world;
    const reject = { ifExists: "reject", nonce: nonce(BOB) } as const;
    await store.put(localTask({ state: "succeeded", timeout: 1_000, outcome: "\njson=1" }));
    await world.advance(2_000);
    assert.equal((await store.enqueue(ask("a", reject))).verdict, "exists");
    await store.remove({ id: "a" });
    assert.equal((await store.enqueue(ask("a", reject))).verdict, "accepted");
  });
}

/** A server's time goes on while a test asks. */
function near(life: number | null, expected: number): void {
  assert.ok(life !== null && life <= expected + 100 && life > expected - 5_000, `lives ${life} ms, not ${expected}`);
}
