/**
 * The memory store: the shared suite, and what only a world in this process has.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keysOf } from "../../src/keys.ts";
import type { Bounds } from "../../src/store/ended.ts";
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../../src/store/memory/memory_store.ts";
import { testStore } from "../conformance/store.ts";
import { ask, claimOf, own, type StoreWorld } from "../conformance/store_kit.ts";
import { FakeClock } from "../support/fake_clock.ts";

interface MemoryWorld extends StoreWorld {
  readonly world: MemoryRedis;
}

function openMemory(bounds?: Bounds): MemoryWorld {
  const world = new MemoryRedis();
  const clock = new FakeClock();
  const keys = keysOf("{test}", "task-queue");
  return {
    world,
    keys,
    store: new MemoryStore(world, keys, clock, bounds),
    advance: (ms) => clock.advance(ms),
    hints: (name) => Promise.resolve([...world.list(keys.queue(name))]),
    life(key) {
      const expiresAt = world.expiresAt(key, clock.now());
      return Promise.resolve(typeof expiresAt === "number" ? expiresAt - clock.now() : null);
    },
    plant(id, name, text) {
      world.set(keys.record(id), text);
      world.list(keys.queue(name)).push(id);
      return Promise.resolve();
    },
    overwrite: (id, text) => Promise.resolve(world.set(keys.record(id), text)),
    text: (id) => Promise.resolve(world.get(keys.record(id), clock.now())),
    evict: (key) => Promise.resolve(world.delete(key)),
    close: () => Promise.resolve(world.close()),
  };
}

testStore("memory store", (bounds) => Promise.resolve(openMemory(bounds)));

describe("MemoryRedis", () => {
  it("dumps its keyspace by the names of the keys, through the life of a task", async () => {
    const { store, keys, world } = openMemory();
    await store.enqueue(ask("a", { name: "greet" }));
    assert.deepEqual(Object.keys(world.dump()), [keys.bell("greet"), keys.queue("greet"), keys.record("a")].sort());
    const [task] = (await store.claim(claimOf(1))).tasks;
    const running = [keys.bell("greet"), keys.lease("greet"), keys.listener("listener-one"), keys.record("a")];
    assert.deepEqual(Object.keys(world.dump()), running.sort());
    await store.complete(own(task!), "\njson=1");
    assert.ok(String(world.dump()[keys.record("a")]).endsWith("\njson=1"));
  });

  it("forgets what has expired", async () => {
    const { store, advance, keys, world } = openMemory();
    await store.enqueue(ask("a", { timeout: 1_000 }));
    await advance(301_000);
    assert.equal(await store.read("a"), null);
    assert.equal(keys.record("a") in world.dump(), false);
  });

  it("does not grow by records that nobody reads again", async () => {
    const { store, advance, world } = openMemory();
    for (let n = 0; n < 5_000; n++) {
      await store.put({ ...ask(`a${n}`), state: "succeeded", owner: "client-ada--", outcome: "\njson=1" });
      if (n % 500 === 0) await advance(300_000);
    }
    assert.ok(Object.keys(world.dump()).length < 3_000);
  });

  it("rejects every call and wakes every sleeper once it is closed", async () => {
    const { store, world } = openMemory();
    const bell = await store.openBell();
    const waiting = bell.wait(["greet"], 60_000);
    world.close();
    assert.equal(await waiting, null);
    assert.equal(await bell.wait(["greet"], 60_000), null);
    await assert.rejects(store.read("a"), { name: "ConnectionLostError", sent: false });
  });

  it("is shared by the stores made with it, each under its own keys", async () => {
    const world = new MemoryRedis();
    const clock = new FakeClock();
    const open = (prefix: string) => new MemoryStore(world, keysOf(prefix, "q"), clock);
    await open("p").enqueue(ask("a"));
    assert.equal((await open("p").read("a"))?.state, "queued");
    assert.equal(await open("other").read("a"), null);
    world.close();
  });
});
