/**
 * What a task costs, counted and not timed: writes, commands, calls of scripts, bytes, commands inside scripts, promises.
 *
 * The numbers are what was reached: make them smaller when a change makes the hot path cheaper, and find out why when a
 * change makes one too small. Room is left only where it depends on how two processes meet in time.
 */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { createHook } from "node:async_hooks";
import process from "node:process";
import { RedisTaskQueue } from "../mod.ts";
import { CountingPort, type Traffic } from "./support/counting_port.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { testConnect } from "./support/test_client.ts";
import { until, within } from "./support/wait.ts";

/** 200 bytes of JSON. */
const PARAMS = { text: "x".repeat(189) };
const NAME = "work";
/** Longer than any test here, so that no safety net is counted. */
const INTERVAL = 60_000;
/** Only Node tells of promises: Deno and Bun have `createHook` and never call it. */
const isNode = !("Deno" in globalThis) && !process.versions.bun;

/** What a port and Redis did, by task. */
interface Cost extends Traffic {
  /** All that Redis did, commands inside scripts too. */
  readonly inside: number;
}

describe("the hot path", () => {
  let server: RedisServer;
  let client: { port: CountingPort; queue: RedisTaskQueue };
  let worker: { port: CountingPort; queue: RedisTaskQueue };
  let started = 0;
  let nthStarted: { readonly n: number; readonly resolve: () => void } | undefined;

  before(async () => void (server = await startRedis()));
  after(() => server.stop());
  beforeEach(async () => {
    client = await open();
    worker = await open({
      [NAME]: () => {
        if (++started === nthStarted?.n) nthStarted.resolve();
        return "done";
      },
    });
    await warm();
  });
  afterEach(async () => {
    for (const { port, queue } of [client, worker]) {
      await queue.close();
      port.close();
    }
    await server.cli("FLUSHALL");
  });

  async function open(taskFn?: Record<string, () => string>): Promise<{ port: CountingPort; queue: RedisTaskQueue }> {
    const port = new CountingPort(await testConnect(server.url));
    const queue = new RedisTaskQueue(port, "hot", { interval: INTERVAL, ...(taskFn ? { taskFn } : {}) });
    return { port, queue: queue as RedisTaskQueue };
  }

  /** Scripts are sent whole once; after that only their hashes travel. */
  async function warm(): Promise<void> {
    await enqueue("warm", 1);
    await drain(1);
    const stop = new AbortController();
    const listening = worker.queue.listen(NAME, { signal: stop.signal });
    await client.queue.query("warm-query", NAME, PARAMS, { policy: "remote" });
    stop.abort();
    await listening;
  }

  async function insideOf(use: () => Promise<void>): Promise<number> {
    const calls = async () => {
      const text = await server.cli("INFO", "commandstats");
      const counted = [...text.matchAll(/^cmdstat_(?!info|command|config)\S+?:calls=(\d+)/gm)];
      return counted.reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const first = await calls();
    await use();
    return await calls() - first;
  }

  async function cost(port: CountingPort, tasks: number, use: () => Promise<void>): Promise<Cost> {
    port.take();
    const inside = await insideOf(use);
    const { writes, commands, scripts, bytes } = port.take();
    return { writes, commands, scripts, bytes: bytes / tasks, inside: inside / tasks };
  }

  /** Hands so many in at once. */
  async function enqueue(prefix: string, count: number): Promise<void> {
    const ids = Array.from({ length: count }, (_, at) => `${prefix}-${String(at).padStart(6, "0")}`);
    await Promise.all(ids.map((id) => client.queue.enqueue(id, NAME, PARAMS)));
  }

  /** Asks so many at once. */
  async function ask(prefix: string, count: number): Promise<void> {
    const ids = Array.from({ length: count }, (_, at) => `${prefix}-${String(at).padStart(6, "0")}`);
    await Promise.all(ids.map((id) => client.queue.query(id, NAME, PARAMS, { policy: "remote" })));
  }

  /** A listener that stops when it has begun so many; what it began ends. */
  async function drain(count: number): Promise<void> {
    const stop = new AbortController();
    started = 0;
    const begun = new Promise<void>((resolve) => nthStarted = { n: count, resolve });
    const listening = worker.queue.listen(NAME, { workers: 100, signal: stop.signal });
    await within(begun, `${count} tasks begin`, 20_000);
    stop.abort();
    await listening;
  }

  function atMost(what: string, found: Cost, bounds: Partial<Cost>): void {
    for (const [figure, bound] of Object.entries(bounds)) {
      const value = found[figure as keyof Cost];
      assert.ok(value <= bound, `${what}: ${value} ${figure}, more than ${bound}`);
    }
  }

  for (const waiting of [0, 5_000]) {
    describe(`with ${waiting} waiting`, () => {
      beforeEach(() => enqueue("waiting", waiting));

      it("hands a lone task in by one call of a script", async () => {
        const found = await cost(client.port, 1, () => enqueue("lone", 1));
        atMost("enqueue", found, { writes: 1, commands: 1, scripts: 1, bytes: 460, inside: 8 });
      });

      it("hands a hundred in by one call of a script", async () => {
        const found = await cost(client.port, 100, () => enqueue("many", 100));
        atMost("enqueue", found, { writes: 1, commands: 1, scripts: 1, bytes: 325, inside: 1.12 });
      });

      it("does a task by three hundredths of a script call", async () => {
        await enqueue("drained", 2_000);
        const found = await cost(worker.port, 2_000, () => drain(2_000));
        atMost("drain", found, { commands: 110, scripts: 105, bytes: 540, inside: 2.8 });
      });
    });
  }

  describe("a question", () => {
    let stop: AbortController;
    let listening: Promise<void>;

    beforeEach(async () => {
      stop = new AbortController();
      listening = worker.queue.listen(NAME, { workers: 100, signal: stop.signal });
      await ask("before", 1);
      await asleep();
    });
    afterEach(async () => {
      stop.abort();
      await listening;
    });

    /** The listener has nothing to do, and waits at its bell. */
    const asleep = () => until(async () => (await server.cli("CLIENT", "LIST")).includes("cmd=blpop"), "the bell");

    it("costs its asker one command and its listener three", async () => {
      worker.port.take();
      const found = await cost(client.port, 1, async () => {
        await ask("alone", 1);
        await asleep();
      });
      atMost("the asker", found, { writes: 1, commands: 1, scripts: 1, bytes: 900, inside: 38 });
      const { writes, commands, scripts, bytes } = worker.port.take();
      atMost("the listener", { writes, commands, scripts, bytes, inside: 0 }, {
        ...{ writes: 3, commands: 3, scripts: 2, bytes: 1_020 },
      });
    });

    it("costs less beside others", async () => {
      worker.port.take();
      const found = await cost(client.port, 100, () => ask("beside", 100));
      atMost("the asker", found, { writes: 4, commands: 102, scripts: 2, bytes: 765, inside: 5.2 });
      const { scripts, bytes } = worker.port.take();
      atMost("the listener", { writes: 0, commands: 0, scripts, bytes: bytes / 100, inside: 0 }, {
        ...{ scripts: 10, bytes: 540 },
      });
    });
  });

  if (isNode) {
    it("makes few promises", async () => {
      let made = 0;
      const hook = createHook({ init: (_id, type) => void (made += type === "PROMISE" ? 1 : 0) });
      const promises = async (tasks: number, use: () => Promise<unknown>) => {
        made = 0;
        hook.enable();
        await use();
        hook.disable();
        return made / tasks;
      };
      const enqueued = await promises(1_000, () => enqueue("promised", 1_000));
      const drained = await promises(1_000, () => drain(1_000));
      const stop = new AbortController();
      const listening = worker.queue.listen(NAME, { workers: 100, signal: stop.signal });
      const answered = await promises(1_000, () => ask("promised-answer", 1_000));
      stop.abort();
      await listening;
      assert.ok(enqueued <= 8, `${enqueued} promises a task handed in`);
      assert.ok(drained <= 6, `${drained} promises a task done`);
      assert.ok(answered <= 50, `${answered} promises a question, both sides together`);
    });
  }
});
