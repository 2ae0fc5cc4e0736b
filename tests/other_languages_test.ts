/** Programs of other languages at the same Redis: Python with plain redis-py, and redis-cli, by docs/wire.md. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import {
  connect,
  type RedisPort,
  type RedisTask,
  RedisTaskQueue,
  SerializationError,
  TaskExecutePolicy,
} from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { decodeOutcome } from "../src/outcome.ts";
import { decodeRecord } from "../src/record.ts";
import { decodeError } from "../src/remote_error.ts";
import type { TaskFns } from "../src/task.ts";
import { staleScripts } from "../tools/sync_lua.ts";
import { deferred } from "./support/listening.ts";
import { needPython, PythonProcess } from "./support/python.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until, within } from "./support/wait.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");
const keys = keysOf("shop", "task-queue");
/** Milliseconds for what goes through a Python process: starting one takes a while on a busy machine. */
const PATIENCE = 30_000;

describe("other languages", () => {
  let server: RedisServer;
  let port: RedisPort;
  let queues: RedisTaskQueue[];
  let pythons: PythonProcess[];
  let stop: AbortController;
  let ended: Promise<void>;

  before(async () => {
    await needPython();
    server = await startRedis();
    port = await connect(server.url) as RedisPort;
  });
  after(async () => {
    port?.close();
    await server?.stop();
  });
  beforeEach(() => {
    [queues, pythons, stop, ended] = [[], [], new AbortController(), Promise.resolve()];
  });
  afterEach(async () => {
    stop.abort();
    await ended;
    await Promise.all(queues.map((queue) => queue.close()));
    await Promise.all(pythons.map((python) => python.kill("SIGKILL")));
    await server.cli("FLUSHALL");
  });

  function open(taskFn?: TaskFns): RedisTaskQueue {
    const options = { interval: 200, lease: 1_000, timeout: PATIENCE, log: () => {} };
    const queue = new RedisTaskQueue(port, "shop", taskFn ? { ...options, taskFn } : options) as RedisTaskQueue;
    queues.push(queue);
    return queue;
  }

  /** A listener of ours, until the test ends. */
  function listen(taskFn: Record<string, (task: RedisTask) => unknown>): void {
    ended = open(taskFn as TaskFns).listen(Object.keys(taskFn), { signal: stop.signal, grace: 100 });
  }

  function python(...args: string[]): PythonProcess {
    const started = new PythonProcess(...args);
    pythons.push(started);
    return started;
  }

  const produce = (...args: string[]) => python("examples/python/producer.py", server.url, keys.base, ...args);

  /** What a producer printed, and its exit code. */
  async function ending(producer: PythonProcess): Promise<[number | null, string, string]> {
    const code = await within(producer.ended, "the end of the producer", PATIENCE);
    return [code, producer.stdout.trim(), producer.stderr.trim()];
  }

  /** A Python listener that is present. */
  async function servePython(): Promise<PythonProcess> {
    const listener = python("tests/fixtures/python_tasks.py", server.url, keys.base, "1000");
    const isPresent = async () => {
      if (listener.stderr !== "") throw new Error(listener.stderr);
      return await server.cli("ZCARD", keys.listen("gated")) === "1";
    };
    await until(isPresent, "Python listens", PATIENCE);
    return listener;
  }

  /** What somebody writes by hand with redis-cli. */
  async function plant(id: string, record: string): Promise<void> {
    await server.cli("SET", keys.record(id), record);
    await server.cli("RPUSH", keys.queue("größe"), id);
    await server.cli("RPUSH", keys.bell("größe"), "1");
  }

  /** The error that stands in the record of a failed task, also when its params cannot be read. */
  async function errorOf(id: string): Promise<Error> {
    const record = await until(async () => {
      const text = await server.cli("GET", keys.record(id));
      return text.startsWith("15") ? decodeRecord(id, text) : null;
    }, `task ${id} has failed`);
    return decodeError(decodeOutcome(record.outcome).body);
  }

  describe("a Python producer", () => {
    it("enqueues what a listener of ours does, and reads progress and result", async () => {
      const seen = deferred();
      listen({
        größe: async (task) => {
          await task.update(1, 2);
          await seen.promise;
          return { was: task.params, ok: "✓" };
        },
      });
      const producer = produce("bestellung-ü", "größe", '{"text": "naïve ✓ 日本"}');
      await until(() => producer.stderr.includes("1 of 2"), "it prints the progress", PATIENCE);
      seen.resolve();
      const [code, stdout] = await ending(producer);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout), { was: { text: "naïve ✓ 日本" }, ok: "✓" });
    });

    it("prints null for a task without a result", async () => {
      listen({ größe: () => undefined });
      assert.deepEqual(await ending(produce("nothing", "größe", "null")), [0, "null", ""]);
    });

    it("prints the error of a failed task and exits with 1", async () => {
      listen({
        größe: () => {
          throw new RangeError("viel zu groß");
        },
      });
      assert.deepEqual(await ending(produce("big", "größe", "1")), [1, "", "RangeError: viel zu groß"]);
    });

    it("prints that a task expired once its timeout is over", async () => {
      listen({ größe: (task) => new Promise((_, reject) => task.signal.addEventListener("abort", reject)) });
      const [code, stdout, stderr] = await ending(produce("slow", "größe", "1", "300"));
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^TaskTimeoutError: .*its time is over/);
      assert.equal((await open().getTask("slow"))?.state, "expired");
    });

    it("writes over no task that is there, and gives up when nobody comes", async () => {
      await open().enqueue("used", "größe", 1);
      const taken = produce("used", "größe", "2");
      const alone = produce("alone", "größe", "1", "1");
      assert.deepEqual(await ending(taken), [2, "", "there is a task used already"]);
      assert.deepEqual((await open().getTask("used"))?.params, 1);
      assert.equal((await ending(alone))[0], 3);
    });
  });

  describe("a Python listener", () => {
    for (const policy of [TaskExecutePolicy.Remote, TaskExecutePolicy.Auto]) {
      it(`answers our query with policy ${policy}`, async () => {
        await servePython();
        const queue = open({ größe: () => "done here" } as unknown as TaskFns);
        const params = { text: "naïve ✓", list: [1, null] };
        assert.deepEqual(await queue.query(`ü-${policy}`, "größe", params, { policy }), { python: params });
        assert.deepEqual(await queue.query(`none-${policy}`, "größe", undefined, { policy }), { python: null });
      });
    }

    it("sends its exceptions as errors with their messages", async () => {
      await servePython();
      const query = open().query("e", "broken", 7, { policy: TaskExecutePolicy.Remote });
      await assert.rejects(query, (error: Error) => {
        assert.deepEqual([error.name, error.message], ["ValueError", "keine Größe 7"]);
        assert.match(error.stack ?? "", /python_tasks\.py/);
        return true;
      });
    });

    it("leaves what is not JSON to others, and says so", async () => {
      const listener = await servePython();
      const serializer = { name: "own", serialize: String, deserialize: (text: string) => `own ${text}` };
      const options = {
        serializer,
        interval: 200,
        timeout: PATIENCE,
        taskFn: { größe: (task: RedisTask) => task.params },
      };
      const queue = new RedisTaskQueue(port, "shop", options) as unknown as RedisTaskQueue;
      queues.push(queue);
      const query = queue.query("s", "größe", "x", { policy: TaskExecutePolicy.Remote });
      await until(
        () => listener.stderr.includes("left to others, since it is not JSON: task s"),
        "it says so",
        PATIENCE,
      );
      await listener.kill("SIGTERM");
      ended = queue.listen(["größe"], { signal: stop.signal, grace: 100 });
      assert.equal(await within(query, "the answer", PATIENCE), "own own x");
      assert.equal((await queue.getTask("s"))?.attempt, 1);
    });

    it("does the bare tasks of a Python producer", async () => {
      await servePython();
      const [code, stdout] = await ending(produce("p", "größe", '{"a": "ß"}'));
      assert.deepEqual([code, JSON.parse(stdout)], [0, { python: { a: "ß" } }]);
    });

    it("shows its progress, keeps its lease, and ends after its task when told to stop", async () => {
      const listener = await servePython();
      const queue = open();
      const query = queue.query("g", "gated", { gate: "gate" }, { policy: TaskExecutePolicy.Remote });
      const progressOf = async () => {
        const task = await queue.getTask("g");
        return [task?.currentProgress, task?.totalProgress, task?.attempt];
      };
      await until(async () => (await progressOf())[0] === 1, "its progress is seen", PATIENCE);
      const leaseEnd = () => server.cli("ZSCORE", keys.lease("gated"), "g");
      const first = await leaseEnd();
      await until(
        async () => Number(await leaseEnd()) > Number(first) + 1_000,
        "it has renewed more than once",
        PATIENCE,
      );
      const gone = listener.kill("SIGTERM");
      await server.cli("RPUSH", "gate", "go");
      assert.equal(await within(query, "the answer", PATIENCE), "through");
      assert.deepEqual(await progressOf(), [3, 3, 1]);
      assert.equal(await within(gone, "the end of the listener", PATIENCE), 0);
      assert.equal(await server.cli("EXISTS", keys.listen("gated")), "0");
    });

    it("goes on when Redis has closed its connections and forgotten its scripts", async () => {
      await servePython();
      const queue = open();
      const query = queue.query("l", "gated", { gate: "gate" }, { policy: TaskExecutePolicy.Remote });
      await until(async () => (await queue.getTask("l"))?.currentProgress === 1, "it runs", PATIENCE);
      await server.cli("SCRIPT", "FLUSH");
      await server.cli("CLIENT", "KILL", "TYPE", "normal");
      await server.cli("RPUSH", "gate", "go");
      assert.equal(await within(query, "the answer", PATIENCE), "through");
      const next = queue.query("n", "größe", 1, { policy: TaskExecutePolicy.Remote });
      assert.deepEqual(await within(next, "the next answer", PATIENCE), { python: 1 });
    });

    it("learns of a cancel by its next word", async () => {
      await servePython();
      const queue = open();
      const query = queue.query("c", "gated", { gate: "gate" }, { policy: TaskExecutePolicy.Remote });
      const rejected = assert.rejects(query, { name: "TaskCancelledError" });
      await until(async () => (await queue.getTask("c"))?.currentProgress === 1, "it runs", PATIENCE);
      const cancelled = queue.cancel("c", { timeout: PATIENCE });
      await until(async () => await server.cli("GETRANGE", keys.record("c"), "2", "2") === "1", "it is asked to stop");
      await server.cli("RPUSH", "gate", "go");
      await within(rejected, "the rejection", PATIENCE);
      assert.equal(await cancelled, "cancelled");
    });

    it("loses its task to a listener of ours when it is killed", async () => {
      const listener = await servePython();
      const query = open().query("k", "gated", { gate: "gate" }, { policy: TaskExecutePolicy.Remote });
      await until(async () => (await open().getTask("k"))?.currentProgress === 1, "it runs", PATIENCE);
      await listener.kill("SIGKILL");
      listen({ gated: (task) => `attempt ${task.attempt} of ours` });
      assert.equal(await within(query, "the answer", PATIENCE), "attempt 2 of ours");
    });
  });

  describe("docs/lua", () => {
    const evaluate = (verb: string, ...words: string[]) =>
      server.cli("EVAL", read(`docs/lua/${verb}.lua`), "1", keys.none, keys.base, "", ...words);
    const claim = (sequence: string) => evaluate("claim", "listener0001", sequence, "1", "30000", "0", "0", "größe");

    it("releases a claimed task, at once or after a delay", async () => {
      const queue = open();
      await queue.enqueue("r", "größe", 1);
      for (const [sequence, delay, state] of [["0000000001", "0", "queued"], ["0000000002", "60000", "scheduled"]]) {
        assert.match(await claim(sequence!), /\nr\n13/);
        const { fence } = (await queue.getTask("r"))!;
        const words = [delay!, "r", "größe", "listener0001", String(fence).padStart(16, "0")];
        assert.match(await evaluate("release", ...words), /^a[12]0$/);
        const task = await queue.getTask("r");
        assert.deepEqual([task?.state, task?.attempt], [state, 0]);
      }
    });
  });

  describe("redis-cli", () => {
    const page = read("docs/wire.md");
    const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text]) => text!);
    /** Runs a block of the page as it stands against the server of this test. */
    const run = (block: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const script = `set -e\n${block.replaceAll("redis-cli ", `redis-cli -p ${server.port} `)}`;
        execFile(
          "sh",
          ["-c", script],
          { env: process.env },
          (error, stdout) => error ? reject(error) : resolve(stdout),
        );
      });

    it("enqueues by the commands of docs/wire.md and reads the answer", async () => {
      assert.equal(blocks.length, 2);
      listen({ invoice: (task) => ({ paid: (task.params as { order: number }).order }) });
      await run(blocks[0]!);
      await until(async () => (await open().getTask("order-7"))?.state === "succeeded", "it is done");
      const told = [...blocks[1]!.matchAll(/ # (.*)$/gm)].map(([, text]) => text).join("\n");
      assert.equal((await run(`${blocks[0]!.split("\n")[0]}\n${blocks[1]!}`)).trim(), told);
    });

    for (
      const [what, record, message] of [
        ["is no JSON", '{"params": 1,}', /^Cannot read task bad as JSON: /],
        ["has a text as timeout", '{"params": 1, "timeout": "5s"}', /its timeout is "5s"; it must be milliseconds/],
        ["has a timeout below zero", '{"params": 1, "timeout": -1}', /its timeout is -1; it must be milliseconds/],
        ["would set a prototype", '{"params": {"__proto__": 1}}', /"__proto__" is refused/],
      ] as const
    ) {
      it(`makes a task that fails and says why when its JSON ${what}`, async () => {
        let calls = 0;
        listen({ größe: () => calls++ });
        await plant("bad", record);
        const error = await errorOf("bad");
        assert.ok(error instanceof SerializationError, String(error));
        assert.match(error.message, message);
        assert.equal(calls, 0);
      });
    }

    it("may leave the timeout out, or say null", async () => {
      listen({ größe: (task) => task.params });
      for (const [id, record] of [["a", '{"params": 5}'], ["b", '{"params": 5, "timeout": null}']]) {
        await plant(id!, record!);
        await until(async () => (await open().getTask(id!))?.result === 5, `task ${id} is done`);
      }
    });
  });
});

describe("docs/lua", () => {
  it("holds the scripts that errand runs (else: deno run -A tools/sync_lua.ts)", () => {
    assert.deepEqual(staleScripts(new URL("docs/lua/", ROOT)), []);
  });
});

describe("examples/python", () => {
  for (const file of ["producer.py", "listener.py"]) {
    it(`${file} stays under 60 lines`, () => {
      const lines = read(`examples/python/${file}`).trimEnd().split("\n");
      assert.ok(lines.length < 60, `${lines.length} lines`);
      assert.ok(lines.every((line) => line.length <= 120));
    });
  }
});
