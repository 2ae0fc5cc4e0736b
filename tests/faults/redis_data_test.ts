/** A Redis that loses some of its data, or all of it: by a crash, from its file, by a failover, by a split. */
import { afterEach, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { ConnectionLostError, type RedisPort, type RedisTaskQueue } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import { aofPath, APPEND_ONLY, boundariesOf, cutAof } from "../support/aof.ts";
import { brokenTasks, leftovers } from "../support/invariants.ts";
import { deferred } from "../support/listening.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RedisServer, type RedisServerOptions, startRedis } from "../support/redis_server.ts";
import { Scene } from "../support/scene.ts";
import { testConnect } from "../support/test_client.ts";
import { until, within } from "../support/wait.ts";

const PREFIX = "data";
const keys = keysOf(PREFIX, "task-queue");
/** A primary sends its data at once, not after five seconds in which more replicas may come. */
const PROMPT = ["--repl-diskless-sync-delay", "0"];
/** Milliseconds within which work goes on after Redis is back. */
const RESUMED = 2_000;

describe("the data of Redis", () => {
  let scene: Scene;
  let ends: (() => void | Promise<void>)[];

  beforeEach(() => {
    scene = new Scene(PREFIX);
    ends = [];
  });
  afterEach(async () => {
    await scene.close();
    for (const end of ends.reverse()) await end();
  });

  async function start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = await startRedis(options);
    ends.push(() => server.stop());
    return server;
  }
  async function front(server: RedisServer): Promise<Proxy> {
    const proxy = await startProxy(server.port);
    ends.push(() => proxy.close());
    return proxy;
  }
  async function dial(server: RedisServer): Promise<RedisPort> {
    const port = await testConnect(server.url);
    ends.push(() => port.close());
    return port;
  }
  const isSynced = (replica: RedisServer) => async () =>
    (await replica.cli("INFO", "replication")).includes("master_link_status:up");
  const ask = (queue: RedisTaskQueue, id: string) => queue.query(id, "work", id, { policy: "remote" });
  const askMany = (queue: RedisTaskQueue, what: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, at) => ask(queue, `${what}${at}`)));
  const resumes = (queue: RedisTaskQueue, id: string) => within(ask(queue, id), "work goes on", RESUMED);
  const state = async (queue: RedisTaskQueue, id: string) => (await queue.getTask(id))?.state;

  /** Enqueues one after the other until told to stop; returns what was accepted. */
  function produce(queue: RedisTaskQueue, name: string): { accepted: string[]; stop(): Promise<void> } {
    const accepted: string[] = [];
    let stopped = false;
    const run = async () => {
      for (let at = 0; !stopped; at++) {
        const id = `${name}${at}`;
        await queue.enqueue(id, "work", id, { resultTtl: 60_000 }).then(() => accepted.push(id), (error) => {
          if (!(error instanceof ConnectionLostError)) throw error;
        });
      }
    };
    const running = run();
    return {
      accepted,
      stop: () => {
        stopped = true;
        return running;
      },
    };
  }

  async function allSucceed(queue: RedisTaskQueue, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await until(async () => await state(queue, id) === "succeeded", `${id} is done`, 10_000).catch(async (error) => {
        const record = await queue.getTask(id);
        throw new Error(`${error.message}: ${record?.state}, attempt ${record?.attempt}, ${record?.error}`, {
          cause: error,
        });
      });
    }
  }

  it("F40: kill -9 under load with an append-only file: nothing accepted is lost, work goes on within two seconds", async () => {
    const server = await start({ args: APPEND_ONLY });
    const client = await scene.open(server.url);
    await scene.listen(server.url);
    const producers = ["a", "b", "c"].map((name) => produce(client, name));
    const accepted = () => producers.flatMap((producer) => producer.accepted);
    for (let crash = 0; crash < 3; crash++) {
      const before = accepted().length;
      await until(() => accepted().length >= before + 60, "more was accepted");
      const waiting = ask(client, `waiting${crash}`);
      await server.kill9();
      await server.restart();
      await resumes(client, `resumed${crash}`);
      await waiting.catch((error) => assert.ok(error instanceof ConnectionLostError && !error.sent, String(error)));
    }
    await Promise.all(producers.map((producer) => producer.stop()));
    await allSucceed(client, accepted());
    const port = await dial(server);
    assert.deepEqual(await brokenTasks(port, keys), []);
    assert.deepEqual(await leftovers(port, keys), []);
  });

  it("F41: an append-only file without its tail: who waits is answered, nothing is corrupt or stuck", async () => {
    const server = await start({ args: APPEND_ONLY });
    const client = await scene.open(server.url);
    for (const bytes of [1, 3_000, 1e9]) {
      const run = `cut${bytes}-`;
      const waiting = askMany(client, run, 20);
      await until(async () => await server.cli("LLEN", keys.queue("work")) === "20", "all wait");
      await server.kill9();
      cutAof(server.folder, bytes);
      await server.restart();
      assert.deepEqual(await brokenTasks(await dial(server), keys), []);
      const listener = await scene.listen(server.url);
      await resumes(client, `${run}resumed`);
      assert.deepEqual(await within(waiting, "their answers"), Array.from({ length: 20 }, (_, at) => `${run}${at}`));
      await listener.stop();
    }
    const port = await dial(server);
    assert.deepEqual(await leftovers(port, keys), []);
  });

  it("F42: an append-only file cut at any place holds whole tasks only, and all of them can be done", async () => {
    const server = await start({ args: APPEND_ONLY });
    const first = new RedisStore(await dial(server), keys);
    await liveOnce(first);
    const path = aofPath(server.folder);
    const aof = readFileSync(path);
    const boundaries = boundariesOf(aof);
    const cuts = Array.from({ length: 12 }, (_, at) => boundaries[Math.floor((at * boundaries.length) / 12)]!);
    for (const cut of [...cuts.map((at) => at + 9), ...cuts.slice(6)]) {
      await server.kill9();
      writeFileSync(path, aof.subarray(0, cut));
      await server.restart();
      const port = await dial(server);
      assert.deepEqual(await brokenTasks(port, keys), [], `cut at ${cut} of ${aof.length}`);
      await drain(new RedisStore(port, keys, { time: () => Date.now() + 3_600_000 }));
      assert.deepEqual(await leftovers(port, keys), [], `cut at ${cut} of ${aof.length}`);
      port.close();
    }
  });

  it("F43: a restart from an old dump: what it holds is done, who waits is answered, fences grow", async () => {
    const server = await start();
    const client = await scene.open(server.url);
    let hold: Promise<void> = Promise.resolve();
    const early = await scene.listen(server.url);
    await client.enqueue("done-before", "work", "done-before");
    await until(async () => await state(client, "done-before") === "succeeded", "it is done");
    await early.stop();
    await client.enqueue("again", "work", "again");
    await server.cli("SAVE");
    await scene.listen(server.url, () => hold);
    await until(async () => await state(client, "again") === "succeeded", "what the dump holds as waiting is done");
    const { promise, resolve } = deferred();
    hold = promise;
    const running = ask(client, "runs");
    await until(() => scene.starts.has("runs"), "it runs");
    await server.kill9();
    await server.restart();
    resolve();
    await resumes(client, "resumed");
    assert.equal(await within(running, "the answer of the lost task"), "runs");
    await until(() => scene.starts.get("again") === 2, "what the dump brought back runs again");
    const [before, after] = scene.fences.get("again")!;
    assert.ok(after! > before!, `the fence grows from ${before} to ${after}`);
    assert.equal(scene.starts.get("done-before"), 1);
    const port = await dial(server);
    await until(async () => (await leftovers(port, keys)).length === 0, "nothing is left over");
  });

  it("F44: FLUSHALL again and again under load: every caller that waits is answered", async () => {
    const server = await start();
    const client = await scene.open(server.url);
    await scene.listen(server.url);
    const callers = Array.from({ length: 8 }, async (_, caller) => {
      for (let at = 0; at < 25; at++) assert.equal(await ask(client, `${caller}-${at}`), `${caller}-${at}`);
    });
    const answered = Promise.all(callers);
    let flushing = true;
    answered.finally(() => flushing = false).catch(() => {});
    while (flushing) {
      await server.cli("FLUSHALL");
      await server.cli("SCRIPT", "FLUSH");
    }
    await answered;
    assert.deepEqual(await leftovers(await dial(server), keys), []);
  });

  it("F46: a replica promoted without the tail: who waits is answered, fences grow, nothing is stuck", async () => {
    const primary = await start({ args: PROMPT });
    const link = await front(primary);
    const replica = await start({ args: ["--replicaof", "127.0.0.1", String(link.port)] });
    await until(isSynced(replica), "the replica is in step");
    const name = await front(primary);
    const client = await scene.open(name.url);
    await client.enqueue("kept", "work", "kept");
    await until(async () => (await replica.cli("EXISTS", keys.record("kept"))) === "1", "the replica has it");
    link.freeze();
    const listener = await scene.listen(name.url);
    await until(async () => await state(client, "kept") === "succeeded", "the primary knows its end");
    await listener.stop();
    const waiting = askMany(client, "tail", 20);
    await client.enqueue("lost", "work", "lost");
    await until(async () => await primary.cli("LLEN", keys.queue("work")) === "21", "the tail is accepted");
    await primary.kill9();
    await replica.cli("REPLICAOF", "NO", "ONE");
    name.moveTo(replica.port);
    await scene.listen(name.url);
    await resumes(client, "resumed");
    assert.equal((await within(waiting, "their answers")).length, 20);
    await until(() => scene.starts.get("kept") === 2, "its lost end is repeated");
    const [before, after] = scene.fences.get("kept")!;
    assert.ok(after! > before!, `the fence grows from ${before} to ${after}`);
    assert.equal(await client.getTask("lost"), null);
    const port = await dial(replica);
    assert.deepEqual(await brokenTasks(port, keys), []);
    await until(async () => (await leftovers(port, keys)).length === 0, "nothing is left over");
  });

  it("F48: two servers after a split, healed: what the winner accepted is done, who waited at the other is answered", async () => {
    const [one, two] = [await start({ args: PROMPT }), await start({ args: PROMPT })];
    await two.cli("REPLICAOF", "127.0.0.1", String(one.port));
    await until(isSynced(two), "the replica is in step");
    const [west, east] = [await front(one), await front(one)];
    const [atWest, atEast] = [await scene.open(west.url), await scene.open(east.url)];
    await atWest.enqueue("shared", "work", "shared");
    await until(async () => (await two.cli("EXISTS", keys.record("shared"))) === "1", "both have it");
    await two.cli("REPLICAOF", "NO", "ONE");
    east.moveTo(two.port);
    const gate = deferred();
    await scene.listen(west.url, () => gate.promise);
    const eastern = await scene.listen(east.url);
    await until(() => scene.starts.get("shared") === 2, "both sides run it");
    const waiting = askMany(atWest, "west", 8);
    await atEast.enqueue("east", "work", "east");
    await until(async () => await state(atEast, "east") === "succeeded", "the east works");
    await eastern.stop();
    await atEast.enqueue("later", "work", "later");
    await one.cli("REPLICAOF", "127.0.0.1", String(two.port));
    await until(isSynced(one), "the heal");
    west.moveTo(two.port);
    gate.resolve(); // What the west ran all the while reports to a server that knows nothing of it.
    await resumes(atWest, "resumed");
    assert.equal((await within(waiting, "their answers")).length, 8);
    await allSucceed(atEast, ["later", "shared", "east"]);
    const port = await dial(two);
    assert.deepEqual(await brokenTasks(port, keys), []);
    await until(async () => (await leftovers(port, keys)).length === 0, "nothing is left over");
  });
});

/** One task of every fate, so that the file holds every script's writes. */
async function liveOnce(store: RedisStore): Promise<void> {
  const enqueue = (id: string, at: number, delay = 0) =>
    store.enqueue({
      ...{ id, name: "work", nonce: `client000001${String(at).padStart(8, "0")}`, kind: "enqueued", timeout: 0 },
      ...{ resultTtl: 60_000, delay, maxAttempts: 3, options: "", params: "json=1", ifExists: "join" },
    });
  const claim = async (sequence: number, free = 1) =>
    (await store.claim({ listener: "listener0001", sequence, free, lease: 1_000, names: ["work"] })).tasks;
  const ids = ["done", "failed", "retried", "released", "running", "cancelled", "waiting"];
  for (const [at, id] of ids.entries()) await enqueue(id, at);
  await enqueue("delayed", 50, 1_000);
  const [done, failed, retried, released] = (await claim(1, 5)).map((record) => ({ ...record }));
  await store.complete(done!, "\njson=1");
  await store.fail(failed!, { state: "failed", outcome: '\n!{"name":"Error"}' });
  await store.fail(retried!, { state: "failed", outcome: '\n!{"name":"Error"}', retryIn: 1_000 });
  await store.release([released!]);
  await store.cancel({ id: "cancelled" });
}

/** Does all there is, as a listener would that comes much later. */
async function drain(store: RedisStore): Promise<void> {
  for (let sequence = 1;; sequence++) {
    const answer = await store.claim({ listener: "listener0002", sequence, free: 50, lease: 1_000, names: ["work"] });
    for (const task of answer.tasks) assert.equal((await store.complete(task, "\njson=1")).verdict, "accepted");
    if (answer.tasks.length === 0 && answer.more.length === 0) return;
  }
}
