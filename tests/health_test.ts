/** Whether a listener consumes: proved on its own connections, or not at all. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { connect, type RedisConnection, RedisTaskQueue } from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { type Proxy, startProxy } from "./support/proxy.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { deferred } from "./support/listening.ts";
import { until } from "./support/wait.ts";

const keys = keysOf("health", "task-queue");
/** Shorter than any interval here: only a wake-up can bring the proof in time. */
const SOON = { timeout: 2_000 };

function open(redis: RedisConnection, taskFn: () => unknown = () => "done"): RedisTaskQueue<() => unknown> {
  return new RedisTaskQueue(redis, "health", { taskFn, interval: 60_000, log: () => {} });
}

describe("a listener on the memory store", () => {
  it("is healthy while it sleeps, and not before it began or after it stopped", async () => {
    const redis = await connect("memory:");
    const queue = open(redis);
    const stop = new AbortController();
    const listening = queue.listen("work", { signal: stop.signal });
    assert.equal(await listening.health(SOON), true);
    assert.equal(await listening.health(SOON), true);
    stop.abort();
    assert.equal(await listening.health(SOON), false);
    await listening;
    assert.equal(await listening.health(SOON), false);
  });

  it("rejects misuse, and its health is false", async () => {
    const queue = open(await connect("memory:"));
    const refused = queue.listen([]);
    assert.equal(await refused.health(), false);
    await assert.rejects(refused, RangeError);
    const stop = new AbortController();
    const listening = queue.listen("work", { signal: stop.signal });
    await assert.rejects(listening.health({ timeOut: 1 } as object), /did you mean "timeout"/);
    await assert.rejects(listening.health({ timeout: -1 }), RangeError);
    stop.abort();
    await listening;
  });
});

describe("a listener on Redis", () => {
  let server: RedisServer;
  let proxy: Proxy;
  let redis: RedisConnection & { close(): void };
  let queue: RedisTaskQueue<() => unknown>;

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    proxy = await startProxy(server.port);
    redis = await connect(proxy.url) as typeof redis;
    queue = open(redis);
  });
  afterEach(async () => {
    proxy.thaw();
    await queue.close({ atOnce: true });
    redis.close();
    await proxy.close();
  });

  it("is woken through the connection it sleeps on, and leaves no token behind", async () => {
    const listening = queue.listen("work");
    for (let times = 0; times < 3; times++) assert.equal(await listening.health(SOON), true);
    assert.equal(await server.cli("EXISTS", keys.bell(listening.id)), "0");
  });

  it("is healthy while all its workers are busy and Redis renews what they do", async () => {
    const gate = deferred();
    await queue.close();
    queue = open(redis, () => gate.promise);
    const listening = queue.listen("work", { workers: 1 });
    const answer = queue.query("a", "work", null);
    await until(async () => (await queue.getTask("a"))?.state === "running", "it runs");
    assert.equal(await listening.health(SOON), true);
    proxy.freeze();
    assert.equal(await listening.health({ timeout: 300 }), false);
    proxy.thaw();
    assert.equal(await listening.health(SOON), true);
    gate.resolve();
    await answer;
  });

  it("F27: is not healthy while its link is frozen, refused or gone, and is again when it is back", async () => {
    const listening = queue.listen("work");
    assert.equal(await listening.health(SOON), true);
    proxy.freeze();
    assert.equal(await listening.health({ timeout: 300 }), false);
    proxy.thaw();
    await until(() => listening.health(SOON), "the frozen link is used or replaced", 20_000);
    proxy.refuse(true);
    proxy.reset();
    assert.equal(await listening.health({ timeout: 300 }), false);
    proxy.refuse(false);
    await until(() => listening.health(SOON), "it has dialled anew", 20_000);
  });
});
