import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLostError, ListenerStoppedError, TaskCancelledError } from "../src/errors.ts";
import { STOP_BOUND } from "../src/listener.ts";
import type { LogEntry } from "../src/log.ts";
import { decodeOutcome } from "../src/outcome.ts";
import { RedisReplyError } from "../src/port/redis.ts";
import { nextTurn } from "../src/runtime/mod.ts";
import type { ClaimRequest } from "../src/store/store.ts";
import type { RedisTask } from "../src/task.ts";
import { FakeClock } from "./support/fake_clock.ts";
import {
  deferred,
  enqueue,
  inState,
  listening,
  makeListener,
  never,
  openMemory,
  withVerbs,
} from "./support/listening.ts";
import { until, within } from "./support/wait.ts";

const ids = (count: number) => Array.from({ length: count }, (_, at) => `t${at}`);

describe("Listener", () => {
  it("runs what waits and what comes, and tells that it listens", async () => {
    const { store } = openMemory();
    await enqueue(store, "waits", { n: 20 });
    await listening(makeListener(store, (task: RedisTask<{ n: number }>) => task.params.n + 1), async () => {
      assert.equal(decodeOutcome((await inState(store, "waits", "succeeded")).outcome).body, "json=21");
      assert.equal(await store.isListened("work"), true);
      await enqueue(store, "comes", { n: 1 });
      await inState(store, "comes", "succeeded");
    });
    assert.equal(await store.isListened("work"), false);
  });

  it("never claims more than it has free workers", async () => {
    const { store } = openMemory();
    for (const id of ids(40)) await enqueue(store, id);
    let running = 0;
    const watched = withVerbs(store, {
      claim: (request) => {
        assert.ok(running + request.free <= 3, `${running} run, ${request.free} asked for`);
        return store.claim(request);
      },
    });
    const taskFn = async () => {
      running += 1;
      assert.ok(running <= 3);
      await new Promise<void>((resolve) => nextTurn(resolve));
      running -= 1;
    };
    await listening(makeListener(watched, taskFn, { workers: 3 }), async () => {
      for (const id of ids(40)) await inState(store, id, "succeeded");
    });
  });

  it("sends the outcomes of a turn and the next claim together", async () => {
    const { store } = openMemory();
    for (const id of ids(12)) await enqueue(store, id);
    const writes: string[][] = [];
    let write: string[] | null = null;
    const note = (verb: string) => {
      if (write === null) {
        writes.push(write = []);
        nextTurn(() => void (write = null));
      }
      write.push(verb);
    };
    const noting = withVerbs(store, {
      claim: (request) => (note("claim"), store.claim(request)),
      complete: (...call) => (note("complete"), store.complete(...call)),
    });
    await listening(makeListener(noting, () => 1, { workers: 4 }), async () => {
      for (const id of ids(12)) await inState(store, id, "succeeded");
    });
    const joined = writes.filter((verbs) => verbs.join().startsWith("complete,complete,complete,complete,claim"));
    assert.equal(joined.length, 3, JSON.stringify(writes));
  });

  it("asks for the next tasks before it starts those that it has, for half of its workers at a time", async () => {
    const { store } = openMemory();
    for (const id of ids(60)) await enqueue(store, id);
    const seen: string[] = [];
    const noting = withVerbs(store, {
      claim: (request) => (seen.push(`claim ${request.free}`), store.claim(request)),
    });
    const taskFn = () => void (seen.at(-1) === "start" || seen.push("start"));
    await listening(makeListener(noting, taskFn, { workers: 40 }), async () => {
      for (const id of ids(60)) await inState(store, id, "succeeded");
    });
    assert.deepEqual(seen.slice(0, 4), ["claim 20", "claim 20", "start", "claim 20"]);
  });

  it("F26: repeats a claim whose answer was lost under the same sequence, and runs its tasks once", async () => {
    const { store } = openMemory();
    await enqueue(store, "a");
    const sequences: number[] = [];
    let runs = 0;
    const losing = withVerbs(store, {
      claim: async (request: ClaimRequest) => {
        sequences.push(request.sequence);
        const answer = await store.claim(request);
        if (sequences.length < 3) throw new ConnectionLostError("lost", { sent: true });
        return answer;
      },
    });
    await listening(makeListener(losing, () => void (runs += 1)), async () => {
      await inState(store, "a", "succeeded");
    });
    assert.deepEqual(sequences.slice(0, 3), [1, 1, 1]);
    assert.ok(sequences.slice(3).every((sequence) => sequence > 1));
    assert.equal(runs, 1);
  });

  it("stops at once while it waits at the bell", async () => {
    const { store } = openMemory();
    const stop = new AbortController();
    const rings = deferred();
    const bell = withVerbs(store, { openBell: async () => (rings.resolve(), await store.openBell()) });
    const ended = makeListener(bell, () => 1, { interval: 600_000, grace: 600_000 }).run(stop.signal);
    await rings.promise;
    stop.abort();
    await within(ended, "the end", 1_000);
    assert.equal(await store.isListened("work"), false);
  });

  it("F19: gives back what a claim in flight brings after the stop", async () => {
    const { store } = openMemory();
    for (const id of ids(2)) await enqueue(store, id);
    const stop = new AbortController();
    const [claimed, gate] = [deferred(), deferred()];
    const slow = withVerbs(store, {
      claim: async (request) => {
        const answer = await store.claim(request);
        claimed.resolve();
        await gate.promise;
        return answer;
      },
    });
    let runs = 0;
    const ended = makeListener(slow, () => void (runs += 1)).run(stop.signal);
    await claimed.promise;
    stop.abort();
    gate.resolve();
    await within(ended, "the end");
    assert.equal(runs, 0);
    for (const id of ids(2)) assert.equal((await store.read(id))?.state, "queued");
    assert.equal((await store.read("t0"))?.attempt, 0);
  });

  it("F17: lets running tasks end within the grace, and gives the others back in their order", async () => {
    const { store } = openMemory();
    for (const id of ids(4)) await enqueue(store, id);
    const gate = deferred();
    const signals: AbortSignal[] = [];
    const stop = new AbortController();
    const ended = makeListener(store, (task: RedisTask) => {
      signals.push(task.signal);
      return task.id === "t1" ? gate.promise : never();
    }, { grace: 60 }).run(stop.signal);
    await until(() => signals.length === 4, "all run");
    stop.abort();
    gate.resolve();
    await within(ended, "the end", 1_500);
    assert.equal((await store.read("t1"))?.state, "succeeded");
    assert.ok(signals[0]!.reason instanceof ListenerStoppedError);
    const { tasks } = await store.claim({
      listener: "other0000000",
      sequence: 1,
      free: 9,
      lease: 1_000,
      names: ["work"],
    });
    assert.deepEqual(tasks.map(({ id, attempt }) => [id, attempt]), [["t0", 1], ["t2", 1], ["t3", 1]]);
  });

  for (const fault of ["refuses", "loses", "hangs"] as const) {
    it(`ends within the grace and a bound while Redis ${fault}`, async () => {
      const { store } = openMemory();
      const clock = new FakeClock();
      const down = (): Promise<never> =>
        fault === "hangs" ? never() : Promise.reject(new ConnectionLostError("down", { sent: fault === "loses" }));
      const verbs = { claim: down, leave: down, release: down, openBell: down, openControl: down, renew: down };
      const stop = new AbortController();
      const listener = makeListener(withVerbs(store, verbs), () => 1, { clock, grace: 10_000 });
      let over = false;
      const ended = listener.run(stop.signal).then(() => void (over = true));
      await clock.advance(5_000);
      stop.abort();
      await clock.advance(10_000 + STOP_BOUND);
      assert.equal(over, true);
      await ended;
    });
  }

  it("frees a slot when the handler has settled, and ends although a write hangs", async () => {
    const { store } = openMemory();
    for (const id of ids(3)) await enqueue(store, id);
    const clock = new FakeClock();
    const seen: string[] = [];
    const hanging = withVerbs(store, { complete: () => never() });
    const stop = new AbortController();
    const ended = makeListener(hanging, (task: RedisTask) => void seen.push(task.id), { clock, workers: 1 })
      .run(stop.signal);
    await until(() => seen.length === 3, "all ran");
    stop.abort();
    await clock.advance(1_000 + STOP_BOUND);
    await within(ended, "the end");
  });

  it("renews the tasks of an answer that came late before it starts them", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    for (const id of ids(2)) await enqueue(store, id);
    const [claimed, gate] = [deferred(), deferred()];
    let first = true;
    const late = withVerbs(store, {
      claim: async (request) => {
        const answer = await store.claim(request);
        if (!first) return answer;
        first = false;
        claimed.resolve();
        await gate.promise;
        return answer;
      },
    });
    const seen: string[] = [];
    const stop = new AbortController();
    const taskFn = (task: RedisTask) => void seen.push(task.id);
    const ended = makeListener(late, taskFn, { clock }).run(stop.signal);
    await claimed.promise;
    const { owner, fence } = (await store.read("t0"))!;
    await store.complete({ id: "t0", name: "work", owner, fence }, "\njson=1");
    await clock.advance(15_000);
    gate.resolve();
    await until(() => seen.length > 0, "one runs");
    stop.abort();
    await clock.advance(0);
    await within(ended, "the end");
    assert.deepEqual(seen, ["t1"]);
  });

  it("hears of a cancel at once", async () => {
    const { store } = openMemory();
    await enqueue(store, "a");
    const started = deferred<AbortSignal>();
    await listening(makeListener(store, (task: RedisTask) => (started.resolve(task.signal), never())), async () => {
      const signal = await started.promise;
      assert.equal((await store.cancel({ id: "a" })).verdict, "asked");
      await inState(store, "a", "cancelled");
      assert.ok(signal.reason instanceof TaskCancelledError);
    });
  });

  it("F80: serves more names than one claim looks at", async () => {
    const { store } = openMemory();
    const names = Array.from({ length: 200 }, (_, at) => `n${at}`);
    for (const name of names) await enqueue(store, name, {}, { name });
    const looked: number[] = [];
    const watched = withVerbs(store, { claim: (request) => (looked.push(request.names.length), store.claim(request)) });
    await listening(makeListener(watched, () => 1, { names, workers: 8, interval: 200 }), async () => {
      for (const name of names) await inState(store, name, "succeeded");
    });
    assert.ok(looked.every((count) => count <= 128)); // Which of them are more than 32: tests/name_rota_test.ts.
  });

  it("finds the refused ones among many names, and looks at them ever more rarely until they work", async () => {
    const { store } = openMemory();
    const names = Array.from({ length: 70 }, (_, at) => `n${at}`);
    const bad = new Set(["n3", "n40", "n69"]);
    let alone = 0;
    const refusing = withVerbs(store, {
      claim: (request) => {
        if (!request.names.some((name) => bad.has(name))) return store.claim(request);
        if (request.names.length === 1) alone += 1;
        return Promise.reject(new RedisReplyError("WRONGTYPE"));
      },
    });
    const logged: (string | undefined)[] = [];
    const log = ({ level, taskName }: LogEntry) => level === "error" && logged.push(taskName);
    await listening(makeListener(refusing, () => 1, { names, log, interval: 1_000 }), async () => {
      for (const name of names) await enqueue(store, name, {}, { name });
      for (const name of names.filter((name) => !bad.has(name))) await inState(store, name, "succeeded");
      await until(() => alone > 9, "they are looked at again");
      for (const name of bad) assert.ok(logged.includes(name), name);
      bad.clear();
      for (const name of names) await inState(store, name, "succeeded");
    });
    assert.ok(alone < 30, `${alone} looks`);
  });

  it("is not harmed by handlers that misbehave", async () => {
    const { store } = openMemory();
    for (const id of ["throws", "text", "never", "late", "good"]) {
      await enqueue(store, id, {}, { name: id, timeout: id === "never" ? 50 : 60_000 });
    }
    await enqueue(store, "unknown", {}, { name: "unknown" });
    await enqueue(store, "garbage", {}, { name: "good", params: "json={" });
    const taskFns = {
      throws: () => {
        throw new Error("no");
      },
      text: () => Promise.reject("text"),
      never: () => never(),
      late: (task: RedisTask) => void setTimeout(() => void task.update(1, 2)),
      good: () => 1,
    };
    const log = () => {
      throw new Error("log");
    };
    const names = [...Object.keys(taskFns), "unknown"];
    await listening(makeListener(store, taskFns, { names, log, workers: 1 }), async () => {
      for (const id of ["throws", "text", "unknown", "garbage"]) await inState(store, id, "failed");
      await inState(store, "never", "expired");
      for (const id of ["late", "good"]) await inState(store, id, "succeeded");
    });
  });

  it("refuses what it cannot do", async () => {
    const { store } = openMemory();
    const names = Array.from({ length: 257 }, (_, at) => `n${at}`);
    assert.throws(() => makeListener(store, () => 1, { names }), RangeError);
    assert.throws(() => makeListener(store, () => 1, { names: [] }), RangeError);
    for (const workers of [0, 1.5]) {
      assert.throws(() => makeListener(store, () => 1, { workers }), RangeError);
    }
    const listener = makeListener(store, () => 1);
    await listener.run(AbortSignal.abort());
    await assert.rejects(listener.run(AbortSignal.abort()), TypeError);
  });
});
