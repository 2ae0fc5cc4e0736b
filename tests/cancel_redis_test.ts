/** Cancels across processes and a real Redis: messages that never come, connections that are cut, owners that die. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { connect, type RedisPort, type RedisTask, RedisTaskQueue, type TaskFns } from "../mod.ts";
import { deferred } from "./support/listening.ts";
import { type Running, startProgram } from "./support/program.ts";
import { type Proxy as NetProxy, startProxy } from "./support/proxy.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until, within } from "./support/wait.ts";

const LEASE = 900;
const CANCELLED = { name: "TaskCancelledError" };

describe("cancel, over Redis", () => {
  let server: RedisServer;
  let redis: RedisPort;
  let queue: RedisTaskQueue;
  let opened: { close(): unknown }[];
  let children: Running[];

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    redis = await connect(server.url) as RedisPort;
    await redis.exec([["FLUSHALL"]]);
    [opened, children] = [[], []];
    queue = open(redis);
  });
  afterEach(async () => {
    for (const child of children) {
      child.kill("SIGKILL");
      await child.done;
    }
    for (const one of opened) await one.close();
    redis.close();
  });

  function open(port: RedisPort, taskFn?: TaskFns, lease: number = LEASE): RedisTaskQueue {
    const options = { lease, interval: 10_000, timeout: 20_000, log: () => {}, ...(taskFn ? { taskFn } : {}) };
    const made = new RedisTaskQueue(port, "cancels", options);
    opened.unshift({ close: () => made.close({ atOnce: true }) });
    return made;
  }

  const stateOf = async (id: string) => (await queue.getTask(id))?.state;

  /** A listener in this process whose handler never settles; resolves with the signal of its task. */
  async function runForEver(port: RedisPort, lease?: number): Promise<AbortSignal> {
    const started = deferred<AbortSignal>();
    void open(port, (task: RedisTask) => {
      started.resolve(task.signal);
      return new Promise(() => {});
    }, lease).listen("n", { grace: 0 });
    await queue.enqueue("a", "n", 1);
    return await within(started.promise, "the start");
  }

  /** A listener process; resolves when it is present. */
  async function startListener(lease: number = LEASE): Promise<Running> {
    const how = "Deno" in globalThis ? ["run", "-A"] : process.versions.bun ? [] : ["--import", "tsx"];
    const file = fileURLToPath(new URL("./fixtures/listener_process.ts", import.meta.url));
    const cwd = fileURLToPath(new URL("..", import.meta.url));
    const program = startProgram(process.execPath, [...how, file, server.url, "cancels", String(lease)], {
      cwd,
      env: process.env,
    });
    children.push(program);
    await program.wrote(/present/);
    return program;
  }

  it("F74: stops what another process runs, at once", async () => {
    // No renewal comes within the test: only the message can tell.
    await startListener(3_600_000);
    const asked = assert.rejects(queue.query("a", "slow", 60_000), CANCELLED);
    await until(async () => await stateOf("a") === "running", "it runs");
    assert.equal(await queue.cancel("a"), "cancelled");
    await asked;
    assert.equal(await stateOf("a"), "cancelled");
  });

  it("reaches a listener whose messages are lost, by its next renewal", async () => {
    const deaf: RedisPort = {
      exec: (commands) => redis.exec(commands),
      blocking: () => redis.blocking(),
      close: () => {},
      // Only cancels are lost: the subscription is there, and nothing ever comes.
      subscribe: (channels, _onMessage, onGap) => redis.subscribe(channels, () => {}, onGap),
    };
    const signal = await runForEver(deaf);
    assert.equal(await queue.cancel("a", { timeout: 3 * LEASE }), "cancelled");
    assert.equal((signal.reason as Error).name, "TaskCancelledError");
    assert.equal(await stateOf("a"), "cancelled");
  });

  it("reaches a listener whose subscription is killed just before, as soon as it hears again", async () => {
    // A lease so long that no renewal helps within the test: only the one after the gap does.
    const signal = await runForEver(redis, 3_600_000);
    const killed = await until(async () => {
      const [count] = await redis.exec([["CLIENT", "KILL", "TYPE", "pubsub"]]);
      return count;
    }, "its subscription is there to be killed");
    assert.ok(Number(killed) >= 1);
    assert.equal(await queue.cancel("a", { timeout: 8_000 }), "cancelled");
    assert.ok(signal.aborted);
  });

  it("F75: reaches a listener whose link is cut while it is asked for", async () => {
    const proxy: NetProxy = await startProxy(server.port);
    const port = await connect(proxy.url) as RedisPort;
    opened.push(port, proxy);
    const signal = await runForEver(port);
    proxy.freeze();
    assert.equal(await queue.cancel("a", { timeout: 50 }), "unreachable");
    proxy.thaw();
    proxy.reset();
    assert.equal(await queue.cancel("a", { timeout: 8_000 }), "cancelled");
    await until(() => signal.aborted, "the handler is told");
  });

  it("F75: outlives its listener: killed, the task is cancelled, and no other listener runs it", async () => {
    const dying = await startListener();
    const asked = assert.rejects(queue.query("a", "slow", 60_000), CANCELLED);
    await until(async () => await stateOf("a") === "running", "it runs");
    dying.kill("SIGKILL");
    await dying.done;
    assert.equal(await queue.cancel("a", { timeout: 50 }), "unreachable");
    let starts = 0;
    void open(redis, { slow: () => starts += 1 }).listen("slow", { grace: 0 });
    await within(asked, "the answer", LEASE + 5_000);
    assert.equal(await queue.cancel("a"), "cancelled");
    assert.equal(await queue.query("b", "slow", 1), 1);
    assert.deepEqual([starts, await stateOf("a")], [1, "cancelled"]);
  });

  it("outlives who asked for it: its process is over, the cancel counts", async () => {
    const listener = open(
      redis,
      (task: RedisTask) =>
        new Promise((_, reject) => task.signal.addEventListener("abort", () => reject(task.signal.reason))),
    );
    void listener.listen("n", { grace: 0 });
    await queue.enqueue("a", "n", 1);
    await until(async () => await stateOf("a") === "running", "it runs");
    const passing = await connect(server.url);
    const other = new RedisTaskQueue(passing, "cancels");
    assert.equal(await other.cancel("a", { timeout: 0 }), "unreachable");
    passing.close();
    await until(async () => await stateOf("a") === "cancelled", "it is cancelled");
  });
});
