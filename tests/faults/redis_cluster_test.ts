/** Redis Cluster: one slot a queue by braces in the prefix, and a clear error where a node does not have it. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import type { RedisPort, RedisTaskQueue } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { type Command, RedisReplyError } from "../../src/port/redis.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import type { EnqueueRequest } from "../../src/store/store.ts";
import { brokenTasks, leftovers } from "../support/invariants.ts";
import { deferred } from "../support/listening.ts";
import { freePort, type RedisServer, startRedis } from "../support/redis_server.ts";
import { Scene } from "../support/scene.ts";
import { testConnect } from "../support/test_client.ts";
import { until, within } from "../support/wait.ts";

const PREFIX = "{app}";
const keys = keysOf(PREFIX, "task-queue");

describe("a Redis Cluster", () => {
  let one: RedisServer;
  let two: RedisServer;
  let port: RedisPort;
  let scene: Scene;

  before(async () => {
    const node = async () => {
      const bus = await freePort();
      return startRedis({ args: ["--cluster-enabled", "yes", "--cluster-port", String(bus)] });
    };
    [one, two] = [await node(), await node()];
    await one.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    const bus = /@(\d+)/.exec(await two.cli("CLUSTER", "NODES"))![1]!;
    await one.cli("CLUSTER", "MEET", "127.0.0.1", String(two.port), bus);
    const isUp = async (server: RedisServer) => {
      const info = await server.cli("CLUSTER", "INFO");
      return info.includes("cluster_state:ok") && info.includes("cluster_known_nodes:2");
    };
    await until(async () => await isUp(one) && await isUp(two), "the cluster is up", 20_000);
  });
  after(async () => {
    await Promise.all([one.stop(), two.stop()]);
  });
  beforeEach(async () => {
    port = await testConnect(one.url);
    await port.exec([["FLUSHALL"]]);
    scene = new Scene(PREFIX);
  });
  afterEach(async () => {
    await scene.close();
    port.close();
  });

  const ask = (queue: RedisTaskQueue, id: string) => queue.query(id, "work", id, { policy: "remote" });
  const idOf = (server: RedisServer) => server.cli("CLUSTER", "MYID");
  const isClear = (code: string) => (error: unknown) => {
    assert.ok(error instanceof RedisReplyError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, /node of a cluster.*braces around the prefix, for example "\{app\}"/s);
    return true;
  };

  /** Gives the slot of the queue to another node, with all that is in it. */
  async function moveSlot(from: RedisServer, to: RedisServer): Promise<void> {
    const slot = await from.cli("CLUSTER", "KEYSLOT", keys.base);
    await to.cli("CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(from));
    await from.cli("CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(to));
    while (true) {
      const found = (await from.cli("CLUSTER", "GETKEYSINSLOT", slot, "100")).split("\n").filter((key) => key !== "");
      if (found.length === 0) break;
      await from.cli("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...found);
    }
    for (const server of [to, from]) await server.cli("CLUSTER", "SETSLOT", slot, "NODE", await idOf(to));
  }

  it("F60: a braced prefix keeps all of a queue on one node, where everything works", async () => {
    await scene.listen(one.url);
    const client = await scene.open(one.url);
    const answers = Promise.all(Array.from({ length: 20 }, (_, at) => ask(client, `t${at}`)));
    assert.equal((await within(answers, "the answers")).length, 20);
    await client.enqueue("later", "work", 1, { delay: 100 });
    await until(async () => (await client.getTask("later"))?.state === "succeeded", "the delayed one is done");
    assert.equal((await client.getTask("later", { once: true }))?.result, 1);
    assert.deepEqual(scene.log.filter(({ level }) => level !== "info"), []);
    const { [0]: all } = await port.exec([["KEYS", "*"]]) as [string[]];
    const slots = await Promise.all(all.map((key) => one.cli("CLUSTER", "KEYSLOT", key)));
    assert.equal(new Set(slots).size, 1, all.join());
  });

  it("F60: scripts that declare themselves to be held to one slot pass with braces, and are refused without", async () => {
    await liveOnce(new RedisStore(declared(port), keys));
    assert.deepEqual(await brokenTasks(port, keys), []);
    await assert.rejects(liveOnce(new RedisStore(declared(port), keysOf("app", "task-queue"))), isClear("CROSSSLOT"));
  });

  it("F60: a listener whose prefix has no braces says what it lacks", async () => {
    scene = new Scene("app");
    await scene.listen(one.url);
    const entry = await until(() => scene.log.find(({ message }) => message.includes("bell")), "it is logged");
    assert.ok(isClear("CROSSSLOT")(entry.error));
  });

  it("F61: a slot that moves is a clear error at its old node; nothing is lost, and work goes on at the new one, and back", async () => {
    const gate = deferred();
    await scene.listen(one.url, () => gate.promise, { workers: 2 });
    const client = await scene.open(one.url);
    const waiting = Promise.allSettled([ask(client, "w0"), ask(client, "w1")]);
    await until(() => scene.starts.size === 2, "two run");
    const ids = Array.from({ length: 30 }, (_, at) => `t${at}`);
    await Promise.all(ids.map((id) => client.enqueue(id, "work", id)));
    await moveSlot(one, two);
    await assert.rejects(ask(client, "late"), isClear("MOVED"));
    for (const answer of await within(waiting, "who waited is told")) {
      const { reason } = answer as PromiseRejectedResult;
      isClear(reason?.code === "ASK" ? "ASK" : "MOVED")(reason); // It may have looked while the slot was on its way.
    }
    gate.resolve();
    const elsewhere = await scene.open(two.url);
    const moved = await scene.listen(two.url);
    const areDone = async () => {
      for (const id of [...ids, "w0", "w1"]) {
        await until(async () => (await elsewhere.getTask(id))?.state === "succeeded", `${id} is done`);
      }
    };
    await areDone();
    const there = await testConnect(two.url);
    assert.deepEqual(await brokenTasks(there, keys), []);
    there.close();
    await moved.stop();
    await moveSlot(two, one);
    assert.equal(await within(ask(client, "back"), "the listener at the old node goes on", 4_000), "back");
    await until(async () => (await leftovers(port, keys)).length === 0, "nothing is left over");
  });
});

/** The same connection, whose scripts begin with a line that holds them to the slot of the keys that they declare. */
function declared(port: RedisPort): RedisPort {
  const marked = (command: Command): Command =>
    command[0] === "EVAL" ? ["EVAL", `#!lua flags=allow-oom\n${command[1]}`, ...command.slice(2)] : command;
  return {
    exec: async (commands) => {
      const isSha = (command: Command) => command[0] === "EVALSHA";
      const sent = commands.filter((command) => !isSha(command)).map(marked);
      const replies = sent.length > 0 ? await port.exec(sent) : [];
      return commands.map((command) => isSha(command) ? new RedisReplyError("NOSCRIPT send it") : replies.shift()!);
    },
    blocking: () => port.blocking(),
    subscribe: (...args) => port.subscribe(...args),
    close: () => {},
  };
}

/** Every verb once. */
async function liveOnce(store: RedisStore): Promise<void> {
  let nonces = 0;
  const request = (id: string, change: Partial<EnqueueRequest> = {}): EnqueueRequest => ({
    ...{ id, name: "work", nonce: `client000001${String(++nonces).padStart(8, "0")}`, kind: "enqueued", timeout: 0 },
    ...{ resultTtl: 60_000, delay: 0, maxAttempts: 3, options: "", params: "json=1", ifExists: "join", ...change },
  });
  const presence = { names: ["work", "other"], duration: 1_000 };
  const listener = "listener0001";
  for (const id of ["done", "failed", "retried", "released", "cancelled"]) await store.enqueue(request(id));
  await store.enqueue(request("delayed", { delay: 60_000 }));
  const answer = await store.claim({ listener, sequence: 1, free: 4, lease: 1_000, names: presence.names, presence });
  const [done, failed, retried, released] = answer.tasks;
  await store.enqueue(request("done", { kind: "asked" }));
  await store.renew({ owner: listener, lease: 1_000, tasks: answer.tasks, presence });
  await store.progress(done!, "{}\n");
  await store.complete(done!, "\njson=1");
  await store.fail(failed!, { state: "failed", outcome: "\n!{}" });
  await store.fail(retried!, { state: "failed", outcome: "\n!{}", retryIn: 1_000 });
  await store.release([released!]);
  await store.cancel({ id: "cancelled" });
  await store.take({ id: "done", reader: "client000001" });
  await store.acknowledge({ id: "done", reader: "client000001" });
  await store.put({ ...request("stored"), state: "stored", owner: listener, outcome: "" });
  await store.dead("work");
  await store.requeue({ id: "failed", nonce: request("failed").nonce });
  await store.remove({ id: "cancelled" });
  const asked = request("withdrawn", { kind: "asked" });
  await store.enqueue(asked);
  assert.equal(
    (await store.withdraw({ id: asked.id, nonce: asked.nonce, owner: listener, lease: 1 })).verdict,
    "owned",
  );
  assert.equal(await store.isListened("work"), true);
  await store.markListened(["work"], "client000001", 1_000);
  await store.leave(listener, presence.names);
  await store.counts("work");
}
