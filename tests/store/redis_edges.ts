/**
 * The same of the Redis store where only Redis can show it: usual bounds, many tasks in one call, keys of a wrong type,
 * keys that must not be written.
 *
 * Previous: `redis_store_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { keysOf } from "../../src/keys.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { enqueueItem, enqueueScript } from "../../src/store/redis/enqueue.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import { BOUNDS } from "../../src/store/ended.ts";
import { ADA, ask, BOB, claimOf, LEASE, nonce, ONE, own } from "../conformance/store_kit.ts";
import { deferred } from "../support/listening.ts";
import { testConnect } from "../support/test_client.ts";

/** What the tests run on. */
export interface Server {
  readonly url: string;
  readonly port: RedisPort;
}

/** A store of its own for each test, and short ways to ask Redis itself. */
class Edge {
  readonly port: RedisPort;
  readonly keys: ReturnType<typeof keysOf>;
  readonly store: RedisStore;
  now = Date.now();

  constructor({ port }: Server, test: number) {
    this.port = port;
    this.keys = keysOf(`{edge-${test}}`, "q");
    this.store = this.over(port);
  }

  over(port: RedisPort): RedisStore {
    return new RedisStore(port, this.keys, { time: () => this.now });
  }

  async value(...command: [string, ...string[]]): Promise<unknown> {
    return (await this.port.exec([command]))[0];
  }

  /** Enqueued, claimed and ended. */
  async end(id: string, sequence: number, state: "succeeded" | "failed"): Promise<void> {
    await this.store.enqueue(ask(id, { kind: "enqueued" }));
    const task = own((await this.store.claim(claimOf(sequence))).tasks[0]!);
    if (state === "succeeded") await this.store.complete(task, "\njson=1");
    else await this.store.fail(task, { state, outcome: "\n!{}" });
  }
}

/** Declares the tests. */
export function testRedisEdges(server: () => Server): void {
  let edge: Edge;
  let tests = 0;
  beforeEach(() => void (edge = new Edge(server(), tests += 1)));
  describe("Redis store: usual bounds", () => testUsualBounds(() => edge));
  describe("Redis store: what one call sweeps", () => testSweep(() => edge));
  describe("Redis store: failures in a call of many", () => testFailures(() => edge, server));
  describe("Redis store: moments and names", () => testMoments(() => edge));
}

function testUsualBounds(edge: () => Edge): void {
  it("10,000 dead letters are kept, and not one more", async () => {
    const { keys, now } = edge();
    const fill = "for n = 1, ARGV[1] do redis.call('ZADD', KEYS[1], ARGV[2], 'gone' .. n) end";
    await edge().value("EVAL", fill, "1", keys.dead("greet"), String(BOUNDS.deadMax), String(now - 1_000));
    await edge().end("a", 1, "failed");
    assert.equal((await edge().store.counts("greet")).dead, BOUNDS.deadMax);
  });

  for (const excess of [0, 1]) {
    it(`64 MiB of results ${excess ? "and one byte are too many" : "are kept"}`, async () => {
      const one = edge();
      await one.end("a", 1, "succeeded");
      const size = Number(await one.value("STRLEN", one.keys.record("a")));
      await one.value("HSET", one.keys.stats("greet"), "doneBytes", String(BOUNDS.doneBytes + excess - size));
      one.now += 30_000;
      await one.end("b", 2, "succeeded");
      assert.equal((await one.store.counts("greet")).done, 2 - excess);
    });
  }
}

function testSweep(edge: () => Edge): void {
  const gone = Array.from({ length: 20 }, (_, n) => `gone${n}`);
  const plain = (id: string) => edge().store.enqueue(ask(id));
  const late = (id: string) => edge().store.enqueue(ask(id, { delay: 1_000 }));

  it("is two dead hints more than it brings, also when that is one that waits elsewhere", async () => {
    const { keys } = edge();
    await edge().value("RPUSH", keys.queue("greet"), ...gone);
    await late("a");
    assert.equal(await edge().value("LLEN", keys.queue("greet")), 20 - 3);
  });

  it("counts all that came, plain ones and others, in any order", async () => {
    const { keys } = edge();
    await edge().value("RPUSH", keys.queue("greet"), ...gone);
    await Promise.all([plain("a"), plain("b"), late("c"), late("d"), plain("e")]);
    assert.equal(await edge().value("LLEN", keys.queue("greet")), 20 + 3 - (5 + 2));
  });

  it("counts the hints that come back to a list that was lost", async () => {
    const { keys, store } = edge();
    const lost = ["a", "b", "c", "d"];
    await Promise.all(lost.map(plain));
    await store.claim(claimOf(1, { lease: 1_000 }));
    await plain("e");
    edge().now += 1_000;
    await edge().value("DEL", keys.queue("greet"));
    // Each of the four comes back to the head of its queue, and is another's at once.
    const away = { nonce: nonce(BOB), name: "other", ifExists: "replace" } as const;
    await Promise.all([plain("e"), ...lost.map((id) => store.enqueue(ask(id, away)))]);
    assert.deepEqual(await edge().value("LRANGE", keys.queue("greet"), "0", "-1"), ["a", "e"]);
  });
}

function testFailures(edge: () => Edge, server: () => Server): void {
  const plantWrongType = (key: string) => edge().port.exec([["DEL", key], ["SET", key, "not ours"]]);
  const mine = { ownIfUnattended: { owner: ADA, lease: LEASE } };

  it("who does not ask who listens does not mind what stands there", async () => {
    await plantWrongType(edge().keys.listen("greet"));
    assert.deepEqual(await edge().store.enqueue(ask("a")), { verdict: "accepted", state: "queued" });
  });

  it("F51: who asks fails alone", async () => {
    const { keys, store } = edge();
    await plantWrongType(keys.listen("bad"));
    const [first, bad, last] = await Promise.allSettled([
      store.enqueue(ask("a")),
      store.enqueue(ask("b", { ...mine, name: "bad" })),
      store.enqueue(ask("c", mine)),
    ]);
    assert.deepEqual([first.status, bad.status, last.status], ["fulfilled", "rejected", "fulfilled"]);
    assert.equal((bad as PromiseRejectedResult).reason.code, "WRONGTYPE");
    assert.equal(await store.read("b"), null);
  });

  it("F51: of releases one that cannot go back leaves the others to go", async () => {
    const { keys, store } = edge();
    await Promise.all([store.enqueue(ask("a")), store.enqueue(ask("b", { name: "bad" })), store.enqueue(ask("c"))]);
    const { tasks } = await store.claim(claimOf(1, { names: ["greet", "bad"] }));
    await plantWrongType(keys.queue("bad"));
    const inOrder = tasks.toSorted((x, y) => x.id < y.id ? -1 : 1);
    await assert.rejects(store.release(inOrder.map(own)), { code: "WRONGTYPE" });
    const states = await Promise.all(["a", "b", "c"].map(async (id) => (await store.readHeader(id))?.state));
    assert.deepEqual(states, ["queued", "running", "queued"]);
  });

  it("of new tasks those that were written before one failed are accepted", async () => {
    const { keys, port } = edge();
    const writable = [keys.none, keys.queue("greet"), keys.bell("greet"), keys.record("a")];
    const rules = ["reset", "on", "nopass", "+@all", "allchannels", "%R~*", ...writable.map((key) => `~${key}`)];
    await port.exec([["ACL", "SETUSER", "half", ...rules]]);
    const half = await testConnect(server().url.replace("redis://", "redis://half:any@"));
    const store = edge().over(half);
    const ends = await Promise.allSettled(["a", "b", "c"].map((id) => store.enqueue(ask(id))));
    half.close();
    assert.deepEqual(ends.map(({ status }) => status), ["fulfilled", "rejected", "rejected"]);
    const { tasks } = await edge().store.claim(claimOf(1));
    assert.deepEqual(tasks.map(({ id }) => id), ["a"]);
  });
}

function testMoments(edge: () => Edge): void {
  it("a renewal looks after 32 names of its listener, and those of its tasks", async () => {
    const { store } = edge();
    const names = Array.from({ length: 33 }, (_, n) => `name${n}`);
    await Promise.all(names.map((name) => store.enqueue(ask(name, { name }))));
    await store.claim(claimOf(1, { names, free: 100, lease: 1_000 }));
    edge().now += 1_000;
    await store.renew({ owner: ONE, lease: LEASE, tasks: [], presence: { names, duration: 60_000 } });
    const headers = await Promise.all(names.map((name) => store.readHeader(name)));
    assert.equal(headers.filter((header) => header?.state === "queued").length, 32);
  });

  it("an entry of a task that died under another name in that moment is no dead letter", async () => {
    const { keys, store, now } = edge();
    await edge().end("a", 1, "failed");
    await edge().value("ZADD", keys.dead("other"), String(now), "a");
    assert.deepEqual(await store.dead("other"), { total: 0, entries: [] });
    assert.equal((await store.dead("greet")).total, 1);
  });

  it("a message of several ends is their ids and nothing else", async () => {
    const { keys, port, store } = edge();
    await Promise.all(["a", "b"].map((id) => store.enqueue(ask(id, { timeout: 1_000 }))));
    const heard = deferred<string>();
    const inbox = await port.subscribe([keys.inbox(ADA)], heard.resolve, () => {});
    edge().now += 1_000;
    await store.claim(claimOf(1));
    assert.equal(await heard.promise, "1:a1:b");
    inbox.close();
  });

  it("queues on one connection share no command that reads: their keys may have other slots and other rights", async () => {
    const { keys, store, port } = edge();
    const others = keysOf("{edge-other}", "q");
    const sent: (readonly string[])[] = [];
    const watched = Object.create(port, {
      exec: {
        value: (commands: readonly (readonly string[])[]) => {
          sent.push(...commands);
          return port.exec(commands as Parameters<RedisPort["exec"]>[0]);
        },
      },
    }) as RedisPort;
    const other = new RedisStore(watched, others, { time: () => Date.now() });
    await store.enqueue(ask("a"));
    const records = await Promise.all([edge().over(watched).read("a"), other.read("a")]);
    assert.deepEqual(records.map((record) => record?.id), ["a", undefined]);
    assert.deepEqual(sent.slice(0, 2), [["MGET", keys.record("a")], ["MGET", others.record("a")]]);
  });

  it("who joins a record in its last millisecond is forgotten with it", async () => {
    const { keys, store } = edge();
    await store.enqueue(ask("a"));
    const [record, joined] = [keys.record("a"), keys.joined("a")];
    const text = await edge().value("GET", record) as string;
    const words = [keys.none, keys.base, "", ...enqueueItem(ask("a", { nonce: nonce(BOB) }))];
    // The same millisecond all along, or once more.
    for (let left = 0; left !== 1;) {
      const replies = await edge().port.exec([
        ["SET", record, text],
        ["DEL", joined],
        ["PEXPIRE", record, "1"],
        ["EVAL", enqueueScript.source, "1", ...words],
        ["PTTL", record],
        ["PTTL", joined],
      ]);
      left = replies[4] as number;
      if (left === 1) assert.ok((replies[5] as number) <= 1, `${replies[5]} ms`);
    }
  });
}
