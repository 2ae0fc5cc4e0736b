import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { TaskCancelledError, TaskReplacedError } from "../src/errors.ts";
import { Inbox } from "../src/inbox.ts";
import { keysOf } from "../src/keys.ts";
import { encodeOutcome } from "../src/outcome.ts";
import { MemoryRedis } from "../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { EnqueueRequest, OnTold, Store } from "../src/store/store.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { until, within } from "./support/wait.ts";

const CLIENT = "client000001";
const NONCE = `${CLIENT}00000001`;
const INTERVAL = 5_000;
const LEASE = 30_000;
const done = encodeOutcome({ progress: null, body: "json=42" });

/** A store that counts, and whose inbox may be deaf. */
class Postbox extends MemoryStore {
  deaf = false;
  opened = 0;
  closed = 0;
  headers = 0;
  reads = 0;
  /** Tells the inbox. */
  tell: OnTold = () => {};
  #gap: () => void = () => {};

  override async openInbox(
    client: string,
    onTold: OnTold,
    onGap: () => void,
  ): ReturnType<Store["openInbox"]> {
    this.opened += 1;
    this.#gap = onGap;
    this.tell = (ids, record) => void (this.deaf || onTold(ids, record));
    const inner = await super.openInbox(client, this.tell, onGap);
    return {
      close: () => {
        this.closed += 1;
        inner.close();
      },
    };
  }

  override readHeader(id: string): ReturnType<Store["readHeader"]> {
    this.headers += 1;
    return super.readHeader(id);
  }

  override read(id: string): ReturnType<Store["read"]> {
    this.reads += 1;
    return super.read(id);
  }

  gap(): void {
    this.#gap();
  }
}

function make(): { world: MemoryRedis; clock: FakeClock; store: Postbox; inbox: Inbox } {
  const world = new MemoryRedis();
  const clock = new FakeClock();
  const store = new Postbox(world, keysOf("test", "inbox"), clock);
  const inbox = new Inbox({ store, client: CLIENT, clock, interval: INTERVAL, lease: LEASE, log: () => {} });
  return { world, clock, store, inbox };
}

function request(id: string, change: Partial<EnqueueRequest> = {}): EnqueueRequest {
  return {
    ...{ id, name: "n", nonce: NONCE, kind: "asked", timeout: 600_000, resultTtl: 600_000, delay: 0 },
    ...{ maxAttempts: 1, options: "", params: "json=1", ifExists: "join" },
    ...change,
  };
}

/** A listener's work on whatever is queued. */
async function work(store: Store, sequence = 1): Promise<void> {
  const listener = "listener0001";
  const { tasks } = await store.claim({ listener, sequence, free: 8, lease: 30_000, names: ["n"] });
  for (const { id, name, fence } of tasks) await store.complete({ id, name, fence, owner: listener }, done);
}

const never = () => Promise.reject(new Error("not to be called"));

describe("Inbox", () => {
  it("brings the answer by a message, without a look", async () => {
    const { clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await clock.advance(0);
    await store.enqueue(request("a"));
    const ended = waiter.ended({ nonce: NONCE, resubmit: never });
    await work(store);
    assert.equal((await within(ended, "the answer")).outcome, done);
    assert.equal(store.headers, 0);
    inbox.close();
  });

  it("reads nothing when the message brings the end", async () => {
    const { store, inbox } = make();
    const [first, second, late] = [inbox.expect("a"), inbox.expect("a"), inbox.expect("a")];
    await first.ready;
    await store.enqueue(request("a"));
    const both = [first, second].map((waiter) => waiter.ended({ nonce: NONCE, resubmit: never }));
    await work(store);
    const [one, other] = await within(Promise.all(both), "the answers");
    assert.equal(one!.outcome, done);
    assert.equal(other!.outcome, done);
    assert.equal((await within(late.ended({ nonce: NONCE, resubmit: never }), "the late one's")).outcome, done);
    assert.deepEqual([store.reads, store.headers], [0, 0]);
    inbox.close();
  });

  it("reads when a message brings the end of another run, or what is no end", async () => {
    const { store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    let isOver = false;
    const ended = waiter.ended({ nonce: NONCE, resubmit: never }).finally(() => isOver = true);
    const waiting = (await store.read("a"))!;
    for (const record of [{ ...waiting, state: "succeeded", nonce: `${CLIENT}00000000` } as const, waiting]) {
      const { reads } = store;
      store.tell(["a"], record);
      await until(() => store.reads === reads + 1, "it is read");
    }
    assert.equal(isOver, false);
    await work(store);
    assert.equal((await within(ended, "the answer")).outcome, done);
    inbox.close();
  });

  it("F71: keeps a message that comes before anybody waits", async () => {
    const { store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    await work(store);
    assert.equal((await within(waiter.ended({ nonce: NONCE, resubmit: never }), "it")).state, "succeeded");
    inbox.close();
  });

  it("F72: looks soon while no echo proves that it hears, and once an interval when one does", async () => {
    const { clock, store, inbox } = make();
    store.deaf = true;
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    const ended = waiter.ended({ nonce: NONCE, resubmit: never });
    await work(store);
    await clock.advance(60);
    assert.equal((await within(ended, "the answer by a look")).state, "succeeded");
    waiter.close();
    inbox.close();

    const proven = make();
    const other = proven.inbox.expect("a");
    await other.ready;
    await proven.store.enqueue(request("a"));
    void other.ended({ nonce: NONCE, resubmit: never });
    await proven.clock.advance(INTERVAL - 100);
    assert.equal(proven.store.headers, 0);
    await proven.clock.advance(10 * INTERVAL);
    assert.ok(proven.store.headers >= 10 && proven.store.headers <= 12, `${proven.store.headers} looks`);
    other.close();
    proven.inbox.close();
  });

  it("F72: looks after a gap", async () => {
    const { clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await clock.advance(10);
    await store.enqueue(request("a"));
    const ended = waiter.ended({ nonce: NONCE, resubmit: never });
    store.deaf = true;
    await work(store);
    store.gap();
    await clock.advance(60);
    assert.equal((await within(ended, "the answer after the gap")).state, "succeeded");
    inbox.close();
  });

  it("F72: looks once after a gap, though the echo came first", async () => {
    const { clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await clock.advance(10);
    await store.enqueue(request("a"));
    const ended = waiter.ended({ nonce: NONCE, resubmit: never });
    store.deaf = true;
    await work(store);
    store.deaf = false;
    store.gap();
    await clock.advance(60);
    assert.equal((await within(ended, "the answer after the gap")).state, "succeeded");
    assert.equal(store.headers, 1);
    inbox.close();
  });

  it("F28 F36: dials anew when it stays deaf", async () => {
    const { clock, store, inbox } = make();
    store.deaf = true;
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    void waiter.ended({ nonce: NONCE, resubmit: never });
    await clock.advance(4 * INTERVAL);
    assert.ok(store.opened >= 2, `opened ${store.opened} times`);
    assert.equal(store.closed, store.opened - 1);
    waiter.close();
    inbox.close();
  });

  it("asks again for a record that has vanished", async () => {
    const { world, clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    let resubmitted = 0;
    const ended = waiter.ended({
      nonce: NONCE,
      resubmit: async () => {
        resubmitted += 1;
        await store.enqueue(request("a"));
      },
    });
    world.delete(keysOf("test", "inbox").record("a"));
    world.delete(keysOf("test", "inbox").queue("n"));
    await clock.advance(INTERVAL + 100);
    assert.equal(resubmitted, 1);
    await work(store);
    assert.equal((await within(ended, "the answer")).state, "succeeded");
    inbox.close();
  });

  it("tells a replaced run and a deleted task apart", async () => {
    const { clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    const replaced = assert.rejects(waiter.ended({ nonce: NONCE, resubmit: never }), TaskReplacedError);
    const nonce = "client00000200000001";
    await store.enqueue(request("a", { nonce, ifExists: "replace" }));
    await clock.advance(INTERVAL + 100);
    await within(replaced, "the error");

    store.deaf = true;
    const deleted = assert.rejects(waiter.ended({ nonce, resubmit: never }), TaskCancelledError);
    await store.cancel({ id: "a" });
    await store.take({ id: "a", reader: "reader000001" });
    await store.acknowledge({ id: "a", reader: "reader000001" });
    await clock.advance(INTERVAL + 100);
    await within(deleted, "the error");
    inbox.close();
  });

  it("says which tasks wait still, at each look", async () => {
    const { clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    const seen: string[] = [];
    void waiter.ended({ nonce: NONCE, resubmit: never, onWaiting: ({ state }) => seen.push(state) });
    await clock.advance(2 * INTERVAL + 100);
    assert.deepEqual(seen, ["queued", "queued"]);
    waiter.close();
    inbox.close();
  });

  for (const state of ["running", "queued"]) {
    it(`asks again, once a lease, for a task that was ${state} all the while`, async () => {
      const { clock, store, inbox } = make();
      const waiter = inbox.expect("a");
      await waiter.ready;
      await store.enqueue(request("a"));
      const claim = { listener: "listener0001", sequence: 1, free: 8, lease: 10 * LEASE, names: ["n"] };
      if (state === "running") await store.claim(claim);
      let asked = 0;
      const resubmit = () => Promise.reject(new Error(`away ${asked += 1}`));
      const ended = waiter.ended({ nonce: NONCE, resubmit });
      await clock.advance(LEASE);
      assert.equal(asked, 0);
      await clock.advance(LEASE);
      assert.equal(asked, 1);
      await clock.advance(2 * LEASE);
      assert.ok(asked === 2 || asked === 3, `asked ${asked} times`);
      waiter.close();
      void ended;
      inbox.close();
    });
  }

  it("drops the subscription a second after its last waiter, and holds no timer then", async () => {
    const { clock, store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    waiter.close();
    await clock.advance(900);
    assert.equal(store.closed, 0);
    const next = inbox.expect("b");
    await clock.advance(5_000);
    assert.deepEqual([store.opened, store.closed], [1, 0]);
    next.close();
    await clock.advance(1_000);
    assert.deepEqual([store.opened, store.closed, clock.pending], [1, 1, 0]);
    await inbox.expect("c").ready;
    assert.equal(store.opened, 2);
    inbox.close();
    assert.equal(clock.pending, 0);
  });

  it("tells all who wait for one id, and drops the subscription when the last of them has left", async () => {
    const { clock, store, inbox } = make();
    const waiters = [inbox.expect("a"), inbox.expect("a"), inbox.expect("a")];
    await waiters[0]!.ready;
    await store.enqueue(request("a"));
    const [first, ...others] = waiters.map((waiter) => waiter.ended({ nonce: NONCE, resubmit: never }));
    void first;
    waiters[0]!.close();
    await store.cancel({ id: "a", unlessJoined: false });
    for (const record of await Promise.all(others)) assert.equal(record.state, "cancelled");
    for (const waiter of [...waiters, ...waiters]) waiter.close();
    await clock.advance(1_000);
    assert.deepEqual([store.closed, clock.pending], [1, 0]);
    inbox.close();
  });

  it("close rejects what waits", async () => {
    const { store, inbox } = make();
    const waiter = inbox.expect("a");
    await waiter.ready;
    await store.enqueue(request("a"));
    const ended = assert.rejects(waiter.ended({ nonce: NONCE, resubmit: never }), { name: "ConnectionLostError" });
    inbox.close();
    await within(ended, "the error");
  });
});
