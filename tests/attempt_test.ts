import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startAttempt } from "../src/attempt.ts";
import type { AttemptContext } from "../src/attempt_context.ts";
import { systemClock } from "../src/clock.ts";
import { LeaseLostError, ListenerStoppedError, TaskTimeoutError } from "../src/errors.ts";
import { Leases } from "../src/leases.ts";
import type { LogEntry } from "../src/log.ts";
import { decodeOutcome } from "../src/outcome.ts";
import { RedisReplyError } from "../src/port/redis.ts";
import type { TaskRecord } from "../src/record.ts";
import { decodeError } from "../src/remote_error.ts";
import { Retries } from "../src/retries.ts";
import { jsonSerializer } from "../src/serializer.ts";
import type { EnqueueRequest } from "../src/store/store.ts";
import { handlerFor, type RedisTask, type TaskFns } from "../src/task.ts";
import { Unreadable } from "../src/unreadable.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { deferred, enqueue, never, openMemory, withVerbs } from "./support/listening.ts";
import { within } from "./support/wait.ts";

const owner = "owner0000000";
let sequence = 0;

describe("startAttempt", () => {
  const { world, store } = openMemory();
  const all: Leases[] = [];
  before(() => void (sequence = 0));
  after(() => {
    for (const leases of all) leases.close();
    world.close();
  });

  async function claim(id: string, params: unknown, change: Partial<EnqueueRequest> = {}): Promise<TaskRecord> {
    await enqueue(store, id, params, change);
    sequence += 1;
    const { tasks } = await store.claim({ listener: owner, sequence, free: 1, lease: 30_000, names: ["work"] });
    return tasks[0]!;
  }

  async function start(id: string, taskFn: TaskFns, change: Partial<EnqueueRequest & AttemptContext> = {}) {
    const from = systemClock.monotonic();
    const record = await claim(id, { n: 1 }, change);
    const leases = new Leases({ store, owner, lease: 30_000, clock: systemClock });
    all.push(leases);
    const context = {
      ...{ store, owner, clock: systemClock, leases, serializer: jsonSerializer, log: () => {} },
      serializers: new Map([["json", jsonSerializer]]),
      unreadable: new Unreadable({ log: () => {}, interval: 5_000 }),
      retries: new Retries({ clock: systemClock, log: () => {} }),
      handlerOf: (name: string) => handlerFor(taskFn, name),
      ...change,
    };
    return { record, leases, attempt: startAttempt(record, context, from) };
  }

  async function errorOf(id: string): Promise<Error> {
    const record = await store.read(id);
    assert.equal(record?.state, "failed");
    return decodeError(decodeOutcome(record.outcome).body);
  }

  it("stores what the handler returned and lets the lease go", async () => {
    const { attempt, leases } = await start("ok", (task: RedisTask<{ n: number }>) => task.params.n + task.attempt);
    assert.deepEqual(await attempt.settled, { state: "succeeded", value: 2 });
    assert.equal((await attempt.written)?.verdict, "accepted");
    assert.equal(leases.size, 0);
    const record = await store.read("ok");
    assert.equal(record?.state, "succeeded");
    assert.equal(decodeOutcome(record.outcome).body, "json=2");
  });

  it("stores an error with its class, and one for what is no error", async () => {
    const type = await start("type", () => Promise.reject(new RangeError("r")));
    await type.attempt.written;
    assert.ok((await errorOf("type")) instanceof RangeError);
    const text = await start("text", () => Promise.reject("text"));
    await text.attempt.written;
    assert.equal((await errorOf("text")).cause, "text");
  });

  it("F15 F23: fails at once what cannot run or be stored", async () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const cases: [string, TaskFns, Partial<EnqueueRequest & AttemptContext>, RegExp][] = [
      ["no-handler", {}, {}, /no handler for "work"/],
      ["no-value", () => 1, { params: "CBOR" }, /no serializer named "CBOR"/],
      ["bad-json", () => 1, { params: "json={" }, /Cannot read the params/],
      ["cycle", () => cycle, {}, /Cannot serialize the result of task cycle/],
      ["large", () => "x".repeat(100), { resultLimit: 64 }, /107 bytes are more than the limit of 64/],
    ];
    for (const [id, taskFn, change, message] of cases) {
      const { attempt } = await start(id, taskFn, change);
      assert.equal((await attempt.settled).state, "failed", id);
      assert.equal((await attempt.written)?.verdict, "accepted", id);
      assert.match((await errorOf(id)).message, message);
    }
  });

  it("F21: never rewrites params, whatever the handler does to them", async () => {
    const { attempt, record } = await start("mutate", (task: RedisTask<{ n?: number }>) => {
      delete task.params.n;
      task.params = {};
    });
    await attempt.written;
    assert.equal((await store.read("mutate"))?.params, record.params);
  });

  it("F82: writes progress without slowing the handler, the latest with the outcome", async () => {
    let writes = 0;
    const counting = withVerbs(store, { progress: (...call) => (writes += 1, store.progress(...call)) });
    const { attempt } = await start("progress", async (task: RedisTask) => {
      for (let step = 1; step <= 500; step += 1) await task.update(step, 500);
    }, { store: counting } as Partial<AttemptContext>);
    await attempt.written;
    assert.ok(writes >= 1 && writes < 20, `${writes} writes`);
    const { progress } = decodeOutcome((await store.read("progress"))!.outcome);
    assert.deepEqual([progress?.current, progress?.total], [500, 500]);
  });

  it("writes nothing of a handler that calls back after its end", async () => {
    let task!: RedisTask;
    const { attempt } = await start("late", (given: RedisTask) => void (task = given));
    await attempt.written;
    await task.update(1, 2);
    void task.save(); // not awaited on purpose: its rejection must not end the process
    await assert.rejects(task.save(), LeaseLostError);
    assert.equal(decodeOutcome((await store.read("late"))!.outcome).progress, null);
  });

  it("F9: expires at the deadline a handler that never settles, without a leak to the process", async () => {
    let task!: RedisTask;
    const { attempt } = await start("never", (given: RedisTask) => (task = given, never()), { timeout: 50 });
    assert.equal((await within(attempt.settled, "the deadline")).state, "expired");
    void task.update(1, 2); // as careless handlers do
    await assert.rejects(task.update(1, 2), TaskTimeoutError);
    await attempt.written;
    assert.equal((await store.read("never"))?.state, "expired");
  });

  it("F9: has 30 minutes without a deadline, fails then under its fence, and ignores a late result", async () => {
    const clock = new FakeClock();
    const gate = deferred<string>();
    const { attempt, record } = await start("hung", () => gate.promise, { timeout: 0, clock });
    await clock.advance(1_799_999);
    assert.equal(attempt.stopper.aborted, false);
    await clock.advance(1);
    assert.equal((await within(attempt.settled, "the limit")).state, "failed");
    assert.equal((await attempt.written)?.verdict, "accepted");
    const failed = await store.read("hung");
    assert.equal(failed?.fence, record.fence);
    assert.match((await errorOf("hung")).message, /attemptTimeout \(1800000 ms\)/);
    gate.resolve("late");
    await clock.advance(60_000);
    assert.deepEqual(await store.read("hung"), failed);
  });

  it("F9: has all the time until its deadline when it has one, unless attemptTimeout is shorter", async () => {
    const day = 86_400_000;
    const cases = [
      { id: "day", limits: {}, before: day - 10_000, state: "expired" },
      { id: "short", limits: { attemptTimeout: 50 }, before: 49, state: "failed" },
    ];
    for (const { id, limits, before, state } of cases) {
      const clock = new FakeClock();
      const { attempt } = await start(id, () => never(), { timeout: day, clock, ...limits });
      await clock.advance(before);
      assert.equal(attempt.stopper.aborted, false, id);
      await clock.advance(10_000 + systemClock.monotonic()); // The claim was stamped by that clock.
      assert.equal((await within(attempt.settled, id)).state, state);
      await attempt.written;
    }
  });

  it("writes nothing when it is abandoned", async () => {
    const { attempt } = await start("abandon", () => never());
    attempt.stopper.abort(new ListenerStoppedError("stop"));
    assert.equal((await attempt.settled).state, "abandoned");
    assert.equal(await attempt.written, null);
    assert.equal((await store.read("abandon"))?.state, "running");
  });

  it("settles before the store has answered, and survives a log that throws", async () => {
    const gate = deferred();
    const slow = withVerbs(store, { fail: (...call) => gate.promise.then(() => store.fail(...call)) });
    const log = () => {
      throw new Error("log");
    };
    const { attempt, leases } = await start("slow", () => Promise.reject(new Error("e")), {
      ...{ store: slow, log, kind: "enqueued" },
    } as Partial<AttemptContext>);
    assert.equal((await attempt.settled).state, "failed");
    assert.equal(leases.size, 1);
    gate.resolve();
    assert.equal((await attempt.written)?.verdict, "accepted");
  });

  for (const refused of ["complete", "fail"] as const) {
    it(`writes the outcome again after the store refused it for a moment, and logs that once (${refused})`, async () => {
      const entries: LogEntry[] = [];
      let tries = 0;
      const refuse = () => {
        tries += 1;
        return tries < 3 ? Promise.reject(new RedisReplyError("MISCONF disk")) : null;
      };
      const refusing = withVerbs(store, {
        complete: (...call) => refuse() ?? store.complete(...call),
        fail: (...call) => refuse() ?? store.fail(...call),
      });
      const taskFn = refused === "complete" ? () => 1 : () => Promise.reject(new Error("e"));
      const log = (entry: LogEntry) => void entries.push(entry);
      const { attempt } = await start(refused, taskFn, { store: refusing, log } as Partial<AttemptContext>);
      assert.equal((await attempt.written)?.verdict, "accepted");
      assert.equal((await store.read(refused))?.state, refused === "complete" ? "succeeded" : "failed");
      assert.equal(tries, 3);
      assert.equal(entries.filter(({ error }) => error instanceof RedisReplyError).length, 1);
    });
  }

  it("does not repeat what is a mistake of the store's own", async () => {
    let tries = 0;
    const broken = withVerbs(store, { complete: () => (tries += 1, Promise.reject(new TypeError("ours"))) });
    const { attempt } = await start("mistake", () => 1, { store: broken } as Partial<AttemptContext>);
    assert.equal(await attempt.written, null);
    assert.equal(tries, 1);
  });
});
