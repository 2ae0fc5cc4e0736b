/** How much a claim and an enqueue look at in one call on Redis: what keeps one call from holding up all others. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { keysOf } from "../src/keys.ts";
import type { RedisPort } from "../src/port/redis.ts";
import { RedisStore } from "../src/store/redis/redis_store.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { testConnect } from "./support/test_client.ts";

const keys = keysOf("steps", "task-queue");

describe("one call of a script", () => {
  let server: RedisServer;
  let port: RedisPort;
  let store: RedisStore;
  let counter = 0;

  before(async () => {
    server = await startRedis();
    port = await testConnect(server.url);
    store = new RedisStore(port, keys);
  });
  after(async () => {
    port.close();
    await server.stop();
  });
  beforeEach(async () => void await port.exec([["FLUSHALL"]]));

  const enqueue = (id: string, name: string, params: string) =>
    store.enqueue({
      ...{ id, name, nonce: `client000001${String(counter += 1).padStart(8, "0")}`, kind: "enqueued", timeout: 60_000 },
      ...{ resultTtl: 60_000, delay: 0, maxAttempts: 1, options: "", params, ifExists: "join" },
    });

  /** So many tasks whose records have exactly so many bytes. */
  async function enqueueAll(count: number, bytes: number, name = "a"): Promise<void> {
    await enqueue("size", "size", "json=");
    const header = await value("STRLEN", keys.record("size")) as number + name.length - "size".length;
    const params = `json=${"1".repeat(bytes - header)}`;
    await Promise.all(Array.from({ length: count }, (_, n) => enqueue(`${name}${n}`, name, params)));
    assert.equal(await value("STRLEN", keys.record(`${name}0`)), bytes);
  }

  const value = async (...command: [string, ...string[]]) => (await port.exec([command]))[0];
  const claim = (free: number, names = ["a"]) =>
    store.claim({ listener: "listener0001", sequence: counter += 1, free, lease: 60_000, names });

  it("a claim looks at 256 hints", async () => {
    await port.exec([["RPUSH", keys.queue("a"), ...Array.from({ length: 300 }, (_, n) => `gone${n}`)]]);
    const { tasks, more } = await claim(10);
    assert.deepEqual([tasks, more], [[], ["a"]]);
    assert.equal(await value("LLEN", keys.queue("a")), 44);
  });

  for (const [free, brought] of [[8, 8], [9, 9], [16, 16], [20, 16]] as const) {
    it(`a claim of ${free} reads ${brought} large records at once`, async () => {
      await enqueueAll(20, 60_000);
      assert.equal((await claim(free)).tasks.length, brought);
    });
  }

  it("a claim that has something already reads eight of them", async () => {
    await enqueueAll(1, 200, "b");
    await enqueueAll(20, 60_000);
    assert.equal((await claim(20, ["b", "a"])).tasks.length, 1 + 8);
  });

  it("a claim goes on below 256 KiB, and ends there", async () => {
    await enqueueAll(18, 16_384);
    assert.equal((await claim(20)).tasks.length, 16);
    await port.exec([["FLUSHALL"]]);
    await enqueueAll(18, 16_383);
    assert.equal((await claim(20)).tasks.length, 18);
  });

  it("a claim reads records of three kilobytes by sixteens", async () => {
    await enqueueAll(128, 3_072);
    assert.equal((await claim(128)).tasks.length, 96);
  });

  it("an enqueue drops two dead hints more than it brings", async () => {
    const gone = Array.from({ length: 20 }, (_, n) => `gone${n}`);
    await port.exec([["RPUSH", keys.queue("a"), ...gone]]);
    await enqueue("one", "a", "json=1");
    assert.equal(await value("LLEN", keys.queue("a")), 18);
    await Promise.all(["two", "three", "four"].map((id) => enqueue(id, "a", "json=1")));
    assert.equal(await value("LLEN", keys.queue("a")), 16);
  });
});

describe("the dead letters of one call", () => {
  it("those one too many go, 64 at a time", async () => {
    const server = await startRedis();
    const port = await testConnect(server.url);
    const store = new RedisStore(port, keys, { bounds: { deadMax: 1 } });
    const old = Array.from({ length: 80 }, (_, n) => [String(n + 1), `gone${n}`]).flat();
    await port.exec([["ZADD", keys.dead("a"), ...old]]);
    await store.enqueue({
      ...{ id: "t", name: "a", nonce: "client00000100000001", kind: "enqueued", timeout: 60_000, resultTtl: 60_000 },
      ...{ delay: 0, maxAttempts: 1, options: "", params: "json=1", ifExists: "join" },
    });
    const request = { listener: "listener0001", sequence: 1, free: 1, lease: 60_000, names: ["a"] };
    const [task] = (await store.claim(request)).tasks;
    const { id, name, owner, fence } = task!;
    await store.fail({ id, name, owner, fence }, { state: "failed", outcome: "\n!{}" });
    assert.equal((await port.exec([["ZCARD", keys.dead("a")]]))[0], 81 - 64);
    port.close();
    await server.stop();
  });
});
