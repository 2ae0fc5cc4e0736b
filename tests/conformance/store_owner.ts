/**
 * An owner's calls: what is accepted, kept, lost or gone, and what becomes of the task.
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
  inWorld,
  LEASE,
  nonce,
  ONE,
  type OpenWorld,
  own,
  stateOf,
  TWO,
} from "./store_kit.ts";

const ERROR = '\n!{"name":"Error","message":"no"}';

/** Declares the tests. */
export function testOwner(open: OpenWorld): void {
  testVerdicts(open);
  testRetry(open);
  testRelease(open);
  testRenew(open);
  testWithdraw(open);
}

function testVerdicts(open: OpenWorld): void {
  inWorld(open, "F4 F25: complete is accepted once and kept when it comes again", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    const accepted = { verdict: "accepted", state: "succeeded", cancelAsked: false };
    assert.deepEqual(await store.complete(task, "\njson=1"), accepted);
    assert.deepEqual(await store.complete(task, "\njson=2"), { ...accepted, verdict: "kept" });
    const late = await store.fail(task, { state: "failed", outcome: ERROR });
    assert.deepEqual(late, { ...accepted, verdict: "kept" });
    const record = (await store.read("a"))!;
    assert.deepEqual([record.outcome, record.params], ["\njson=1", 'json={"who":"world"}']);
  });

  inWorld(open, "F5: a zombie's late complete is refused and told the state", async (world) => {
    const { store } = world;
    const zombie = own(await claimed(world, "a"));
    await world.advance(LEASE);
    const [task] = (await store.claim(claimOf(1, { listener: TWO }))).tasks;
    assert.deepEqual(await store.complete(zombie, "\njson=1"), {
      verdict: "lost",
      state: "running",
      cancelAsked: false,
    });
    assert.deepEqual((await store.progress(zombie, "x")).verdict, "lost");
    assert.equal((await store.complete(own(task!), "\njson=2")).verdict, "accepted");
    assert.equal((await store.complete(zombie, "\njson=1")).verdict, "lost");
    assert.equal((await store.read("a"))?.outcome, "\njson=2");
  });

  inWorld(open, "a claim of the same listener again is another ownership", async (world) => {
    const first = own(await claimed(world, "a"));
    await world.advance(LEASE);
    await world.store.claim(claimOf(2));
    assert.equal((await world.store.complete(first, "\n")).verdict, "lost");
  });

  inWorld(open, "an owner of nothing is told that it is gone", async ({ store }) => {
    const task = { id: "none", name: "greet", owner: ONE, fence: "0000000000000001" };
    assert.deepEqual(await store.complete(task, "\n"), { verdict: "gone", state: null, cancelAsked: false });
  });

  inWorld(open, "progress is written while it runs, and not after", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    const answer = await store.progress(task, '{"progress":[1,2,3]}\n');
    assert.deepEqual(answer, { verdict: "accepted", state: "running", cancelAsked: false });
    assert.equal((await store.read("a"))?.outcome, '{"progress":[1,2,3]}\n');
    await store.complete(task, "\njson=1");
    assert.equal((await store.progress(task, '{"progress":[2,2,3]}\n')).verdict, "kept");
    assert.equal((await store.read("a"))?.outcome, "\njson=1");
  });
}

function testRetry(open: OpenWorld): void {
  inWorld(open, "fail with a next attempt schedules it, and counts it", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    const failure = { state: "failed", outcome: ERROR, retryIn: 2_000 } as const;
    assert.deepEqual(await store.fail(task, failure), { verdict: "accepted", state: "scheduled", cancelAsked: false });
    assert.equal((await store.fail(task, failure)).verdict, "kept");
    assert.equal((await store.read("a"))?.outcome, ERROR);
    assert.deepEqual(await claimIds(store, 2), []);
    await world.advance(2_000);
    const [again] = (await store.claim(claimOf(3))).tasks;
    assert.deepEqual([again!.id, again!.attempt, again!.crashes], ["a", 2, 0]);
    assert.equal((await store.fail(own(again!), { state: "failed", outcome: ERROR })).state, "failed");
  });

  inWorld(open, "a retry that would come after the deadline fails now, with its error", async (world) => {
    const task = own(await claimed(world, "a", 1, { timeout: 10_000 }));
    const answer = await world.store.fail(task, { state: "failed", outcome: ERROR, retryIn: 10_000 });
    assert.equal(answer.state, "failed");
    assert.equal((await world.store.read("a"))?.outcome, ERROR);
  });

  inWorld(open, "expired and cancelled attempts end as such", async (world) => {
    for (const [n, state] of (["expired", "cancelled"] as const).entries()) {
      const task = own(await claimed(world, state, n + 1));
      assert.equal((await world.store.fail(task, { state, outcome: ERROR })).state, state);
    }
  });
}

function testRelease(open: OpenWorld): void {
  inWorld(open, "released tasks go to the head in the order given, uncounted", async ({ store }) => {
    for (const id of ["a", "b", "c"]) await store.enqueue(ask(id));
    const { tasks } = await store.claim(claimOf(1, { free: 2 }));
    const answers = await store.release(tasks.map(own));
    assert.deepEqual(answers.map(({ verdict, state }) => [verdict, state]), Array(2).fill(["accepted", "queued"]));
    assert.deepEqual((await store.release(tasks.map(own))).map(({ verdict }) => verdict), ["kept", "kept"]);
    const again = (await store.claim(claimOf(2))).tasks;
    assert.deepEqual(again.map(({ id, attempt }) => [id, attempt]), [["a", 1], ["b", 1], ["c", 1]]);
  });

  inWorld(open, "with a delay they wait until it is over, uncounted, and behind what came meanwhile", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    const released = { verdict: "accepted", state: "scheduled", cancelAsked: false };
    assert.deepEqual(await store.release([task], 2_000), [released]);
    await world.advance(500);
    assert.deepEqual(await store.release([task], 2_000), [{ ...released, verdict: "kept" }], "sent twice, no later");
    assert.equal((await store.complete(task, "\njson=1")).verdict, "kept");
    assert.deepEqual(await store.claim(claimOf(2)), { tasks: [], more: [], nextIn: 1_500, aside: [] });
    await store.enqueue(ask("b"));
    await world.advance(1_500);
    const { tasks } = await store.claim(claimOf(3));
    assert.deepEqual(tasks.map(({ id, attempt, crashes }) => [id, attempt, crashes]), [["b", 1, 0], ["a", 1, 0]]);
    assert.equal((await store.release([task], 2_000))[0]!.verdict, "lost");
  });

  inWorld(open, "a delay ends with the deadline, and does not outlive a cancel", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a", 1, { timeout: 1_000 }));
    await store.release([task], 60_000);
    assert.equal((await store.claim(claimOf(2))).nextIn, 1_000);
    await world.advance(1_000);
    await store.claim(claimOf(3));
    assert.equal(await stateOf(world, "a"), "expired");
    const asked = own(await claimed(world, "b", 4));
    await store.cancel({ id: "b" });
    assert.equal((await store.release([asked], 60_000))[0]!.state, "cancelled");
  });
}

function testRenew(open: OpenWorld): void {
  inWorld(open, "a renewed lease does not end", async (world) => {
    const { store } = world;
    const task = own(await claimed(world, "a"));
    const lost = { ...task, id: "b" };
    for (let round = 0; round < 3; round++) {
      await world.advance(LEASE - 1);
      const answers = await store.renew({ owner: ONE, lease: LEASE, tasks: [lost, task] });
      assert.deepEqual(answers.map(({ verdict }) => verdict), ["gone", "accepted"]);
    }
    assert.deepEqual(await claimIds(store, 1, { listener: TWO }), []);
  });

  inWorld(open, "renew looks after the ended leases of others under the same name", async (world) => {
    const { store } = world;
    await claimed(world, "a");
    await world.advance(LEASE / 2);
    await store.enqueue(ask("b"));
    const [task] = (await store.claim(claimOf(1, { listener: TWO }))).tasks;
    await world.advance(LEASE / 2);
    const [answer] = await store.renew({ owner: TWO, lease: LEASE, tasks: [own(task!)] });
    assert.equal(answer!.verdict, "accepted");
    assert.equal(await stateOf(world, "a"), "queued");
  });

  inWorld(open, "renew and claim refresh presence", async ({ store, advance }) => {
    const presence = { names: ["greet", "other"], duration: 1_000 };
    await store.claim(claimOf(1, { presence }));
    assert.equal(await store.isListened("other"), true);
    await advance(999);
    await store.renew({ owner: ONE, lease: LEASE, tasks: [], presence });
    await advance(999);
    assert.equal(await store.isListened("other"), true);
    await advance(1);
    assert.equal(await store.isListened("other"), false);
  });
}

function testWithdraw(open: OpenWorld): void {
  const request = { id: "a", nonce: nonce(ADA), owner: ADA, lease: LEASE };

  inWorld(open, "a queued task is withdrawn, and again under the same fence", async ({ store, advance }) => {
    await store.enqueue(ask("a"));
    const answer = await store.withdraw(request);
    assert.equal(answer.verdict, "owned");
    if (answer.verdict !== "owned") return;
    assert.deepEqual([answer.record.state, answer.record.owner, answer.record.attempt], ["running", ADA, 1]);
    assert.deepEqual(await store.withdraw(request), answer);
    assert.deepEqual(await claimIds(store, 1), []);
    await advance(1);
    assert.equal((await store.complete(own(answer.record), "\njson=1")).verdict, "accepted");
  });

  inWorld(open, "a scheduled task keeps its delay, and is withdrawn once it is due", async (world) => {
    const { store, advance, hints } = world;
    await store.enqueue(ask("a", { delay: 5_000 }));
    assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: "scheduled" });
    await advance(5_000);
    const answer = await store.withdraw(request);
    assert.equal(answer.verdict, "owned");
    if (answer.verdict !== "owned") return;
    assert.deepEqual(await store.withdraw(request), answer);
    assert.deepEqual([answer.record.state, await claimIds(store, 1), await hints("greet")], ["running", [], []]);
    assert.equal((await store.complete(own(answer.record), "\njson=1")).verdict, "accepted");
    await store.enqueue(ask("a", { delay: 5_000, timeout: 5_000, ifExists: "replace", nonce: nonce(ADA, 2) }));
    await advance(5_000);
    const late = await store.withdraw({ ...request, nonce: nonce(ADA, 2) });
    assert.deepEqual(late, { verdict: "refused", state: "expired" });
  });

  inWorld(open, "too late, another run or no record: refused with the state", async (world) => {
    const { store } = world;
    assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: null });
    await store.enqueue(ask("a"));
    assert.deepEqual(await store.withdraw({ ...request, nonce: nonce(BOB) }), { verdict: "refused", state: "queued" });
    const [task] = (await store.claim(claimOf(1))).tasks;
    assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: "running" });
    await store.complete(own(task!), "\n");
    assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: "succeeded" });
  });

  inWorld(
    open,
    "what runs in no queue is not withdrawn, nor owned by who asks for it again",
    async ({ store, advance }) => {
      const { delay: _d, maxAttempts: _m, ifExists: _i, ...task } = ask("a");
      await store.put({ ...task, kind: "local", state: "running", owner: ADA, outcome: "" });
      assert.deepEqual(await store.withdraw(request), { verdict: "refused", state: "running" });
      const again = await store.enqueue(ask("a", { ownIfUnattended: { owner: ADA, lease: LEASE } }));
      assert.deepEqual(again, { verdict: "accepted", state: "running" });
      await advance(LEASE);
      assert.deepEqual(await claimIds(store, 1), [], "no lease was given to it that could end");
      assert.equal((await store.read("a"))?.state, "running");
    },
  );

  inWorld(open, "a withdrawn task whose caller dies is recovered", async ({ store, advance }) => {
    await store.enqueue(ask("a"));
    await store.withdraw(request);
    await advance(LEASE);
    assert.deepEqual(await claimIds(store, 1), ["a"]);
  });
}
