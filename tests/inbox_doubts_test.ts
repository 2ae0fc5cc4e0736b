/** What an inbox does when its store answers late, refuses, or cannot be reached. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLostError } from "../src/errors.ts";
import { Inbox } from "../src/inbox.ts";
import type { LogEntry } from "../src/log.ts";
import type { Store } from "../src/store/store.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { deferred, enqueue, openMemory, withVerbs } from "./support/listening.ts";

const CLIENT = "client000000";
const INTERVAL = 5_000;
const never = () => Promise.reject(new Error("resubmitted"));
const away = () => Promise.reject(new ConnectionLostError("away", { sent: false }));

async function setUp(verbs: (store: Store) => Partial<Store>) {
  const clock = new FakeClock();
  const { store } = openMemory(clock);
  const logged: string[] = [];
  const log = ({ message }: LogEntry) => void logged.push(message);
  const inbox = new Inbox({
    ...{ store: withVerbs(store, verbs(store)), client: CLIENT, clock, interval: INTERVAL, lease: 30_000, log },
  });
  await enqueue(store, "a", {}, { timeout: 600_000 });
  const { nonce } = (await store.read("a"))!;
  return { clock, store, inbox, logged, nonce };
}

describe("an inbox in doubt", () => {
  it("hears on while one of its waiters is left", async () => {
    let closed = 0;
    const { clock, inbox } = await setUp((store) => ({
      openInbox: async (...args) => {
        const inner = await store.openInbox(...args);
        return { close: () => (closed += 1, inner.close()) };
      },
    }));
    const [a, b] = [inbox.expect("a"), inbox.expect("b")];
    await Promise.all([a.ready, b.ready]);
    a.close();
    await clock.advance(2_000);
    assert.equal(closed, 0);
    inbox.close();
  });

  it("dials again for the next waiter when it could not be opened", async () => {
    let tries = 0;
    const { inbox } = await setUp((store) => ({
      openInbox: (...args) => (tries += 1) === 1 ? away() : store.openInbox(...args),
    }));
    await assert.rejects(inbox.expect("a").ready!, ConnectionLostError);
    await inbox.expect("a").ready;
    assert.equal(tries, 2);
    inbox.close();
  });

  it("looks at a thousand tasks at a time, in turn", async () => {
    const looked: string[] = [];
    const { clock, inbox } = await setUp(() => ({ readHeader: (id) => (looked.push(id), Promise.resolve(null)) }));
    const waiters = Array.from({ length: 1_500 }, (_, n) => inbox.expect(`t${n}`));
    await waiters[0]!.ready;
    const resubmit = () => new Promise<void>(() => {});
    for (const waiter of waiters) waiter.ended({ nonce: "x", resubmit }).catch(() => {});
    await clock.advance(INTERVAL);
    const first = new Set(looked);
    assert.equal(first.size, 1_000);
    await clock.advance(2 * INTERVAL);
    assert.equal(new Set(looked).size, 1_500);
    inbox.close();
  });

  it("says when it hears nothing and cannot dial, but not once it is closed", async () => {
    for (const isClosed of [false, true]) {
      let opened = 0;
      const gate = deferred();
      const { clock, inbox, logged } = await setUp(() => ({
        openInbox: () => (opened += 1) === 1 ? Promise.resolve({ close: () => {} }) : gate.promise.then(away),
        pingInbox: () => Promise.resolve(),
      }));
      const waiter = inbox.expect("b");
      await waiter.ready;
      void waiter.ended({ nonce: "x", resubmit: never }).catch(() => {});
      await clock.advance(4 * INTERVAL);
      assert.equal(opened, 2);
      if (isClosed) inbox.close();
      gate.resolve();
      await clock.advance(0);
      assert.equal(logged.filter((line) => line.startsWith("The inbox cannot dial")).length, isClosed ? 0 : 1);
      inbox.close();
    }
  });

  it("waits on when a look cannot be had, and reads nothing for it", async () => {
    let isAway = true;
    let reads = 0;
    const { clock, store, inbox } = await setUp((store) => ({
      readHeader: (id) => isAway ? away() : store.readHeader(id),
      read: (id) => (reads += 1, store.read(id)),
      pingInbox: () => Promise.resolve(),
    }));
    const waiter = inbox.expect("a");
    await waiter.ready;
    const { nonce } = (await store.read("a"))!;
    let ended = "";
    const wait = waiter.ended({ nonce, resubmit: never }).then(
      ({ state }) => ended = state,
      (error) => ended = error.name,
    );
    await clock.advance(INTERVAL);
    assert.deepEqual([ended, reads], ["", 0]);
    isAway = false;
    await store.cancel({ id: "a" });
    await clock.advance(INTERVAL);
    await wait;
    assert.equal(ended, "cancelled");
    inbox.close();
  });

  it("waits on when the record cannot be read for a moment", async () => {
    let tries = 0;
    const { clock, store, inbox, nonce, logged } = await setUp((store) => ({
      read: (id) => (tries += 1) === 1 ? away() : store.read(id),
    }));
    const waiter = inbox.expect("a");
    await waiter.ready;
    const wait = waiter.ended({ nonce, resubmit: never });
    await store.cancel({ id: "a" });
    waiter.ring(null);
    await clock.advance(2 * INTERVAL);
    assert.equal((await wait).state, "cancelled");
    assert.deepEqual(logged, ["An answer could not be read"]);
    inbox.close();
  });

  it("tells nobody who has left while it looked", async () => {
    const gate = deferred();
    const { clock, inbox, nonce } = await setUp((store) => ({
      readHeader: (id) => gate.promise.then(() => store.readHeader(id)),
      pingInbox: () => Promise.resolve(),
    }));
    const waiter = inbox.expect("a");
    await waiter.ready;
    const seen: string[] = [];
    const pending = { nonce, resubmit: never, onWaiting: () => void seen.push("a") };
    waiter.wait({ ...pending, ended: () => {}, failed: () => {} });
    await clock.advance(100);
    waiter.close();
    gate.resolve();
    await clock.advance(0);
    assert.deepEqual(seen, []);
    inbox.close();
  });

  it("looks at no header while it reads the record", async () => {
    const gate = deferred();
    let headers = 0;
    const { clock, inbox, nonce } = await setUp((store) => ({
      read: (id) => gate.promise.then(() => store.read(id)),
      readHeader: (id) => (headers += 1, store.readHeader(id)),
      pingInbox: () => Promise.resolve(),
    }));
    const waiter = inbox.expect("a");
    await waiter.ready;
    waiter.ended({ nonce, resubmit: never }).catch(() => {});
    waiter.ring(null);
    await clock.advance(100);
    assert.equal(headers, 0);
    gate.resolve();
    await clock.advance(0);
    inbox.close();
  });

  it("asks again later for what Redis has lost while it is away, and ends with what no repetition mends", async () => {
    let asked = 0;
    const { clock, inbox } = await setUp(() => ({}));
    const waiter = inbox.expect("lost");
    await waiter.ready;
    const resubmit = () => (asked += 1) === 1 ? away() : Promise.reject(new TypeError("ours"));
    const wait = assert.rejects(waiter.ended({ nonce: "x", resubmit }), TypeError);
    waiter.ring(null);
    await clock.advance(INTERVAL);
    await wait;
    assert.equal(asked, 2);
    inbox.close();
  });
});
