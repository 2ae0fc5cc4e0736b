/**
 * Processes that die and a Redis that goes away: the five policies with a listener that is dying or slow, and with
 * Redis down; what is running is taken over, what is waited for is answered.
 */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ConnectionLostError, type RedisPort, RedisTaskQueue, TaskExecutePolicy, TaskTimeoutError } from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { scriptArguments } from "./support/run_script.ts";
import { testConnect } from "./support/test_client.ts";
import { until } from "./support/wait.ts";

const LEASE = 1_000;
const keys = keysOf("faults", "task-queue");
const { Local, Remote, LocalFirst, RemoteFirst, Auto } = TaskExecutePolicy;

describe("faults", () => {
  let server: RedisServer;
  let redis: RedisPort;
  let queue: RedisTaskQueue<() => string>;
  const children: ChildProcess[] = [];

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.restart();
    redis = await testConnect(server.url);
    queue = new RedisTaskQueue(redis, "faults", {
      taskFn: () => "here",
      lease: LEASE,
      interval: 500,
      timeout: 20_000,
      log: () => {},
    });
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map(end));
    await queue.close();
    redis.close();
  });

  function end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.kill("SIGKILL");
    });
  }
  /** Starts a listener process; resolves when it is present. */
  async function startListener(): Promise<ChildProcess> {
    const file = fileURLToPath(new URL("./fixtures/listener_process.ts", import.meta.url));
    const child = spawn(process.execPath, [...scriptArguments(), file, server.url, "faults", String(LEASE)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    let output = "";
    child.stdout!.on("data", (chunk) => output += String(chunk));
    await until(() => output.includes("present"), "the listener process is present", 15_000);
    return child;
  }
  const state = async (id: string) => (await queue.getTask(id))?.state;

  it("F1: a task whose listener was killed with -9 is finished by another, under each remote policy", async () => {
    const dying = await Promise.all([startListener(), startListener(), startListener(), startListener()]);
    const policies = [Remote, RemoteFirst, Auto];
    const answers = await Promise.all(
      policies.map((policy) =>
        queue.query(`die-${policy}`, "die", null, { policy }) as Promise<unknown> as Promise<
          { pid: number; attempt: number }
        >
      ),
    );
    for (const { pid, attempt } of answers) {
      assert.ok(dying.some((child) => child.pid === pid && child.signalCode === null), `${pid} is alive`);
      assert.ok(attempt >= 2);
    }
    assert.equal(dying.filter((child) => child.signalCode === "SIGKILL").length >= 1, true);
  });

  it("F1: a killed listener's task runs again within its lease and a second", async () => {
    await startListener();
    const answer = queue.query("die", "die", null, { policy: Remote });
    await until(() => children[0]!.signalCode === "SIGKILL", "the listener killed itself");
    const from = performance.now();
    await startListener();
    const started = performance.now() - from;
    await answer;
    const took = performance.now() - from;
    assert.ok(took <= Math.max(started, LEASE) + 1_000, `recovered after ${took} ms`);
  });

  it("LocalFirst goes to a listener only after its own run failed, and survives that listener's death", async () => {
    await startListener();
    await startListener();
    const failing = new RedisTaskQueue(redis, "faults", {
      taskFn: () => {
        throw new Error("not here");
      },
      interval: 500,
      lease: LEASE,
    });
    const answer = await failing.query("die", "die", null, { policy: LocalFirst, timeout: 20_000 });
    assert.equal((answer as unknown as { attempt: number }).attempt, 2);
    await failing.close();
  });

  it("a slow listener: Remote and Auto wait for it, RemoteFirst too once it has started, and then time out", async () => {
    await startListener();
    for (const policy of [Remote, Auto, RemoteFirst]) {
      assert.equal(
        await queue.query(`slow-${policy}`, "slow", 700, {
          policy,
          ...policy === RemoteFirst ? { startWithin: 400 } : {},
        }),
        "slow",
      );
    }
    await assert.rejects(
      queue.query("slower", "slow", 10_000, { policy: RemoteFirst, timeout: 1_000, startWithin: 500 }),
      (error) => error instanceof TaskTimeoutError,
    );
    await until(async () => await state("slower") === "expired", "the listener ended it at its deadline");
  });

  it("F17: SIGTERM: what cannot end within the grace is given back, uncounted, and presence is gone", async () => {
    const child = await startListener();
    await queue.enqueue("long", "slow", 60_000, { timeout: 60_000 });
    await until(async () => await state("long") === "running", "it runs");
    process.kill(child.pid!, "SIGTERM"); // Deno forgets the exit code of a child that it was asked to kill itself.
    await until(() => child.exitCode === 0, "the listener ended by itself");
    const task = await queue.getTask("long");
    assert.deepEqual([task?.state, task?.attempt], ["queued", 0]);
    assert.equal((await redis.exec([["ZCARD", keys.listen("slow")]]))[0], 0);
  });

  it("F29 F30: Redis down: what can run here does, Remote rejects, all within seconds", async () => {
    await server.kill9();
    await until(async () => await redis.exec([["PING"]]).then(() => false, () => true), "the loss is known");
    const from = performance.now();
    for (const policy of [Local, LocalFirst, RemoteFirst, Auto]) {
      assert.equal(await queue.query(`down-${policy}`, "answer", null, { policy }), "here");
    }
    await assert.rejects(queue.query("down", "answer", null, { policy: Remote }), (error) => {
      assert.ok(error instanceof ConnectionLostError);
      assert.equal(error.sent, false);
      return true;
    });
    assert.ok(performance.now() - from < 15_000);
  });

  it("F44: a Redis that lost everything: who waits asks again and is answered; listeners go on by themselves", async () => {
    await startListener();
    const waiting = queue.query("lost", "slow", 1_500, { policy: Remote });
    await until(async () => await state("lost") === "running", "it runs");
    await server.kill9();
    await server.restart();
    assert.equal(await waiting, "slow");
    assert.equal(typeof await queue.query("next", "answer", null, { policy: Remote }), "number");
  });

  it("F44: FLUSHALL under a waiting caller loses no answer", async () => {
    const waiting = queue.query("flushed", "answer", null, { policy: Remote });
    await until(async () => await state("flushed") === "queued", "it waits");
    await redis.exec([["FLUSHALL"]]);
    await startListener();
    assert.equal(typeof await waiting, "number");
  });

  it("F24 F25 F55: connections killed again and again lose nothing and run nothing twice", async () => {
    await startListener();
    // Four callers, and a kill of every connection after each answer until the last: no call is spared, none is starved.
    let killing = Promise.resolve(""); // One at a time: the kill would cut its own kind.
    const kill = () =>
      killing = killing
        .then(() => server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
        .then(() => server.cli("CLIENT", "KILL", "TYPE", "pubsub"));
    let next = 0;
    const caller = async () => {
      while (next < 60) {
        const answer = queue.query(`k${next++}`, "answer", null, { policy: Remote });
        await kill();
        assert.equal(typeof await answer, "number");
      }
    };
    await Promise.all(Array.from({ length: 4 }, caller));
    for (let i = 0; i < 60; i++) assert.equal((await queue.getTask(`k${i}`))?.attempt, 1);
  });
});
