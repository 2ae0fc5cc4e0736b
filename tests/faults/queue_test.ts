/**
 * One id and those who ask for it: twice at once, after its end, too late, or all in the same moment. And time: what is
 * due although nobody was there to see it.
 */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { TaskTimeoutError } from "../../mod.ts";
import { Calls } from "../../src/calls.ts";
import { sleep } from "../../src/clock.ts";
import { keysOf } from "../../src/keys.ts";
import { settingsOf } from "../../src/options.ts";
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../../src/store/memory/memory_store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { drive, Gates } from "../support/gates.ts";
import { makeListener } from "../support/listening.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { scriptArguments } from "../support/run_script.ts";
import { startProxy } from "../support/proxy.ts";
import { Scene } from "../support/scene.ts";
import { until } from "../support/wait.ts";

const keys = keysOf("queue", "task-queue");

/** One who asks for the task. */
interface Asker {
  /** Milliseconds after the first. */
  readonly at: number;
  readonly policy: "remote" | "remote-first" | "auto";
}

const story = fc.record({
  askers: fc.array(
    fc.record({
      at: fc.integer({ min: 0, max: 60 }),
      policy: fc.constantFrom<Asker["policy"]>("remote", "remote-first", "auto"),
    }),
    { minLength: 2, maxLength: 5 },
  ),
  takes: fc.integer({ min: 0, max: 50 }),
  choices: fc.array(fc.nat({ max: 9 }), { minLength: 20, maxLength: 120 }),
});

/** How often the task was started, and what each of the askers got. */
async function play({ askers, takes, choices }: typeof story extends fc.Arbitrary<infer T> ? T : never) {
  const clock = new FakeClock();
  const world = new MemoryRedis();
  const store = new MemoryStore(world, keys, clock);
  const gates = new Gates();
  let starts = 0;
  const work = async () => {
    starts += 1;
    await sleep(clock, takes);
    return starts;
  };
  const settings = settingsOf({ clock, log: () => {}, taskFn: work, interval: 200, lease: 60_000 });
  const asked = askers.map(async ({ at, policy }, index) => {
    const calls = new Calls({ store: gates.before(store), client: `client00000${index}`, settings });
    await sleep(clock, at);
    return await calls.call({ id: "a", name: "work", params: 1, timeout: 600_000, policy, startWithin: 20 });
  });
  const stop = new AbortController();
  const context = { clock, interval: 200, lease: 60_000 };
  const listeners = [1, 2].map(() => makeListener(gates.before(store), { work }, context).run(stop.signal));
  const answers = await drive(Promise.all(asked), { gates, clock, choices });
  stop.abort();
  await drive(Promise.all(listeners), { gates, clock, choices: [] });
  world.close();
  return { starts, answers };
}

describe("one id", () => {
  let server: RedisServer;
  let scene: Scene;
  const children: ChildProcess[] = [];

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    scene = new Scene("queue");
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => kill(child)));
    await scene.close();
  });

  const length = async (key: string) => Number(await server.cli("LLEN", key));

  it("F65: asked for by many in any order starts once, and all get the one answer", async () => {
    const property = fc.asyncProperty(story, async (story) => {
      const { starts, answers } = await play(story);
      assert.equal(starts, 1);
      assert.deepEqual(new Set(answers), new Set([1]));
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it("F66: replaced while it runs: the new run counts, the older one is told and its outcome refused", async () => {
    const ends: (() => void)[] = [];
    const reasons: unknown[] = [];
    await scene.listen(server.url, async (task) => {
      await new Promise<void>((resolve) => ends.push(resolve));
      if (task.signal.aborted) reasons.push(task.signal.reason);
    });
    const queue = await scene.open(server.url);
    await queue.enqueue("a", "work", "old");
    await until(() => ends.length === 1, "it runs");
    await queue.enqueue("a", "work", "new", { ifExists: "replace" });
    await until(() => ends.length === 2, "the new one runs");
    ends[1]!();
    await until(async () => (await queue.getTask("a"))?.state === "succeeded", "the new one is done");
    ends[0]!();
    const said = () => reasons.length > 0 || scene.log.some(({ message }) => /lease is lost|is lost/.test(message));
    await until(said, "the old one learns that it lost");
    const task = await queue.getTask("a");
    assert.deepEqual([task?.result, task?.params], ["new", "new"]);
    const [older, newer] = scene.fences.get("a")!;
    assert.ok(newer! > older!, "its fence is higher");
    assert.equal(await queue.query("a", "work", "later"), "new", "joined after its end: the stored result");
    assert.equal(scene.starts.get("a"), 2);
  });

  it("F67: handed in over a link that is cut within the answer is one task", async () => {
    const proxy = await startProxy(server.port);
    const queue = await scene.open(proxy.url);
    await queue.enqueue("first", "work", 0); // The script is known from now on.
    let cuts = 0;
    for (let bytes = 1; bytes <= 15; bytes += 2) {
      const dials = proxy.dials.length;
      proxy.cutAfter(bytes);
      const task = await queue.enqueue(`cut ${bytes}`, "work", bytes);
      assert.equal(task.state, "queued");
      if (proxy.dials.length > dials) cuts += 1;
      proxy.cutAfter(Infinity);
      assert.equal(await length(keys.queue("work")), (bytes - 1) / 2 + 2, `one hint after ${bytes} bytes`);
    }
    assert.ok(cuts >= 5, `${cuts} answers were cut`);
    await scene.listen(server.url);
    const done = () => [...scene.starts.values()].length === 9;
    await until(done, "all are done");
    assert.deepEqual(new Set(scene.starts.values()), new Set([1]));
    await scene.close();
    await proxy.close();
  });

  it("F68: that waits past its deadline never starts, whoever comes later", async () => {
    const queue = await scene.open(server.url);
    await assert.rejects(queue.query("late", "work", 1, { timeout: 50, policy: "remote" }), TaskTimeoutError);
    await scene.listen(server.url);
    const next = await scene.open(server.url);
    assert.equal(await next.query("next", "work", 2, { policy: "remote" }), 2);
    await until(async () => (await queue.getTask("late"))?.state === "expired", "it has expired");
    assert.equal(scene.starts.get("late"), undefined);
  });

  it("F69: that runs past its deadline: its record outlives its owner, who cannot store a result any more", async () => {
    let end = () => {};
    const held = new Promise<void>((resolve) => end = resolve);
    const signals: AbortSignal[] = [];
    await scene.listen(server.url, async (task) => {
      signals.push(task.signal);
      await held; // A handler that looks at nothing.
    }, { lease: 400_000 });
    const queue = await scene.open(server.url);
    const asked = queue.query("long", "work", 1, { timeout: 300, policy: "remote" });
    const rejected = assert.rejects(asked, TaskTimeoutError);
    await until(() => signals.length === 1, "it runs");
    assert.ok(Number(await server.cli("PTTL", keys.record("long"))) > 700_000, "two leases, whatever its deadline");
    await rejected;
    await until(async () => (await queue.getTask("long"))?.state === "expired", "it is ended as expired");
    assert.equal((signals[0]!.reason as Error).name, "TaskTimeoutError");
    end();
    assert.equal(await queue.query("next", "work", 2, { policy: "remote" }), 2, "its slot is free");
    const task = await queue.getTask("long");
    assert.deepEqual([task?.state, task?.result], ["expired", undefined]);
    assert.equal(await server.cli("ZCARD", keys.lease("work")), "0");
  });

  it("F73: read with once by two at the same time is given to one of them", async () => {
    const listener = await scene.listen(server.url);
    const readers = [await scene.open(server.url), await scene.open(server.url)];
    const wins = [0, 0];
    for (let n = 0; n < 40; n += 1) {
      const id = `once ${n}`;
      await listener.queue.query(id, "work", n, { policy: "remote" });
      const got = await Promise.all(readers.map((reader) => reader.getTask(id, { once: true })));
      const winners = got.filter((task) => task !== null);
      assert.deepEqual(winners.map((task) => task.result), [n]);
      wins[got[0] === null ? 1 : 0]! += 1;
      assert.equal(await readers[0]!.hasTask(id), false);
    }
    assert.equal(wins[0]! + wins[1]!, 40);
  });

  it("F79: of a slot, handed in by every scheduler that wakes, runs once, late ones included", async () => {
    const slot = "report@2026-01-01T00:00";
    const schedulers = await Promise.all(Array.from({ length: 6 }, () => scene.open(server.url)));
    const fire = (delay: number) =>
      Promise.all(schedulers.map((queue) => queue.enqueue(slot, "work", "report", { delay, resultTtl: 60_000 })));
    const tasks = await fire(150);
    assert.deepEqual(tasks.map(({ state }) => state), Array(6).fill("scheduled"));
    assert.equal(await server.cli("ZCARD", keys.scheduled("work")), "1");
    await scene.listen(server.url);
    await scene.listen(server.url);
    await until(async () => (await schedulers[0]!.getTask(slot))?.state === "succeeded", "it is done");
    const late = await fire(0); // Clocks differ, and some machines wake late.
    assert.deepEqual(late.map(({ state, result }) => [state, result]), Array(6).fill(["succeeded", "report"]));
    assert.equal(scene.starts.get(slot), 1);
  });

  it("F76: due while all listeners are dead is done by the next one that comes", async () => {
    const queue = await scene.open(server.url);
    const first = await startListener();
    await queue.enqueue("soon", "answer", 1, { delay: 300 });
    await queue.enqueue("much later", "answer", 1, { delay: 600_000 });
    await kill(first);
    const due = async () => Number(await server.cli("ZCOUNT", keys.scheduled("answer"), "-inf", `${Date.now()}`)) > 0;
    await until(due, "it is due, and nobody is there");
    assert.equal((await queue.getTask("soon"))?.state, "scheduled");
    await startListener();
    await until(async () => (await queue.getTask("soon"))?.state === "succeeded", "it is done");
    assert.equal((await queue.getTask("much later"))?.state, "scheduled");
  });

  /** Starts a listener process; resolves when it is present. */
  async function startListener(): Promise<ChildProcess> {
    const file = fileURLToPath(new URL("../fixtures/listener_process.ts", import.meta.url));
    const child = spawn(process.execPath, [...scriptArguments(), file, server.url, "queue", "1000"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    let output = "";
    child.stdout!.on("data", (chunk) => output += String(chunk));
    await until(() => output.includes("present"), "the listener process is present", 15_000);
    return child;
  }
});

function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}
