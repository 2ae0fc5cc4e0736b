/** A listener on a real Redis: one bad key stops one name only, few connections for many names, and a full Redis drains. */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import { type RedisPort, type RedisTask, RedisTaskQueue } from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import type { LogEntry } from "../src/log.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { testConnect } from "./support/test_client.ts";
import { until, within } from "./support/wait.ts";

const keys = keysOf("listeners", "task-queue");
const echo = (task: RedisTask<string>) => task.params;

describe("a listener on Redis", () => {
  let server: RedisServer;
  let ports: RedisPort[];
  let queues: RedisTaskQueue[];
  let stop: AbortController;
  let ended: Promise<void>;
  let entries: LogEntry[];

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    [ports, queues, entries, stop, ended] = [[], [], [], new AbortController(), Promise.resolve()];
  });
  afterEach(async () => {
    stop.abort();
    await ended;
    await Promise.all(queues.map((queue) => queue.close()));
    for (const port of ports) port.close();
    await server.cli("CONFIG", "SET", "maxmemory", "0");
    await server.cli("FLUSHALL");
  });

  async function open(interval: number, taskFn?: Record<string, typeof echo>): Promise<RedisTaskQueue> {
    const port = await testConnect(server.url);
    ports.push(port);
    const log = (entry: LogEntry) => void entries.push(entry);
    const options = { interval, lease: 1_500, timeout: 10_000, log };
    const queue = new RedisTaskQueue(port, "listeners", taskFn ? { ...options, taskFn } : options) as RedisTaskQueue;
    queues.push(queue);
    return queue;
  }

  /** Listens to these names until the test ends. */
  async function listen(names: string[], interval: number): Promise<void> {
    const queue = await open(interval, Object.fromEntries(names.map((name) => [name, echo])));
    ended = queue.listen(names, { signal: stop.signal, grace: 60_000 });
  }

  async function endsAtOnce(): Promise<void> {
    stop.abort();
    await within(ended, "the end of the listener", 1_000);
  }

  for (
    const [what, key] of [["delays", keys.scheduled("a")], ["queue", keys.queue("a")], ["leases", keys.lease("a")]]
  ) {
    it(`goes on with its other names when the ${what} of one have another type, and takes it back`, async () => {
      await listen(["a", "b"], 200);
      const client = await open(200);
      await client.query("first", "a", "x");
      await server.cli("SET", key!, "x");
      for (const id of ["1", "2", "3"]) assert.equal(await within(client.query(id, "b", id), id), id);
      const errors = await until(() => {
        const found = entries.filter(({ level }) => level === "error");
        return found.length > 0 && found.at(-1)!.taskName === "a" ? found : null;
      }, "it is logged");
      assert.match(errors[0]!.message, /\ba\b/);
      await server.cli("DEL", key!);
      assert.equal(await within(client.query("back", "a", "x"), "a again"), "x");
      await endsAtOnce();
    });
  }

  it("stops at once while all its names are refused, and does not flood the log", async () => {
    await server.cli("SET", keys.scheduled("a"), "x");
    await listen(["a"], 60_000);
    await until(() => entries.filter(({ taskName }) => taskName === "a").length >= 3, "three refusals are logged");
    assert.match(entries.find(({ taskName }) => taskName === "a")!.message, /"a" \(try 1\)/);
    await endsAtOnce();
  });

  it("F64: does not spin while a bell has another type, and loses no task to it", async () => {
    await server.cli("SET", keys.bell("a"), "x");
    await server.cli("CONFIG", "RESETSTAT");
    await listen(["a", "b"], 60_000);
    await until(() => entries.some(({ message }) => message.includes("bell")), "it is logged");
    const client = await open(200);
    for (const id of ["1", "2", "3"]) assert.equal(await within(client.query(id, "b", id), id), id);
    const blpops = /cmdstat_blpop:calls=(\d+)/.exec(await server.cli("INFO", "commandstats"));
    assert.ok(Number(blpops?.[1] ?? 0) < 30, blpops?.[0]);
    await endsAtOnce();
  });

  it("F64: is still present for its other names when one cannot tell its presence", async () => {
    await server.cli("SET", keys.listen("a"), "x");
    await listen(["a", "b"], 200);
    await until(() => server.cli("ZCARD", keys.listen("b")).then((count) => count === "1"), "b is listened to");
    const client = await open(200);
    assert.equal(await within(client.query("1", "b", "1"), "b"), "1");
    await endsAtOnce();
  });

  it("F15: says what it cannot read, and goes on with the rest; the bytes stay", async () => {
    await server.cli("SET", keys.record("odd"), "no record");
    await server.cli("RPUSH", keys.queue("a"), "odd");
    await listen(["a"], 50);
    const asker = await open(50);
    assert.equal(await asker.query("next", "a", "done", { policy: "remote" }), "done");
    const said = await until(() => entries.find(({ id }) => id === "odd"), "it is said");
    assert.match(said.message, /Cannot read the record of task odd: it is set aside/);
    assert.equal(await server.cli("GET", keys.record("odd")), "no record");
  });

  it("F54: of 64 names has one blocking connection and three in all", async () => {
    const names = Array.from({ length: 64 }, (_, at) => `name${at}`);
    await listen(names, 5_000);
    const clients = async () =>
      (await server.cli("CLIENT", "LIST")).split("\n").filter((line) => !/ cmd=client/.test(line));
    const blocked = await until(async () => {
      const lines = await clients();
      return lines.some((line) => / cmd=blpop/.test(line)) && lines.some((line) => / sub=[1-9]/.test(line))
        ? lines
        : null;
    }, "it waits");
    assert.equal(blocked.filter((line) => / cmd=blpop/.test(line)).length, 1, blocked.join("\n"));
    assert.ok(blocked.length <= 3, blocked.join("\n"));
  });

  it("F52: drains a full Redis, although the results are larger than the params", async () => {
    const client = await open(200);
    const ids = Array.from({ length: 50 }, (_, at) => `t${at}`);
    await Promise.all(ids.map((id) => client.enqueue(id, "grow", "x")));
    await server.cli("CONFIG", "SET", "maxmemory", "1");
    const queue = await open(200, { grow: (task) => task.params.repeat(2_000) });
    ended = queue.listen("grow", { signal: stop.signal, workers: 4 });
    for (const id of ids) {
      await until(
        () => server.cli("GETRANGE", keys.record(id), "1", "1").then((state) => state === "4"),
        `${id} is done`,
      );
    }
    assert.equal(await server.cli("LLEN", keys.queue("grow")), "0");
  });
});
