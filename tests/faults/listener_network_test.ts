/** A listener behind a network that fails under it: nothing is lost, nothing runs twice, work goes on by itself. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type LogEntry, type RedisPort, type RedisTask, RedisTaskQueue } from "../../mod.ts";
import { claimScript } from "../../src/store/redis/claim.ts";
import { brokenTasks, leftovers } from "../support/invariants.ts";
import { keysOf } from "../../src/keys.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { testConnect } from "../support/test_client.ts";
import { until, within } from "../support/wait.ts";

const SLOW = { timeout: 90_000 };
const PREFIX = "behind";
const keys = keysOf(PREFIX, "task-queue");
/** No test waits for so long: what comes sooner did not come by the end of a lease. */
const LEASE = 30_000;
const INTERVAL = 500;

describe("a listener behind a bad network", () => {
  let server: RedisServer;
  let near: Proxy;
  let far: Proxy;
  let ports: RedisPort[];
  let worker: RedisTaskQueue;
  let client: RedisTaskQueue;
  let log: LogEntry[];
  const starts = new Map<string, number>();

  beforeEach(async () => {
    server = await startRedis();
    [near, far] = await Promise.all([startProxy(server.port), startProxy(server.port)]);
    ports = await Promise.all([near.url, far.url, server.url].map(testConnect));
    [log, worker, client] = [[], open(ports[0]!), open(ports[1]!)];
    starts.clear();
  });
  afterEach(async () => {
    near.thaw();
    far.thaw();
    await Promise.all([client.close(), worker.close({ atOnce: true })]);
    for (const port of ports) port.close();
    await Promise.all([near.close(), far.close()]);
    await server.stop();
  });

  function open(port: RedisPort, interval = INTERVAL): RedisTaskQueue {
    const taskFn = (task: RedisTask) => {
      starts.set(task.id, (starts.get(task.id) ?? 0) + 1);
      return task.params;
    };
    const options = { taskFn, interval, lease: LEASE, timeout: 60_000 };
    return new RedisTaskQueue(port, PREFIX, { ...options, log: (entry) => void log.push(entry) }) as RedisTaskQueue;
  }
  const ask = (id: string) => client.query(id, "echo", id, { policy: "remote" });
  const asleep = async () =>
    (await server.cli("CLIENT", "LIST")).split("\n").filter((line) => / flags=\w*b.* cmd=blpop/.test(line));
  const listens = async () => {
    const listening = worker.listen("echo");
    await until(() => listening.health({ timeout: 2_000 }), "it listens", 10_000);
    await until(async () => (await asleep()).length > 0, "it sleeps at its bell, and claims nothing");
    return { isHealthy: () => listening.health() }; // Itself it would be awaited to its end.
  };

  it(
    "F26: whose answer to a claim is lost has the same tasks at once, long before their leases end",
    SLOW,
    async () => {
      await listens();
      near.muteAt(await until(() => claimScript.sha, "the hash is known"));
      const answer = ask("t");
      await until(async () => (await client.getTask("t"))?.state === "running", "Redis has given it away");
      assert.equal(starts.size, 0, "and the listener has not heard of it");
      near.unmute();
      assert.equal(await within(answer, "the answer", LEASE / 2), "t");
      assert.deepEqual([starts.get("t"), (await client.getTask("t"))?.attempt], [1, 1]);
    },
  );

  it("F35: whose old connection is left waiting at the bell: it is thrown out, and eats no wake-up", SLOW, async () => {
    await worker.close();
    worker = open(ports[0]!, LEASE); // Without a wake-up it would not look before half a minute is over.
    await listens();
    const idOf = (line: string | undefined) => /\bid=(\d+)/.exec(line ?? "")?.[1];
    const old = idOf((await asleep())[0]);
    near.keepGhosts();
    near.reset();
    const isReplaced = async () => {
      const lines = await asleep();
      return lines.length === 1 && idOf(lines[0]) !== old;
    };
    await until(isReplaced, "only its new connection waits", 15_000);
    for (let round = 0; round < 4; round++) assert.equal(await within(ask(`t${round}`), "the answer"), `t${round}`);
    assert.ok([...starts.values()].every((count) => count === 1));
  });

  it("F27 F28: whose links die without a word goes on over new ones", SLOW, async () => {
    const listening = await listens();
    near.forget();
    const answer = ask("t");
    assert.equal(await within(answer, "the answer", 30_000), "t");
    assert.equal(starts.get("t"), 1);
    assert.equal(await listening.isHealthy(), true);
  });

  it("F30: that could not dial for three seconds goes on within two of their end", SLOW, async () => {
    await listens();
    near.refuse(true);
    near.reset();
    const answers = Promise.all(["a", "b", "c"].map(ask));
    const from = performance.now();
    await until(() => performance.now() - from > 3_000, "three seconds have passed");
    near.refuse(false);
    const back = performance.now();
    assert.deepEqual(await answers, ["a", "b", "c"]);
    assert.ok(performance.now() - back < 2_500, `after ${performance.now() - back} ms`);
  });

  it(
    "F39: whose password was changed says so, never what it is, and goes on once it is right again",
    SLOW,
    async () => {
      await server.cli("CONFIG", "SET", "requirepass", "first");
      const port = await testConnect(server.url.replace("redis://", "redis://:first@"));
      ports.push(port);
      const other = open(port);
      const ended = other.listen("echo");
      await until(() => ended.health({ timeout: 2_000 }), "it listens", 10_000);
      log.length = 0;
      const cli = (password: string, ...args: string[]) => server.cli("-a", password, "--no-auth-warning", ...args);
      await cli("first", "CONFIG", "SET", "requirepass", "second");
      await cli("second", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
      const said = await until(
        () => log.find(({ error }) => /WRONGPASS|NOAUTH/.test(String(error))),
        "it says so",
        15_000,
      );
      assert.doesNotMatch(`${said.message} ${said.error}`, /first|second/);
      assert.equal(await ended.health({ timeout: 300 }), false);
      await cli("second", "CONFIG", "SET", "requirepass", "first");
      await until(() => ended.health({ timeout: 2_000 }), "it is back by itself", 15_000);
      await other.close();
    },
  );

  for (const what of ["requests", "answers"] as const) {
    const row = what === "requests" ? "F24" : "F25";
    it(
      `${row}: of callers, cut within their ${what} at one byte after the other, all are answered and start once`,
      SLOW,
      async () => {
        await listens();
        await ask("warm");
        for (const bytes of [0, 1, 2, 7, 33, 90, 150, 260, 400, 700]) {
          const id = `${what}${bytes}`;
          const answer = ask(id);
          if (what === "requests") far.cutRequestAfter(Math.max(1, bytes));
          else far.cutAfter(Math.max(1, bytes));
          assert.equal(await within(answer, `the answer cut at ${bytes}`, 30_000), id);
          assert.equal(starts.get(id), 1, id);
        }
        assert.deepEqual(await brokenTasks(ports[2]!, keys), []);
        assert.ok(await leftovers(ports[2]!, keys));
      },
    );
  }
});
