/** Which claims a listener sends, and which it does not: beside a stop, a refusal, a lost answer, an empty queue. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLostError } from "../src/errors.ts";
import type { LogEntry } from "../src/log.ts";
import { RedisReplyError } from "../src/port/redis.ts";
import type { ClaimAnswer, ClaimRequest, Store } from "../src/store/store.ts";
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

/** The store, and the claims that it is sent; `answer` may give another answer to the n-th of them. */
function watched(
  store: Store,
  answer: (nth: number, request: ClaimRequest) => Promise<ClaimAnswer> | null = () => null,
) {
  const claims: ClaimRequest[] = [];
  const claim = (request: ClaimRequest) => {
    claims.push(request);
    return answer(claims.length, request) ?? store.claim(request);
  };
  return { claims, store: withVerbs(store, { claim }) };
}

const lost = (sent: boolean) => Promise.reject(new ConnectionLostError("lost", { sent }));
const refused = () => Promise.reject(new RedisReplyError("ERR no"));

describe("the claims of a listener", () => {
  it("end with what there is: then it waits at the bell", async () => {
    const { store: memory } = openMemory();
    await enqueue(memory, "a");
    let before = 0;
    const waits = deferred();
    const belled = withVerbs(memory, { openBell: () => (before = claims.length, waits.resolve(), memory.openBell()) });
    const { claims, store } = watched(belled);
    await listening(makeListener(store, () => never(), { workers: 40, grace: 0 }), () => waits.promise);
    assert.equal(before, 1);
  });

  it("end with the stop while it waits at the bell", async () => {
    const { store: memory } = openMemory();
    const rings = deferred();
    const { claims, store } = watched(
      withVerbs(memory, { openBell: async () => (rings.resolve(), await memory.openBell()) }),
    );
    const stop = new AbortController();
    const ended = makeListener(store, () => 1, { interval: 600_000 }).run(stop.signal);
    await rings.promise;
    stop.abort();
    await within(ended, "the end");
    assert.equal(claims.length, 1);
  });

  it("end with the stop while one is in flight, however much it brings", async () => {
    const { store: memory } = openMemory();
    for (let n = 0; n < 30; n++) await enqueue(memory, `t${n}`);
    const [sent, gate] = [deferred(), deferred()];
    const { claims, store } = watched(memory, (_nth, request) => {
      sent.resolve();
      return gate.promise.then(() => memory.claim(request));
    });
    const stop = new AbortController();
    const ended = makeListener(store, () => 1, { workers: 40 }).run(stop.signal);
    await sent.promise;
    stop.abort();
    gate.resolve();
    await within(ended, "the end");
    assert.equal(claims.length, 1);
    assert.equal((await memory.counts("work")).queued, 30);
  });

  it("are asked once more when Redis refuses one, under the same sequence, but not after the stop", async () => {
    for (const isStopped of [false, true]) {
      const { store: memory } = openMemory();
      await enqueue(memory, "a");
      const [sent, gate] = [deferred(), deferred()];
      const { claims, store } = watched(memory, (nth) => {
        sent.resolve();
        return nth === 1 ? gate.promise.then(refused) : null;
      });
      const stop = new AbortController();
      const ended = makeListener(store, () => 1).run(stop.signal);
      await sent.promise;
      if (isStopped) stop.abort();
      gate.resolve();
      if (!isStopped) await inState(memory, "a", "succeeded");
      stop.abort();
      await within(ended, "the end");
      assert.deepEqual(claims.slice(0, 2).map(({ sequence }) => sequence), isStopped ? [1] : [1, 1]);
    }
  });

  for (const isSent of [false, true]) {
    it(`${isSent ? "are repeated after the stop when one may have arrived" : "end with the stop when none has arrived"}`, async () => {
      const { store: memory } = openMemory();
      await enqueue(memory, "a");
      const logged: LogEntry[] = [];
      const failed = deferred();
      const { claims, store } = watched(memory, (nth) => {
        if (nth > 1) return null;
        failed.resolve();
        return lost(isSent);
      });
      const stop = new AbortController();
      const log = (entry: LogEntry) => void logged.push(entry);
      const ended = makeListener(store, () => 1, { log, grace: 2_000 }).run(stop.signal);
      await failed.promise;
      await until(() => logged.length > 0, "a line of the log");
      assert.match(logged[0]!.message, /Cannot claim tasks: trying again/);
      stop.abort();
      await within(ended, "the end");
      assert.deepEqual(claims.map(({ sequence }) => sequence), isSent ? [1, 1] : [1]);
      assert.equal((await memory.read("a"))?.state, "queued");
    });
  }

  it("are followed by a renewal only when tasks came late", async () => {
    for (const [wait, hasTask, expected] of [[0, true, 0], [15_000, false, 0], [15_000, true, 1]] as const) {
      const clock = new FakeClock();
      const { store: memory } = openMemory(clock);
      if (hasTask) await enqueue(memory, "a");
      const [sent, gate] = [deferred(), deferred()];
      let renewals = 0;
      const counting = withVerbs(memory, { renew: (request) => (renewals += 1, memory.renew(request)) });
      const { store } = watched(counting, (nth, request) => {
        if (nth > 1) return null;
        sent.resolve();
        return gate.promise.then(() => memory.claim(request));
      });
      const started = deferred();
      const stop = new AbortController();
      const taskFn = () => (started.resolve(), 1);
      const ended = makeListener(store, taskFn, { clock, interval: 600_000 }).run(stop.signal);
      await sent.promise;
      await clock.advance(wait);
      gate.resolve();
      if (hasTask) await started.promise;
      await clock.advance(0);
      stop.abort();
      await clock.advance(0);
      await within(ended, "the end");
      assert.equal(renewals, expected, `${wait} ms, ${hasTask}`);
    }
  });

  it("are not tried in each turn while all names are set aside", async () => {
    let turns = 0;
    const clock = new class extends FakeClock {
      override nextTurn(callback: () => void): void {
        turns += 1;
        super.nextTurn(callback);
      }
    }();
    const { store: memory } = openMemory(clock);
    const { claims, store } = watched(memory, refused);
    const stop = new AbortController();
    const ended = makeListener(store, () => 1, { clock, interval: 600_000 }).run(stop.signal);
    const pass = async () => {
      for (let turn = 0; turn < 10; turn++) await clock.advance(0);
      return turns;
    };
    assert.equal(await pass(), await pass());
    assert.equal(claims.length, 2);
    stop.abort();
    await clock.advance(0);
    await within(ended, "the end");
  });

  it("look again at once at a name that filled one, however many names there are", async () => {
    const { store: memory } = openMemory();
    const name = "name-35";
    for (const id of ["a", "b"]) await enqueue(memory, id, {}, { name });
    const { claims, store } = watched(memory);
    const names = Array.from({ length: 40 }, (_, at) => `name-${at}`);
    const listener = makeListener(store, () => 1, { names, workers: 1, interval: 600_000 });
    await listening(listener, async () => void await inState(memory, "b", "succeeded"));
    assert.equal(claims[1]?.names[0], name);
  });
});

describe("a listener", () => {
  it("is not healthy before it runs and after its stop, and says so at once", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    const listener = makeListener(store, () => 1, { clock });
    assert.equal(await within(listener.health(60_000), "an answer", 2_000), false);
    const stop = new AbortController();
    const ended = listener.run(stop.signal);
    stop.abort();
    await clock.advance(0);
    await within(ended, "the end");
    assert.equal(await within(listener.health(60_000), "an answer", 2_000), false);
  });

  it("says when it could not say good-bye, and only then", async () => {
    for (const fails of [false, true]) {
      const { store } = openMemory();
      const logged: string[] = [];
      const leaving = withVerbs(store, fails ? { leave: () => Promise.reject(new Error("away")) } : {});
      const log = ({ message }: LogEntry) => void logged.push(message);
      await listening(makeListener(leaving, () => 1, { log }), async () => {});
      assert.deepEqual(logged.map((line) => /could not say good-bye/.test(line)), fails ? [true] : []);
    }
  });

  it("keeps its subscription to cancels until the stop, and complains once when it cannot have one", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    const logged: string[] = [];
    let tries = 0;
    let closed = 0;
    const openControl: Store["openControl"] = () => {
      tries += 1;
      if (tries < 4) return Promise.reject(new ConnectionLostError("away", { sent: false }));
      return Promise.resolve({ close: () => void (closed += 1) });
    };
    const log = ({ message }: LogEntry) => void logged.push(message);
    const stop = new AbortController();
    const ended = makeListener(withVerbs(store, { openControl }), () => 1, { clock, log }).run(stop.signal);
    await clock.advance(0);
    assert.deepEqual([tries, logged], [1, ["Cannot subscribe to cancels: trying again"]]);
    await clock.advance(60_000);
    assert.deepEqual([tries, logged.length, closed], [4, 1, 0]);
    stop.abort();
    await clock.advance(0);
    await within(ended, "the end");
    assert.equal(closed, 1);
  });

  it("closes a subscription that comes after the stop", async () => {
    const { store } = openMemory();
    const gate = deferred();
    let closed = 0;
    const openControl = () => gate.promise.then(() => ({ close: () => void (closed += 1) }));
    await listening(makeListener(withVerbs(store, { openControl }), () => 1), async () => {});
    gate.resolve();
    await until(() => closed === 1, "it is closed");
  });
});
