import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLostError, TaskTimeoutError } from "../src/errors.ts";
import { settingsOf } from "../src/options.ts";
import { Runner } from "../src/runner.ts";
import type { RunError } from "../src/run_error.ts";
import { Stopper } from "../src/stopper.ts";
import type { Submission } from "../src/submission.ts";
import type { OwnerAnswer, Store } from "../src/store/store.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { never, openMemory, withVerbs } from "./support/listening.ts";

const CLIENT = "client000000";

/** A clock whose timers come late. */
class LateClock extends FakeClock {
  late = 0;

  override monotonic(): number {
    return super.monotonic() + this.late;
  }
}

/** A task that the queue gives to the client, since nobody listens. */
async function given(store: Store): Promise<Extract<Awaited<ReturnType<Store["enqueue"]>>, { verdict: "owned" }>> {
  const answer = await store.enqueue({
    ...{ id: "t", name: "work", nonce: `${CLIENT}00000001`, kind: "asked", timeout: 600_000, resultTtl: 60_000 },
    ...{ delay: 0, maxAttempts: 1, options: "", params: "json={}", ifExists: "join" },
    ownIfUnattended: { owner: CLIENT, lease: 60_000 },
  });
  assert.equal(answer.verdict, "owned");
  return answer as Extract<typeof answer, { verdict: "owned" }>;
}

describe("what the queue gave to a client", () => {
  it("starts once under a fence: given up here, it is given back when the queue says that it is ours still", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    const away = withVerbs(store, {
      renew: () => Promise.reject(new ConnectionLostError("Redis is away", { sent: false })),
    });
    const fences: number[] = [];
    const taskFn = (task: { readonly fence: number }) => {
      fences.push(task.fence);
      return never();
    };
    const settings = settingsOf({ clock, taskFn, lease: 1_000, log: () => {} });
    const runner = new Runner({ store: away, client: CLIENT, settings });
    const { record } = await given(store);
    const first = runner.own(record, clock.monotonic());
    await clock.advance(1_100);
    assert.equal((await first).state, "abandoned", "its lease ran out by our clock");
    // The store was given a longer lease, as if a renewal had come late: it says again that the task is ours.
    const again = await store.withdraw({ id: "t", nonce: record.nonce, owner: CLIENT, lease: 60_000 });
    assert.equal(again.verdict, "owned");
    assert.equal((await runner.own(record, clock.monotonic())).state, "abandoned");
    await clock.advance(10);
    assert.equal((await store.read("t"))?.state, "queued");
    assert.deepEqual(fences, [Number(record.fence)]);
  });
});

describe("what the queue gave to two callers of a client", () => {
  it("starts once, though the second hears of it when the first has its answer", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    let starts = 0;
    const settings = settingsOf({ clock, taskFn: () => ++starts, lease: 60_000, log: () => {} });
    const runner = new Runner({ store, client: CLIENT, settings });
    const { record } = await given(store);
    const first = runner.own(record, clock.monotonic());
    await clock.advance(10);
    assert.equal((await first).state, "succeeded");
    assert.equal((await store.read("t"))?.state, "succeeded");
    assert.equal((await runner.own(record, clock.monotonic())).state, "abandoned", "it waits for the stored answer");
    await clock.advance(10);
    assert.equal(starts, 1);
    assert.equal((await store.read("t"))?.state, "succeeded");
  });
});

/** What a run of `taskFn` counts as, when the store gives this answer to its outcome. */
async function countedAs(
  taskFn: () => unknown,
  answer?: OwnerAnswer,
  change: Partial<Awaited<ReturnType<typeof given>>["record"]> = {},
): ReturnType<Runner["own"]> {
  const clock = new FakeClock();
  const { store } = openMemory(clock);
  const say = () => Promise.resolve(answer!);
  const saying = withVerbs(store, answer ? { complete: say, fail: say } : {});
  const settings = settingsOf({ clock, taskFn, lease: 60_000, log: () => {} });
  const runner = new Runner({ store: saying, client: CLIENT, settings });
  const { record } = await given(store);
  const execution = runner.own({ ...record, ...change }, clock.monotonic());
  await clock.advance(10);
  return await execution;
}

describe("the outcome of what the queue gave to a client", () => {
  const answers = [
    ["accepted", "succeeded", "succeeded"],
    ["kept", "succeeded", "succeeded"],
    ["gone", null, "succeeded"],
    ["lost", "running", "abandoned"],
    ["lost", "succeeded", "abandoned"],
    ["accepted", "scheduled", "abandoned"],
    ["kept", "queued", "abandoned"],
    ["kept", "cancelled", "cancelled"],
  ] as const;
  for (const [verdict, state, counts] of answers) {
    it(`is ${counts} when the store says ${verdict}, ${state}`, async () => {
      const execution = await countedAs(() => 42, { verdict, state, cancelAsked: false });
      assert.equal(execution.state, counts);
      if (execution.state === "succeeded") assert.equal(execution.value, 42);
      if (execution.state === "cancelled") assert.match(execution.error.message, /task t: it was cancelled/);
    });
  }

  it("has the reason it ended for, when the store agrees", async () => {
    const cancelled = await countedAs(() => 42, undefined, { cancelAsked: true });
    assert.equal(cancelled.state, "cancelled");
    assert.match(cancelled.state === "cancelled" ? cancelled.error.message : "", /Cannot start task t/);
    const unreadable = await countedAs(() => 42, undefined, { params: "unknown=1" });
    assert.equal(unreadable.state, "abandoned");
    assert.match(unreadable.state === "abandoned" ? String(unreadable.reason) : "", /serializer/);
  });

  it("is nobody's once the queue is closed: it is given back and not started", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    let starts = 0;
    const settings = settingsOf({ clock, taskFn: () => starts += 1, lease: 60_000, log: () => {} });
    const runner = new Runner({ store, client: CLIENT, settings });
    const { record } = await given(store);
    await runner.close();
    const execution = await runner.own(record, clock.monotonic());
    await clock.advance(10);
    assert.equal(execution.state, "abandoned");
    assert.equal((await store.read("t"))?.state, "queued");
    assert.equal(starts, 0);
  });

  it("is ours when the store does not say in time", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    const silent = withVerbs(store, { complete: () => never() });
    const settings = settingsOf({ clock, taskFn: () => 42, lease: 60_000, log: () => {} });
    const { record } = await given(store);
    const execution = new Runner({ store: silent, client: CLIENT, settings }).own(record, clock.monotonic());
    await clock.advance(1_000);
    assert.deepEqual(await execution, { state: "succeeded", value: 42 });
  });
});

describe("a run in no queue", () => {
  function submission(change: Partial<Submission> = {}): Submission {
    return {
      ...{ id: "t", name: "work", params: {}, nonce: `${CLIENT}00000001`, deadline: Infinity, resultTtl: 60_000 },
      ...{ maxAttempts: 1, options: "" },
      ...change,
    };
  }

  function open(taskFn: () => unknown) {
    const clock = new LateClock();
    const { store } = openMemory(clock);
    const settings = settingsOf({ clock, taskFn, lease: 60_000, log: () => {} });
    return { clock, store, runner: new Runner({ store, client: CLIENT, settings }) };
  }

  it("leaves its result when only success is kept, and no failure", async () => {
    for (const fails of [false, true]) {
      const { clock, store, runner } = open(() => fails ? Promise.reject(new Error("e")) : 42);
      const run = runner.here(submission(), "success", new Stopper()).catch(() => "failed");
      await clock.advance(10);
      assert.equal(await run, fails ? "failed" : 42);
      assert.equal((await store.read("t"))?.state, fails ? undefined : "succeeded");
    }
  });

  it("has expired when its caller's time is over with its own, and is cancelled otherwise", async () => {
    const [timeout, other] = [new TaskTimeoutError("time is over"), new Error("another reason")];
    for (
      const [reason, waited, name] of [
        [timeout, 1_000, "TaskTimeoutError"],
        [timeout, 500, "TaskCancelledError"],
        [other, 1_000, "TaskCancelledError"],
      ] as const
    ) {
      const { clock, runner } = open(() => never());
      const gone = new Stopper();
      const run = runner.here(submission({ deadline: 1_000 }), "success", gone).catch((error: RunError) => error.cause);
      await clock.advance(waited - 1);
      clock.late = 1; // Its own timer has not fired yet.
      gone.abort(reason);
      await clock.advance(0);
      assert.equal((await run as Error).name, name, `${reason.message} after ${waited} ms`);
    }
  });
});
