import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, afterEach, before, describe, it } from "node:test";
import {
  type ClientName,
  connect,
  type LogEntry,
  type RedisPort,
  type RedisTask,
  RedisTaskQueue,
  type TaskFns,
} from "../mod.ts";
import { systemClock } from "../src/clock.ts";
import { keysOf } from "../src/keys.ts";
import { RedisReplyError } from "../src/port/redis.ts";
import { openStore } from "../src/store/open.ts";
import type { Script } from "../src/store/redis/script.ts";
import { runCli } from "./fixtures/run_cli.ts";
import { deferred, enqueue as enqueueRaw } from "./support/listening.ts";
import { type Role, rulesOf } from "./support/acl_roles.ts";
import { CLIENTS } from "./support/clients.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until, within } from "./support/wait.ts";

const [PREFIX, SUFFIX] = ["suite", "jobs"];
const KEYS = keysOf(PREFIX, SUFFIX);
const SCRIPTS = new URL("../src/store/redis/", import.meta.url);
const PASSWORD = "p@ss:w/ö#?% +";
const ROLES: readonly Role[] = ["producer", "listener", "reader"];

/** Who runs which script. A new script is given its roles here, and they its commands in SECURITY.md. */
const ROLES_OF: Readonly<Record<string, readonly Role[]>> = {
  enqueue: ["producer"],
  cancel: ["producer"],
  take: ["producer"],
  acknowledge: ["producer"],
  put: ["producer"],
  withdraw: ["producer"],
  dead: ["producer"],
  requeue: ["producer"],
  remove: ["producer"],
  ring: ["producer", "listener"],
  listened: ["producer", "listener"],
  finish: ["producer", "listener"],
  renew: ["producer", "listener"],
  progress: ["producer", "listener"],
  release: ["producer", "listener"],
  claim: ["listener"],
  appear: ["listener"],
  leave: ["listener"],
};
/** What they send beside scripts: adapters, coalescer, bell, inbox, and for the reader what a dashboard asks. */
const SENT: Readonly<Record<Role, string>> = {
  producer: "ping client|id subscribe eval evalsha get getrange publish zcard hget",
  listener: "ping client|id client|kill subscribe blpop eval evalsha",
  reader: "ping client|id get getrange mget llen lrange zcard zcount zrange hgetall",
};

const modules: object[] = await Promise.all(readdirSync(SCRIPTS).map((file) => import(new URL(file, SCRIPTS).href)));
const scripts = modules.flatMap((module): unknown[] => Object.values(module)).filter(isScript);

describe("the rules in SECURITY.md", () => {
  it("leave no script out", () => {
    assert.deepEqual(scripts.map(({ name }) => name).sort(), Object.keys(ROLES_OF).sort());
  });

  for (const role of ROLES) {
    const { words, commands } = rulesOf(role, KEYS.base, PASSWORD);
    const run = scripts.filter(({ name }) => ROLES_OF[name]!.includes(role));

    it(`allow a ${role} the commands of its scripts and what else it sends, and no other`, () => {
      const needed = new Set([...run.flatMap(({ source }) => commandsOf(source)), ...SENT[role].split(" ")]);
      assert.deepEqual(commands, [...needed].sort());
    });

    it(`allow a ${role} the keys and channels that its scripts name`, () => {
      for (const { name, source } of run) {
        for (const place of placesOf(source)) {
          const isAllowed = words.some((word) => word.replace(/^(?:%R~|~|&)/, "").startsWith(`${KEYS.base}|${place}`));
          assert.ok(isAllowed, `script ${name} needs ${place}`);
        }
      }
    });
  }
});

describe("users with the rules of SECURITY.md", () => {
  let server: RedisServer;
  const open: { close(): unknown }[] = [];
  before(async () => {
    server = await startRedis();
    for (const role of ROLES) await server.cli("ACL", "SETUSER", role, ...rulesOf(role, KEYS.base, PASSWORD).words);
  });
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
    await server.cli("FLUSHALL");
    await server.cli("ACL", "LOG", "RESET");
  });
  after(() => server.stop());

  async function as(role: Role, client: ClientName = "ioredis"): Promise<RedisPort> {
    const url = `redis://${role}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}`;
    const redis = await connect(url, { client }) as RedisPort;
    open.push(redis);
    return redis;
  }

  function queueOn(redis: RedisPort, taskFn?: TaskFns) {
    const log: LogEntry[] = [];
    const options = { suffix: SUFFIX, interval: 200, lease: 600, log: (entry: LogEntry) => void log.push(entry) };
    const queue = new RedisTaskQueue(redis, PREFIX, taskFn ? { ...options, taskFn } : options);
    open.push(queue);
    return { queue, log };
  }

  for (const client of CLIENTS) {
    it(`do all that they are for, with ${client}`, { timeout: 60_000 }, async () => {
      const [producing, serving, reading] = await Promise.all([
        as("producer", client),
        as("listener", client),
        as("reader", client),
      ]);
      const { queue: producer } = queueOn(producing, { here: () => "done here" });
      const { queue: reader } = queueOn(reading);
      const { queue: listener, log } = queueOn(serving, {
        add: (task: RedisTask<readonly number[]>) => task.params.reduce((a, b) => a + b, 0),
        slow: (task: RedisTask) =>
          new Promise((_, reject) => {
            void task.update(1, 2);
            task.signal.addEventListener("abort", () => reject(task.signal.reason));
          }),
        work: (task: RedisTask) => `attempt ${task.attempt}`,
      });
      await lateHands(serving, producing);
      const stop = new AbortController();
      const listening = listener.listen(["add", "slow", "work"], { signal: stop.signal, grace: 50 });
      await until(
        async () => (await producer.getTask("dropped"))?.state === "succeeded",
        "a lost task was recovered",
        10_000,
      );
      await until(
        async () => (await producer.getTask("failed"))?.state === "succeeded",
        "a failed task was tried again",
      );

      assert.equal(await producer.query("sum", "add", [1, 2]), 3);
      const shared = producer.query("slow-1", "slow", null);
      const joined = producer.query("slow-1", "slow", null);
      const ends = Promise.allSettled([shared, joined]);
      await until(async () => (await reader.getTask("slow-1"))?.currentProgress === 1, "the reader sees progress");
      const lease = () => server.cli("ZSCORE", KEYS.lease("slow"), "slow-1");
      const first = await lease();
      await until(async () => await lease() > first, "the lease is renewed");
      assert.equal(await producer.cancel("slow-1"), "cancelled");
      assert.deepEqual((await ends).map(({ status }) => status), ["rejected", "rejected"]);

      assert.equal(await producer.query("mine", "here", null), "done here");
      assert.equal((await producer.getTask("sum", { once: true }))?.result, 3);
      assert.equal(await reader.hasTask("sum"), false);
      const later = await producer.enqueue("later", "add", [4], { delay: 50 });
      assert.equal(later.state, "scheduled");
      await until(async () => (await reader.getTask("later"))?.result === 4, "what was due is done");
      await producer.setTask(producer.buildTask("put", "add", []));
      assert.equal(await reader.hasTask("put"), true);

      await producer.enqueue("left", "slow", null);
      await until(async () => (await reader.getTask("left"))?.state === "running", "it runs");
      assert.deepEqual(await lookAround(reading), [0, [], 1]);
      stop.abort();
      await listening;
      assert.equal((await reader.getTask("left"))?.state, "queued", "given back at the stop");
      assert.deepEqual(log.filter(({ level }) => level !== "info"), []);
      await producer.close();
      assert.deepEqual(await refusals(server), [], "nobody was refused anything");
    });
  }

  it("are refused what is not theirs, by name and within scripts", async () => {
    await server.cli("SET", "foreign", "x");
    const script = (body: string): [string, ...string[]] => ["EVAL", `return redis.call(${body})`, "1", KEYS.none];
    const never: [string, ...string[]][] = [
      ["FLUSHALL"],
      ["KEYS", "*"],
      ["SCAN", "0"],
      ["CONFIG", "GET", "*"],
      ["ACL", "LIST"],
      ["SCRIPT", "FLUSH"],
      ["GET", "foreign"],
      ["GET", `${PREFIX}|other-suffix|task-result:a`],
      script('"GET", "foreign"'),
      script('"SET", "foreign", "y"'),
      script('"KEYS", "*"'),
      script('"PUBLISH", "foreign", "y"'),
      ["EVAL", "return 1", "1", "foreign"],
    ];
    for (const role of ROLES) {
      const redis = await as(role);
      for (const [at, reply] of (await redis.exec(never)).entries()) {
        assert.ok(reply instanceof RedisReplyError, `${role}: ${never[at]}: ${reply}`);
        assert.match(reply.message, /NOPERM|user executing the script can't|ACL failure/);
      }
      await assert.rejects(redis.subscribe(["foreign"], () => {}, () => {}), isForbidden);
    }
    assert.equal(await server.cli("GET", "foreign"), "x");
  });

  it("cannot claim as a producer, nor say that it listens", async () => {
    const redis = await as("producer");
    const { queue, log } = queueOn(redis, { work: () => "done" });
    await queue.enqueue("a", "work", null);
    const store = openStore(redis, KEYS, systemClock);
    const request = { listener: "listener0000", sequence: 1, free: 1, lease: 1_000, names: ["work"] };
    await assert.rejects(store.claim(request), isForbidden);
    await assert.rejects(queue.setQueueListened("work"), isForbidden);
    const stop = new AbortController();
    const listening = queue.listen("work", { signal: stop.signal });
    await until(() => log.some(({ level, error }) => level === "error" && isForbidden(error)), "the log says why");
    stop.abort();
    await listening;
    assert.equal((await queue.getTask("a"))?.state, "queued");
  });

  it("cannot write as a reader, and hear so at once", async () => {
    const { queue } = queueOn(await as("reader"), { work: () => "done" });
    await queueOn(await as("producer")).queue.enqueue("there", "work", null);
    const from = performance.now();
    await assert.rejects(queue.enqueue("a", "work", null), isForbidden);
    await assert.rejects(queue.query("a", "work", null, { policy: "remote" }), isForbidden);
    await assert.rejects(queue.query("a", "work", null), isForbidden);
    await assert.rejects(queue.cancel("there"), isForbidden);
    await assert.rejects(queue.getTask("there", { once: true }), isForbidden);
    await assert.rejects(queue.setTask(queue.buildTask("a", "work", null)), isForbidden);
    assert.ok(performance.now() - from < 3_000);
    assert.deepEqual([await queue.hasTask("a"), await queue.hasTask("there")], [false, true]);
    assert.equal((await queue.getTask("there"))?.state, "queued");
  });

  it("wait for no answer that they may not read", async () => {
    await server.cli("ACL", "SETUSER", "blind", ...rulesOf("producer", KEYS.base, PASSWORD).words, "-get", "-getrange");
    const { queue } = queueOn(await as("blind" as Role));
    const asked = queue.query("a", "nobody", null, { policy: "remote" });
    await within(assert.rejects(asked, isForbidden), "the refusal");
  });

  it("get their answers when their channels are taken away, later, and read why on the log", async () => {
    await server.cli("ACL", "SETUSER", "deaf", ...rulesOf("producer", KEYS.base, PASSWORD).words);
    const { queue: listener } = queueOn(await as("listener"), { wait: () => answer.promise });
    const { queue, log } = queueOn(await as("deaf" as Role));
    const answer = deferred<string>();
    const stop = new AbortController();
    const listening = listener.listen("wait", { signal: stop.signal });
    const asked = queue.query("a", "wait", null, { policy: "remote" });
    await until(async () => (await queue.getTask("a"))?.state === "running", "it runs");
    await server.cli("ACL", "SETUSER", "deaf", "resetchannels");
    await until(
      () => log.some(({ error }) => error instanceof RedisReplyError && isForbidden(error)),
      "the log says why",
    );
    answer.resolve("heard by looking");
    assert.equal(await within(asked, "the answer"), "heard by looking");
    stop.abort();
    await listening;
  });

  it("are told by the command line what they lack", { timeout: 60_000 }, async () => {
    const url = (role: Role, db = "") =>
      `redis://${role}:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}${db}`;
    const queue = ["--prefix", PREFIX, "--suffix", SUFFIX];
    await queueOn(await as("producer")).queue.enqueue("a", "work", null);
    const [got, cancelled, elsewhere] = await Promise.all([
      runCli(["get", "a", "--url", url("reader"), ...queue]),
      runCli(["cancel", "a", "--url", url("reader"), ...queue]),
      runCli(["get", "a", "--url", url("producer", "/3"), ...queue]),
    ]);
    assert.equal(got.code, 0, got.stderr);
    for (const { code, stderr } of [cancelled, elsewhere]) {
      assert.match(stderr, /NOPERM .*SECURITY\.md .*ACL LOG/);
      assert.doesNotMatch(stderr, /Is it running|p%40ss|p@ss/);
      assert.equal(code, 3);
    }
  });

  it("are no lost connection when another database is not theirs either", async () => {
    const url = `redis://reader:${encodeURIComponent(PASSWORD)}@127.0.0.1:${server.port}/2`;
    for (const client of CLIENTS) await assert.rejects(connect(url, { client }), isForbidden, client);
  });

  /** A listener that claims two tasks and vanishes, after it has failed one that may be tried again. */
  async function lateHands(serving: RedisPort, producing: RedisPort): Promise<void> {
    const [ghost, asking] = [serving, producing].map((port) => openStore(port, KEYS, systemClock));
    for (const id of ["dropped", "failed"]) await enqueueRaw(asking!, id, {}, { maxAttempts: 2 });
    const request = { listener: "ghost0000000", sequence: 1, free: 2, lease: 100, names: ["work"] };
    const { tasks } = await ghost!.claim(request);
    assert.equal(tasks.length, 2);
    const { id, name, fence, owner } = tasks.find((task) => task.id === "failed")!;
    await ghost!.fail({ id, name, fence, owner }, { state: "failed", outcome: "\n!{}", retryIn: 10 });
  }
});

/** How many wait, which of them, and how many listen: as a dashboard would ask. */
async function lookAround(redis: RedisPort): Promise<unknown[]> {
  const list = KEYS.queue("slow");
  return await redis.exec([["LLEN", list], ["LRANGE", list, "0", "-1"], ["ZCARD", KEYS.listen("slow")]]);
}

/** What the server refused to whom. */
async function refusals(server: RedisServer): Promise<string[]> {
  const log = JSON.parse(await server.cli("--json", "ACL", "LOG")) as { username: string; object: string }[];
  return log.map(({ username, object }) => `${username}: ${object}`);
}

function isForbidden(error: unknown): boolean {
  assert.ok(error instanceof RedisReplyError, String(error));
  assert.equal(error.code, "NOPERM");
  assert.match(error.message, /SECURITY\.md .*ACL LOG/);
  return true;
}

function isScript(value: unknown): value is Script {
  return typeof value === "object" && value !== null && "source" in value && "sha" in value;
}

/** Every command in a script's text, also where it stands in a function that this script never calls. */
function commandsOf(source: string): string[] {
  return [...source.matchAll(/\bcall(?:\(\s*|, )"([A-Z]+)"/g)].map(([, name]) => name!.toLowerCase());
}

/** Every kind of key and channel in it, up to the name or id. */
function placesOf(source: string): string[] {
  return [...source.matchAll(/place\("([a-z]+)"|base \.\. "\|([a-z-]+[|:])/g)]
    .map(([, kind, rest]) => kind ? `task-${kind}|` : rest!);
}
