/** A Redis that answers, but not as it should: loading, read-only, busy, forgetful, evicting, full of clients, cutting them off. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { connect as dialRaw, type Socket } from "node:net";
import { ConnectionLostError, type RedisPort, type RedisTaskQueue } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { brokenTasks, leftovers } from "../support/invariants.ts";
import { deferred } from "../support/listening.ts";
import { startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { Scene } from "../support/scene.ts";
import { testConnect } from "../support/test_client.ts";
import { until, within } from "../support/wait.ts";

const PREFIX = "states";
const keys = keysOf(PREFIX, "task-queue");
/** Milliseconds within which work goes on after Redis can work again. */
const RESUMED = 2_000;

describe("the state of Redis", () => {
  let server: RedisServer;
  let admin: RedisPort;
  let scene: Scene;
  let ends: (() => void | Promise<void>)[];

  before(async () => {
    server = await startRedis({ args: ["--lua-time-limit", "250"] });
  });
  after(() => server.stop());
  beforeEach(async () => {
    await server.restart();
    await server.cli("FLUSHALL"); // A dump that an earlier test has saved is loaded at each start.
    admin = await testConnect(server.url);
    [scene, ends] = [new Scene(PREFIX), []];
  });
  afterEach(async () => {
    await scene.close();
    for (const end of ends.reverse()) await end();
    admin.close();
  });

  const ask = (queue: RedisTaskQueue, id: string, params: unknown = id) =>
    queue.query(id, "work", params, { policy: "remote" });
  const resumes = (queue: RedisTaskQueue) => within(ask(queue, "resumed"), "work goes on", RESUMED);
  const configure = (name: string, value: string) => server.cli("CONFIG", "SET", name, value);
  const info = async (section: string, field: string) => {
    const [text] = await admin.exec([["INFO", section]]);
    return new RegExp(`^${field}:(.*?)\r?$`, "m").exec(String(text))?.[1] ?? "";
  };
  /** A new call is refused before anything was done, so that its caller can do something else. */
  const isRefused = (queue: RedisTaskQueue, id: string) =>
    ask(queue, id).then(() => false, (error) => error instanceof ConnectionLostError && !error.sent);

  /** Done, or refused before anything was done. */
  function assertAnswered(answer: unknown, expected: string): void {
    if (answer instanceof ConnectionLostError) assert.equal(answer.sent, false, String(answer));
    else assert.equal(answer, expected);
  }

  /** A listener, a client, a task that runs until the gate opens, and a caller that waits for it. */
  async function atWork(): Promise<{ client: RedisTaskQueue; waiting: Promise<unknown>; open: () => void }> {
    const gate = deferred();
    await scene.listen(server.url, (task) => task.id === "runs" ? gate.promise : undefined);
    const client = await scene.open(server.url);
    const waiting = ask(client, "runs");
    waiting.catch(() => {}); // It is awaited later.
    await until(() => scene.starts.has("runs"), "it runs");
    return { client, waiting, open: gate.resolve };
  }

  it("F45: a Redis that loads is waited for: what it had is done, who waited is answered", async () => {
    const { client, waiting, open } = await atWork();
    await admin.exec(Array.from({ length: 150 }, (_, at) => ["SET", `foreign${at}`, "x".repeat(2_000)]));
    await server.cli("SAVE");
    await server.kill9();
    const slow = ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"];
    const restarted = server.restart(slow);
    const loads = () => server.cli("PING").then((answer) => answer.startsWith("LOADING"), () => false);
    await until(loads, "it loads");
    open();
    const meanwhile = ask(client, "meanwhile").catch((error) => error);
    await restarted;
    await resumes(client);
    assertAnswered(await within(meanwhile, "a new call"), "meanwhile");
    assert.equal(await within(waiting, "the answer"), "runs");
    admin.close();
    admin = await testConnect(server.url); // Not every client notices that an idle connection has gone.
    assert.deepEqual(await brokenTasks(admin, keys), []);
  });

  for (const stale of ["yes", "no"]) {
    it(`F47: a server that has become a replica is as good as away until it is writable again (stale reads: ${stale})`, async () => {
      const { client, waiting, open } = await atWork();
      await configure("replica-serve-stale-data", stale);
      await server.cli("REPLICAOF", "127.0.0.1", "1");
      open();
      assert.ok(await isRefused(client, "meanwhile"), "a new call is told");
      await server.cli("REPLICAOF", "NO", "ONE");
      await resumes(client);
      assert.equal(await within(waiting, "the answer", RESUMED), "runs");
      assert.equal(scene.starts.get("runs"), 1);
      assert.deepEqual(await brokenTasks(admin, keys), []);
    });
  }

  it("F49: scripts forgotten again and again under load: all are answered, each runs once", async () => {
    await scene.listen(server.url);
    const client = await scene.open(server.url);
    const ids = Array.from({ length: 100 }, (_, at) => `t${at}`);
    let asking = true;
    const flushing = (async () => {
      while (asking) await admin.exec([["SCRIPT", "FLUSH"]]);
    })();
    for (let at = 0; at < ids.length; at += 10) {
      const some = ids.slice(at, at + 10);
      assert.deepEqual(await Promise.all(some.map((id) => ask(client, id))), some);
    }
    asking = false;
    await flushing;
    assert.deepEqual(ids.map((id) => scene.starts.get(id)), ids.map(() => 1));
  });

  it("F50: somebody's slow script is waited for: what runs is kept, its caller answered", async () => {
    const { client, waiting, open } = await atWork();
    const slow = `local from = redis.call("TIME")[1] * 1e3 + redis.call("TIME")[2] / 1e3
      repeat local t = redis.call("TIME") until t[1] * 1e3 + t[2] / 1e3 > from + 550`; // With the third of a lease since the last renewal it is less than a lease.
    const busy = server.cli("EVAL", slow, "0");
    await until(async () => String((await admin.exec([["GET", "x"]]))[0]).includes("BUSY"), "it is busy");
    open();
    const meanwhile = ask(client, "meanwhile").catch((error) => error);
    await busy;
    await resumes(client);
    assertAnswered(await within(meanwhile, "a new call"), "meanwhile");
    assert.equal(await within(waiting, "the answer", RESUMED), "runs");
    assert.equal(scene.starts.get("runs"), 1);
  });

  const EVICTING = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random"];
  for (const policy of [...EVICTING, "volatile-ttl", "noeviction"]) {
    it(`F53: every caller is answered, and a policy that deletes is said at the start (${policy})`, async () => {
      await configure("maxmemory-policy", policy);
      const client = await scene.open(server.url);
      const ids = Array.from({ length: 60 }, (_, at) => `t${at}`);
      const big = "x".repeat(20_000);
      const answers = Promise.all(ids.map((id) => ask(client, id, big)));
      await until(async () => await server.cli("LLEN", keys.queue("work")) === "60", "all wait");
      const used = Number(await info("memory", "used_memory"));
      await configure("maxmemory", String(used - 400_000));
      await admin.exec([["SET", "foreign", "x", "EX", "60"]]);
      const evicted = Number(await info("stats", "evicted_keys"));
      assert.equal(evicted > 0, policy !== "noeviction", `${evicted} keys were evicted`);
      if (policy === "allkeys-random") await server.cli("DEL", keys.queue("work")); // Chance shall not choose what is tested.
      await configure("maxmemory", "0");
      await scene.listen(server.url);
      assert.ok((await within(answers, "all answers")).every((answer) => answer === big));
      const warnings = scene.log.filter(({ message }) => message.includes("maxmemory-policy"));
      assert.deepEqual(warnings.map(({ level }) => level), policy === "noeviction" ? [] : ["warn"]);
      assert.ok(warnings.every(({ message }) => message.includes(policy) && message.includes("noeviction")));
      await resumes(client);
    });
  }

  it("F54: too many connections: a refused dial is repeated; three for a listener and two for a client will do", async () => {
    const proxy = await startProxy(server.port);
    ends.push(() => proxy.close());
    await scene.listen(proxy.url);
    const client = await scene.open(proxy.url);
    await ask(client, "first");
    assert.ok(proxy.connections <= 5, `${proxy.connections} connections`);
    proxy.refuse(true);
    proxy.reset();
    await configure("maxclients", "10");
    const others: Socket[] = [];
    ends.push(() => others.forEach((other) => other.destroy()));
    const isFull = () => info("stats", "rejected_connections").then((count) => Number(count) > 0);
    while (!(await isFull())) others.push(dialRaw(server.port, "127.0.0.1").on("error", () => {}));
    const rejected = Number(await info("stats", "rejected_connections"));
    const waiting = ask(client, "meanwhile").catch((error) => error);
    proxy.refuse(false);
    const refusals = async () => Number(await info("stats", "rejected_connections")) - rejected;
    await until(async () => await refusals() >= 3, "dials are refused");
    for (const other of others) other.destroy();
    await resumes(client);
    assertAnswered(await within(waiting, "a new call"), "meanwhile");
  });

  it("F55: a subscriber whose buffer is over its limit is cut off, and its answers are found all the same", async () => {
    const gate = deferred();
    await scene.listen(server.url, () => gate.promise, { workers: 100 });
    const client = await scene.open(server.url);
    const ids = Array.from({ length: 100 }, (_, at) => `${at}-${"i".repeat(480)}`);
    const answers = Promise.all(ids.map((id) => ask(client, id, 1)));
    await until(() => scene.starts.size === 100, "all run");
    await configure("client-output-buffer-limit", "pubsub 1024 0 0");
    const subscribers = async () =>
      (await server.cli("CLIENT", "LIST", "TYPE", "pubsub")).split("\n").map((line) => line.split(" ", 1)[0]);
    const old = await subscribers();
    gate.resolve();
    assert.equal((await within(answers, "the answers", RESUMED)).length, 100);
    await until(async () => (await subscribers()).some((id) => !old.includes(id)), "one was cut off and is back");
    assert.deepEqual(ids.map((id) => scene.starts.get(id)), ids.map(() => 1));
    await until(async () => (await leftovers(admin, keys)).length === 0, "nothing is left over");
  });
});
