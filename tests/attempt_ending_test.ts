import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startAttempt } from "../src/attempt.ts";
import type { AttemptContext } from "../src/attempt_context.ts";
import { type Clock, systemClock } from "../src/clock.ts";
import { LeaseLostError, ListenerStoppedError } from "../src/errors.ts";
import { Events, type TaskEvent } from "../src/events.ts";
import { Leases } from "../src/leases.ts";
import type { LogEntry } from "../src/log.ts";
import { RedisReplyError } from "../src/port/redis.ts";
import { Retries } from "../src/retries.ts";
import { jsonSerializer } from "../src/serializer.ts";
import type { OwnerAnswer, Store } from "../src/store/store.ts";
import { handlerFor, type TaskFns } from "../src/task.ts";
import { Unreadable } from "../src/unreadable.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { enqueue, never, openMemory, withVerbs } from "./support/listening.ts";

const owner = "owner0000000";

interface Scene {
  readonly verbs?: Partial<Store>;
  readonly kind?: "asked" | "enqueued";
  readonly maxAttempts?: number;
  readonly clock?: Clock;
  readonly hears?: boolean;
}

/** Starts one attempt of one task, in a world of its own; what is logged and told of it. */
async function start(taskFn: TaskFns, { verbs = {}, kind = "enqueued", maxAttempts = 1, clock, hears }: Scene = {}) {
  const { world, store: memory } = openMemory();
  const store = withVerbs(memory, verbs);
  await enqueue(store, "t", {}, { kind, maxAttempts, timeout: 0 });
  const { tasks } = await store.claim({ listener: owner, sequence: 1, free: 1, lease: 30_000, names: ["work"] });
  const leases = new Leases({ store, owner, lease: 30_000, clock: systemClock });
  const logged: LogEntry[] = [];
  const told: TaskEvent[] = [];
  const log = (entry: LogEntry) => void logged.push(entry);
  const own = clock ?? systemClock;
  const context: AttemptContext = {
    ...{ store, owner, clock: own, leases, serializer: jsonSerializer, log },
    serializers: new Map([["json", jsonSerializer]]),
    unreadable: new Unreadable({ log, interval: 5_000 }),
    retries: new Retries({ clock: systemClock, log }),
    handlerOf: (name) => handlerFor(taskFn, name),
    ...(hears ? { events: new Events((event) => void told.push(event), { clock: own, log }) } : {}),
  };
  const attempt = startAttempt(tasks[0]!, context, systemClock.monotonic());
  const end = () => (leases.close(), world.close());
  return { attempt, logged, told, end };
}

function saying(verdict: OwnerAnswer["verdict"], state: OwnerAnswer["state"]): Partial<Store> {
  const answer = () => Promise.resolve({ verdict, state, cancelAsked: false });
  return { complete: answer, fail: answer };
}

const failing = () => Promise.reject(new Error("e"));

describe("the ending of an attempt", () => {
  for (const hears of [false, true]) {
    it(`is not worth a line when it succeeded${hears ? ", but an event" : ""}`, async () => {
      const { attempt, logged, told, end } = await start(() => 1, { hears });
      await attempt.written;
      end();
      assert.deepEqual(logged, []);
      assert.deepEqual(told.map(({ type }) => type), hears ? ["started", "succeeded"] : []);
    });

    for (const verdict of ["lost", "gone"] as const) {
      for (const taskFn of [() => 1, failing]) {
        const how = `${taskFn === failing ? "failed" : "succeeded"}${hears ? ", with events" : ""}`;
        it(`is a lost lease when the store says ${verdict} (${how})`, async () => {
          const { attempt, logged, told, end } = await start(taskFn, { hears, verbs: saying(verdict, null) });
          await attempt.written;
          end();
          assert.deepEqual(logged.map(({ level, message }) => `${level}: ${message}`), [
            `warn: Cannot keep the outcome of task t: it is ${verdict}`,
          ]);
          assert.deepEqual(told.map(({ type }) => type), hears ? ["started", "lost"] : []);
        });
      }
    }
  }

  for (
    const [kind, maxAttempts, level] of [["enqueued", 1, "warn"], ["asked", 1, "info"], [
      "enqueued",
      3,
      "info",
    ]] as const
  ) {
    it(`is logged when it failed: ${level} (${kind}, of ${maxAttempts})`, async () => {
      const { attempt, logged, end } = await start(failing, { kind, maxAttempts });
      await attempt.written;
      end();
      assert.deepEqual(logged.map((entry) => entry.level), [level]);
      assert.match(logged[0]!.message, maxAttempts > 1 ? /failed in attempt 1; the next one is in \d+ ms/ : /failed$/);
    });
  }

  it("is a loss that is logged and told when the lease was lost, and neither when the listener stops", async () => {
    for (const reason of [new LeaseLostError("lost it"), new ListenerStoppedError("stops")]) {
      const { attempt, logged, told, end } = await start(() => never(), { hears: true });
      attempt.stopper.abort(reason);
      assert.equal(await attempt.written, null);
      end();
      const isLost = reason instanceof LeaseLostError;
      assert.deepEqual(logged.map(({ level, message }) => `${level}: ${message}`), isLost ? ["warn: lost it"] : []);
      assert.deepEqual(told.map(({ type }) => type), isLost ? ["started", "lost"] : ["started"]);
    }
  });

  it("is sent again for half a minute, complained of at the first refusal, then given up", async () => {
    const clock = new FakeClock();
    let tries = 0;
    const complete = () => (tries += 1, Promise.reject(new RedisReplyError("MISCONF disk")));
    const { attempt, logged, end } = await start(() => 1, { clock, verbs: { complete } });
    await clock.advance(0);
    assert.deepEqual(logged.map(({ level }) => level), ["warn"], "after the first refusal");
    await clock.advance(29_000);
    assert.ok(tries > 3, `${tries} tries`);
    assert.equal(logged.length, 1);
    await clock.advance(60_000);
    assert.equal(await attempt.written, null);
    end();
    assert.match(logged[1]!.message, /Cannot store the outcome of task t: it will run again/);
    assert.equal(logged.length, 2);
  });
});
