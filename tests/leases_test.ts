import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLostError, LeaseLostError, TaskCancelledError } from "../src/errors.ts";
import { Leases, type LeasesOptions } from "../src/leases.ts";
import { RedisReplyError } from "../src/port/redis.ts";
import { Stopper } from "../src/stopper.ts";
import type { OwnerAnswer, RenewRequest, Store } from "../src/store/store.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { never } from "./support/listening.ts";

/** A clock whose machine can sleep: time passes and no timer fires. */
class SleepyClock extends FakeClock {
  #slept = 0;

  sleep(ms: number): void {
    this.#slept += ms;
  }

  override now(): number {
    return super.now() + this.#slept;
  }

  override monotonic(): number {
    return super.monotonic() + this.#slept;
  }
}

const accepted: OwnerAnswer = { verdict: "accepted", state: "running", cancelAsked: false };

function setUp(change: Partial<LeasesOptions> = {}) {
  const clock = new SleepyClock();
  const calls: RenewRequest[] = [];
  const server = {
    answer: (_id: string): OwnerAnswer => accepted,
    down: false,
    hangs: false,
    later: null as Promise<readonly OwnerAnswer[]> | null,
  };
  const store = {
    renew: (request: RenewRequest) => {
      calls.push(request);
      if (server.hangs) return never();
      const later = server.later;
      server.later = null;
      if (later !== null) return later.finally(() => server.down = false);
      if (server.down) return Promise.reject(new ConnectionLostError("down", { sent: true }));
      return Promise.resolve(request.tasks.map(({ id }) => server.answer(id)));
    },
  } as unknown as Store;
  const leases = new Leases({ store, owner: "owner0000000", lease: 30_000, clock, ...change });
  const add = (id: string) => {
    const ownership = { id, name: "work", owner: "owner0000000", fence: "0000000000000001" };
    const stopper = new Stopper();
    leases.add(ownership, stopper, clock.monotonic());
    return { ownership, signal: stopper.signal };
  };
  return { clock, calls, server, leases, add };
}

describe("Leases", () => {
  it("renew all tasks in one call every third of the lease, and hold no timer without any", async () => {
    const { clock, calls, leases, add } = setUp();
    assert.equal(clock.pending, 0);
    const tasks = ["a", "b", "c"].map(add);
    await clock.advance(29_999);
    assert.deepEqual(calls.map(({ tasks }) => tasks.map(({ id }) => id)), [["a", "b", "c"], ["a", "b", "c"]]);
    await clock.advance(3_000_000);
    assert.ok(tasks.every(({ signal }) => !signal.aborted));
    for (const { ownership } of tasks) leases.remove(ownership);
    assert.equal(clock.pending, 0);
    assert.equal(leases.size, 0);
  });

  it("tell a handler that its task is lost, gone or cancelled", async () => {
    const { clock, server, leases, add } = setUp();
    const [lost, gone, cancelled, mine] = ["lost", "gone", "cancelled", "mine"].map(add);
    server.answer = (id) => {
      if (id === "lost" || id === "gone") return { verdict: id, state: null, cancelAsked: false };
      return { ...accepted, cancelAsked: id === "cancelled" };
    };
    await clock.advance(10_000);
    assert.ok(lost!.signal.reason instanceof LeaseLostError);
    assert.ok(gone!.signal.reason instanceof LeaseLostError);
    assert.ok(cancelled!.signal.reason instanceof TaskCancelledError);
    assert.equal(mine!.signal.aborted, false);
    assert.equal(leases.size, 2);
  });

  for (const fault of ["down", "hangs"] as const) {
    it(`give a task up when its lease has run out and Redis ${fault === "down" ? "is away" : "does not answer"}`, async () => {
      const { clock, server, add } = setUp();
      const { signal } = add("a");
      server[fault] = true;
      await clock.advance(29_999);
      assert.equal(signal.aborted, false);
      await clock.advance(1);
      assert.ok(signal.reason instanceof LeaseLostError);
      assert.equal(clock.pending, 0);
    });
  }

  it("keep the task when Redis comes back in time", async () => {
    const { clock, server, add } = setUp();
    const { signal } = add("a");
    server.down = true;
    await clock.advance(25_000);
    server.down = false;
    await clock.advance(60_000);
    assert.equal(signal.aborted, false);
  });

  it("ask Redis first after the machine slept", async () => {
    const { clock, calls, server, add, leases } = setUp();
    const kept = add("kept");
    const lost = add("lost");
    server.answer = (id) => id === "kept" ? accepted : { verdict: "lost", state: "running", cancelAsked: false };
    clock.sleep(3_600_000);
    assert.ok(leases.fresh(kept.ownership), "an outcome must wait for a renewal");
    await clock.advance(10_000);
    assert.equal(kept.signal.aborted, false);
    assert.match(lost.signal.reason.message, /its lease is lost/);
    assert.ok(calls.length >= 1);
    assert.equal(leases.fresh(kept.ownership), undefined);
  });

  it("give up after a sleep too, when Redis cannot say", async () => {
    const { clock, server, add } = setUp();
    const { signal } = add("a");
    server.down = true;
    clock.sleep(3_600_000);
    await clock.advance(30_000);
    assert.ok(signal.reason instanceof LeaseLostError);
  });

  it("ask at once when a cancel message names a running task, and let the answer decide", async () => {
    const { clock, calls, server, leases, add } = setUp();
    const { signal } = add("a");
    leases.cancelled(["other"]);
    assert.equal(calls.length, 0);
    leases.cancelled(["other", "a"]);
    await clock.advance(0);
    assert.equal(calls.length, 1);
    assert.equal(signal.aborted, false);
    server.answer = () => ({ ...accepted, cancelAsked: true });
    leases.cancelled(["a"]);
    await clock.advance(0);
    assert.ok(signal.reason instanceof TaskCancelledError);
  });

  it("ask again when told to during a renewal", async () => {
    const { clock, calls, leases, add } = setUp();
    add("a");
    void leases.renewNow();
    void leases.renewNow();
    await clock.advance(0);
    assert.equal(calls.length, 2);
  });

  it("are renewed while there are any, whichever has gone", async () => {
    const { clock, calls, leases, add } = setUp();
    const [a, b] = [add("a"), add("b")];
    leases.remove(a.ownership);
    await clock.advance(10_000);
    assert.deepEqual(calls.map(({ tasks }) => tasks.map(({ id }) => id)), [["b"]]);
    leases.remove(b.ownership);
    assert.equal(clock.pending, 0);
  });

  it("are not asked for more often because one of them has run out", async () => {
    const { clock, calls, server, add } = setUp();
    add("first");
    await clock.advance(500);
    add("second");
    await clock.advance(500);
    const { signal } = add("third");
    server.down = true;
    await clock.advance(29_400);
    const before = calls.length;
    await clock.advance(500);
    assert.equal(calls.length, before, "the first and the second have run out, the third waits for its next try");
    assert.equal(signal.aborted, false);
  });

  it("are renewed once and not twice when the answer comes after one of them has run out", async () => {
    const { clock, calls, server, add } = setUp({ lease: 30_000 });
    add("first");
    await clock.advance(500);
    const { signal } = add("second");
    server.down = true;
    await clock.advance(23_400);
    let answer: (answers: readonly OwnerAnswer[]) => void = () => {};
    server.later = new Promise((resolve) => answer = resolve);
    await clock.advance(6_200);
    const before = calls.length;
    answer([accepted, accepted]);
    await clock.advance(100);
    assert.equal(calls.length, before, "the renewal that was on its way has renewed it");
    await clock.advance(20_000);
    assert.equal(signal.aborted, false);
  });

  it("carry the presence, and renew as often as it needs", async () => {
    const { clock, calls, add } = setUp({ every: 5_000, presence: () => ({ names: ["work"], duration: 15_000 }) });
    add("a");
    await clock.advance(5_000);
    assert.deepEqual(calls[0]?.presence, { names: ["work"], duration: 15_000 });
  });

  it("survive a presence that throws", async () => {
    let throws = true;
    const presence = () => {
      if (throws) throw new Error("bug");
      return undefined;
    };
    const { clock, calls, add } = setUp({ presence });
    add("a");
    await clock.advance(10_000);
    throws = false;
    await clock.advance(10_000);
    assert.ok(calls.length > 0);
  });

  it("are renewed without the presence when that is what Redis refuses", async () => {
    const clock = new FakeClock();
    const renew = ({ tasks, presence }: RenewRequest) =>
      presence ? Promise.reject(new RedisReplyError("WRONGTYPE")) : Promise.resolve(tasks.map(() => accepted));
    const store = { renew } as unknown as Store;
    const presence = () => ({ names: ["work"], duration: 15_000 });
    const leases = new Leases({ store, owner: "owner0000000", lease: 30_000, clock, presence });
    const stopper = new Stopper();
    leases.add({ id: "a", name: "work", owner: "owner0000000", fence: "0000000000000001" }, stopper, 0);
    await clock.advance(100_000);
    assert.equal(stopper.signal.aborted, false);
    leases.close();
  });
});
