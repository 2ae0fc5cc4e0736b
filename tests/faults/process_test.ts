/**
 * What becomes of listener processes: they are killed, stopped, blocked and filled, on all runtimes at once, and every
 * accepted task still ends once (rows 1 to 23 of FAULTS.md).
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type RedisPort, RedisTaskQueue, type Serializer, TaskExecutePolicy } from "../../mod.ts";
import { systemClock } from "../../src/clock.ts";
import { keysOf } from "../../src/keys.ts";
import type { TaskRecord } from "../../src/record.ts";
import { openStore } from "../../src/store/open.ts";
import { claimScript } from "../../src/store/redis/claim.ts";
import { finishScript } from "../../src/store/redis/finish.ts";
import type { Store } from "../../src/store/store.ts";
import { Fleet, OTHER_RUNTIMES, type Runtime, RUNTIMES } from "../support/fleet.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { testConnect } from "../support/test_client.ts";
import { until, within } from "../support/wait.ts";

const { Remote } = TaskExecutePolicy;
/** Starting runtimes on a busy machine takes its time. */
const SLOW = { timeout: 60_000 };
const INTERVAL = 200;
/** Of tasks whose listener is to lose them. */
const SHORT = 800;
/** Of tasks whose listener is to keep them, however busy this machine is. */
const LONG = 4_000;

/** A queue of this process, a store to look into, and what ends both. */
async function openClient(url: string, prefix: string) {
  const redis: RedisPort = await testConnect(url);
  const options = { interval: INTERVAL, lease: SHORT, timeout: 30_000, log: () => {} };
  const queue = new RedisTaskQueue(redis, prefix, options);
  const store: Store = openStore(redis, keysOf(prefix, "task-queue"), systemClock);
  const ask = (id: string, name: string, params: unknown = null): Promise<unknown> =>
    queue.query(id, name, params, { policy: Remote }) as Promise<unknown>;
  const recordOf = async (id: string): Promise<TaskRecord> => (await store.read(id))!;
  const ended = (id: string, deadline = 20_000): Promise<TaskRecord> =>
    until(
      async () => {
        const record = await store.read(id);
        return record && ["succeeded", "failed", "cancelled", "expired"].includes(record.state) && record;
      },
      `${id} has ended`,
      deadline,
    ) as Promise<TaskRecord>;
  const close = async () => {
    await queue.close();
    redis.close();
  };
  return { redis, queue, store, ask, recordOf, ended, close };
}

/** The time for which a fault lasts. */
function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

type Client = Awaited<ReturnType<typeof openClient>>;

/** Nothing of these names is left in a list, a schedule or a lease. */
async function assertNothingLeft(redis: RedisPort, prefix: string, names: readonly string[]): Promise<void> {
  const keys = keysOf(prefix, "task-queue");
  for (const name of names) {
    const left = await redis.exec([
      ["LLEN", keys.queue(name)],
      ["ZCARD", keys.scheduled(name)],
      ["ZCARD", keys.lease(name)],
    ]);
    assert.deepEqual(left, [0, 0, 0], `nothing of ${name} waits or runs`);
  }
}

/** Started at most once more than its leases were lost, under growing fences, and no outcome was accepted twice. */
async function assertBounds({ recordOf }: Client, fleet: Fleet, id: string): Promise<void> {
  const { attempt, crashes, fence } = await recordOf(id);
  const starts = fleet.diary("start", id);
  assert.ok(attempt <= 1 + crashes, `${id}: attempt ${attempt} after ${crashes} lost leases`);
  assert.ok(starts.length <= attempt, `${id} started ${starts.length} times in ${attempt} attempts`);
  const fences = starts.map((start) => start.fence);
  assert.deepEqual(fences, [...new Set(fences)].sort((one, other) => one - other), `fences of ${id}`);
  assert.ok(fences.every((one) => one <= Number(fence)), `the last fence of ${id} is that of its record`);
  assert.ok(fleet.diary("succeeded", id).length <= 1, `${id} succeeded once`);
}

describe("listener processes of three runtimes", () => {
  const prefix = "calm";
  let server: RedisServer;
  let client: Client;
  let fleet: Fleet;
  before(async () => {
    server = await startRedis();
    const groups = [
      { lease: SHORT, names: ["work", "done", "exit@own", "leak@own", "never@own", "odd@own", "throws@own"] },
      { lease: LONG, names: ["echo", "busy", "work@long", "echo@own"] },
    ];
    fleet = new Fleet({ url: server.url, prefix, interval: INTERVAL, workers: 8, groups });
    client = await openClient(server.url, prefix);
    await fleet.fill(RUNTIMES);
  }, SLOW);
  afterEach(() => fleet.fill(RUNTIMES), SLOW);
  after(async () => {
    await client.close();
    await fleet.stop();
    await server.stop();
  }, SLOW);

  /** The process in which the first attempt of a task runs. */
  const runnerOf = async (id: string) =>
    fleet.member((await until(() => fleet.diary("start", id)[0], `${id} starts`)).pid);

  /** A listener of one name, `name@id`, behind a link that can be broken. */
  async function startBehindProxy(runtime: Runtime, name: string, lease: number) {
    const proxy = await startProxy(server.port);
    const member = fleet.start(runtime, { url: proxy.url, groups: [{ lease, names: [name] }] });
    await member.wrote(/^present$/m);
    assert.equal(typeof await client.ask(`${name}-first`, name, 0), "object"); // Its scripts are loaded.
    return { proxy, member };
  }
  /** Lets the listener claim what is waiting once `enqueue` is over, and keeps the answer from it. */
  async function loseClaim(proxy: Proxy, id: string, name: string): Promise<void> {
    proxy.freeze();
    await elapse(50); // A claim that has passed it already is done, and finds nothing.
    await client.queue.enqueue(id, name, 50, { timeout: 30_000 });
    proxy.muteAt(await until(() => claimScript.sha, "the hash is known"));
    proxy.thaw();
    await until(async () => (await client.recordOf(id)).state === "running", `${id} is claimed`);
    assert.ok(proxy.isMuted);
  }
  /** Listens in this process until `body` is over. */
  async function listeningHere(name: string, body: () => Promise<void>): Promise<void> {
    const options = { interval: INTERVAL, lease: SHORT, log: () => {}, taskFn: () => "here" };
    const queue = new RedisTaskQueue(client.redis, prefix, options);
    const stop = new AbortController();
    const listening = queue.listen(name, { signal: stop.signal });
    try {
      await body();
    } finally {
      stop.abort();
      await listening;
      await queue.close();
    }
  }

  it(
    "F1 F20: kill -9 while a task runs: another finishes it, and who takes the dead one's place is not it",
    SLOW,
    async () => {
      const listeners = async () => await server.cli("ZRANGE", keysOf(prefix, "task-queue").listen("work"), "0", "-1");
      const old = (await listeners()).split("\n");
      const answer = client.ask("killed", "work", 400);
      const victim = await runnerOf("killed");
      victim.kill("SIGKILL");
      await victim.done;
      await fleet.fill(RUNTIMES);
      const { pid, attempt } = await answer as { pid: number; attempt: number };
      assert.notEqual(pid, victim.pid);
      assert.equal(attempt, 2);
      const born = (await listeners()).split("\n").filter((id) => !old.includes(id));
      assert.equal(born.length, 1, "the new one has an id of its own");
      await assertBounds(client, fleet, "killed");
    },
  );

  it(
    "F2: kill -9 when a claim is answered, before its listener hears of it: the lease is there already",
    SLOW,
    async () => {
      const { proxy, member } = await startBehindProxy("bun", "work@taken", SHORT);
      await loseClaim(proxy, "taken", "work@taken");
      member.kill("SIGKILL");
      await listeningHere("work@taken", async () => {
        const { state, attempt, crashes } = await client.ended("taken");
        assert.deepEqual([state, attempt, crashes], ["succeeded", 2, 1]);
      });
      assert.deepEqual(fleet.diary("start", "taken"), []);
      await assertNothingLeft(client.redis, prefix, ["work@taken"]);
      await proxy.close();
    },
  );

  it(
    "F3 F21: kill -9 after the handler, before its outcome: once more, with the params as they were and a higher fence",
    SLOW,
    async () => {
      const answer = await client.ask("done", "done", [1, 2]) as { seen: number[]; attempt: number; fence: number };
      const [first, second] = fleet.diary("start", "done");
      assert.notEqual(first!.pid, second!.pid);
      assert.ok(first!.fence < second!.fence, "the outside can refuse the older run");
      assert.deepEqual(answer, { seen: [1, 2], attempt: 2, fence: second!.fence });
      await assertBounds(client, fleet, "done");
    },
  );

  it(
    "F4: kill -9 after the outcome is stored, before the answer: nothing runs again, and the caller has it",
    SLOW,
    async () => {
      const { proxy, member } = await startBehindProxy("deno", "work@stored", SHORT);
      const answer = client.ask("stored", "work@stored", 300);
      await until(() => fleet.diary("start", "stored")[0], "it runs");
      proxy.muteAt(await until(() => finishScript.sha, "the hash is known"));
      const before = await client.ended("stored");
      assert.ok(proxy.isMuted);
      member.kill("SIGKILL");
      assert.deepEqual(await answer, { pid: member.pid, attempt: 1 });
      await listeningHere("work@stored", () => elapse(SHORT + 2 * INTERVAL));
      assert.deepEqual(await client.recordOf("stored"), before);
      assert.equal(fleet.diary("start", "stored").length, 1);
      await proxy.close();
    },
  );

  it(
    "F5: stopped for longer than the lease: the other run's outcome counts, the late one is refused",
    SLOW,
    async () => {
      const answer = client.ask("zombie", "work", 500);
      const zombie = await runnerOf("zombie");
      zombie.kill("SIGSTOP");
      const { pid } = await answer as { pid: number };
      const record = await client.recordOf("zombie");
      await elapse(SHORT);
      zombie.kill("SIGCONT");
      await until(() => fleet.diary("lost", "zombie").some((line) => line.pid === zombie.pid), "it hears of its loss");
      assert.notEqual(pid, zombie.pid);
      assert.deepEqual(await client.recordOf("zombie"), record);
      await assertBounds(client, fleet, "zombie");
    },
  );

  it("F6: stopped for half of the lease: it keeps its task, and nothing runs twice", SLOW, async () => {
    const answer = client.ask("napping", "work@long", LONG / 2 + 300);
    const napping = await runnerOf("napping");
    napping.kill("SIGSTOP");
    await elapse(LONG / 2);
    napping.kill("SIGCONT");
    assert.deepEqual(await answer, { pid: napping.pid, attempt: 1 });
    assert.equal(fleet.diary("start", "napping").length, 1);
  });

  it(
    "F7: an event loop that is blocked for two seconds: no link is given up, and nothing runs twice",
    SLOW,
    async () => {
      const connections = async () =>
        [...String(await client.redis.exec([["CLIENT", "LIST"]])).matchAll(/\bid=(\d+)/g)].map(([, id]) => id);
      const before = await connections();
      await client.ask("busy", "busy", 2_000);
      await client.ask("after-busy", "echo", 1);
      const after = new Set(await connections());
      assert.deepEqual(before.filter((id) => !after.has(id)), [], "connections that are gone");
      assert.equal(fleet.diary("start", "busy").length, 1);
    },
  );

  it("F9: handlers that never settle: their deadline frees their slots", SLOW, async () => {
    const at = OTHER_RUNTIMES[0];
    const ids = Array.from({ length: 8 }, (_, n) => `never${n}`);
    for (const id of ids) await client.queue.enqueue(id, `never@${at}`, null, { timeout: 700 });
    await until(() => ids.every((id) => fleet.diary("start", id).length === 1), "all slots are taken");
    assert.equal(await client.ask("slot", `odd@${at}`, "null"), null);
    for (const id of ids) assert.equal((await client.ended(id)).state, "expired");
  });

  it("F12: a handler that ends its process: as a kill, on all runtimes", SLOW, async () => {
    const dying = fleet.members;
    const answers = RUNTIMES.map((at) => client.ask(`exit-${at}`, `exit@${at}`));
    for (const { code } of await Promise.all(dying.map((member) => member.done))) assert.equal(code, 0);
    await fleet.fill(RUNTIMES);
    assert.deepEqual(await Promise.all(answers), [2, 2, 2]);
    for (const at of RUNTIMES) await assertBounds(client, fleet, `exit-${at}`);
  });

  it("F16: a name is served by its own listeners only, and what nobody serves waits untouched", SLOW, async () => {
    await client.queue.enqueue("nobody's", "nobody", 1);
    const ids = Array.from({ length: 30 }, (_, n) => `name-${n}`);
    const at = (n: number) => RUNTIMES[n % 3]!;
    const answers = await Promise.all(ids.map((id, n) => client.ask(id, `echo@${at(n)}`, n)));
    assert.deepEqual(answers, ids.map((_, n) => n));
    for (const [n, id] of ids.entries()) assert.equal((await runnerOf(id)).runtime, at(n));
    const { state, attempt } = await client.recordOf("nobody's");
    assert.deepEqual([state, attempt], ["queued", 0]);
  });

  it(
    "F16: a serializer that listeners lack: they give the task back, later, uncounted, to one that has it",
    SLOW,
    async () => {
      const reversing: Serializer = {
        name: "reversed",
        serialize: (value) => JSON.stringify(value).split("").reverse().join(""),
        deserialize: (text) => JSON.parse(text.split("").reverse().join("")),
      };
      const options = {
        interval: INTERVAL,
        log: () => {},
        serializer: reversing,
        taskFn: ({ params }: { params: unknown }) => params,
      };
      const knowing = new RedisTaskQueue(client.redis, prefix, options);
      await knowing.enqueue("reversed", "echo", "banana", { timeout: 30_000 });
      await until(async () => (await client.recordOf("reversed")).state === "scheduled", "it was given back");
      const stop = new AbortController();
      const listening = knowing.listen("echo", { signal: stop.signal });
      const { state, attempt, crashes } = await client.ended("reversed");
      assert.deepEqual([state, attempt, crashes], ["succeeded", 1, 0]);
      assert.equal((await knowing.getTask("reversed"))?.result, "banana");
      assert.deepEqual(fleet.diary("start", "reversed"), []);
      stop.abort();
      await listening;
      await knowing.close();
    },
  );

  it("F17: SIGTERM amid work, one listener after the other: nothing is lost and nothing runs twice", SLOW, async () => {
    const ids = Array.from({ length: 90 }, (_, n) => `rolling-${n}`);
    const answers = Promise.all(ids.map((id, n) => client.ask(id, "work", 100 + n)));
    for (const runtime of OTHER_RUNTIMES) {
      const leaving = fleet.members.find((member) => member.runtime === runtime)!;
      await until(
        () => fleet.diary("start").some(({ id, pid }) => ids.includes(id) && pid === leaving.pid),
        "it works",
      );
      leaving.kill("SIGTERM");
      assert.equal((await within(leaving.done, "it ends", 10_000)).code, 0);
    }
    for (const answer of await answers) assert.equal((answer as { attempt: number }).attempt, 1);
    for (const id of ids) assert.equal(fleet.diary("start", id).length, 1);
  });

  it(
    "F19: SIGTERM while the answer to a claim is on its way: asked for again, and given back unstarted",
    SLOW,
    async () => {
      const { proxy, member } = await startBehindProxy("bun", "work@leaving", 10_000);
      await loseClaim(proxy, "leaving", "work@leaving");
      member.kill("SIGTERM");
      await elapse(100);
      proxy.unmute();
      assert.equal((await within(member.done, "it ends", 10_000)).code, 0);
      const { state, attempt } = await client.recordOf("leaving");
      assert.deepEqual([state, attempt, fleet.diary("start", "leaving")], ["queued", 0, []]);
      await proxy.close();
    },
  );

  it("F22: handlers that throw anything at all: callers hear of it, listeners go on", SLOW, async () => {
    const kinds = ["undefined", "null", "bigint", "NaN", "circle", "symbol", "deep"];
    for (const at of RUNTIMES) {
      const asked = kinds.map((kind) => client.ask(`throw-${kind}-${at}`, `throws@${at}`, kind));
      for (const [n, { status }] of (await Promise.allSettled(asked)).entries()) {
        assert.equal(status, "rejected", kinds[n]);
      }
      for (const kind of kinds) {
        const { state, outcome } = await client.recordOf(`throw-${kind}-${at}`);
        assert.equal(state, "failed");
        assert.ok(outcome.length < 20_000, `${kind}: ${outcome.length}`);
      }
      assert.equal(await client.ask(`after-throws-${at}`, `echo@${at}`, 1), 1);
    }
  });

  it("F23: results without a stored form: the task fails and says why; undefined and null arrive", SLOW, async () => {
    for (const at of RUNTIMES) {
      for (const kind of ["undefined", "null"]) {
        assert.equal(String(await client.ask(`odd-${kind}-${at}`, `odd@${at}`, kind)), kind);
      }
      for (const kind of ["bigint", "circle", "symbol"]) {
        await assert.rejects(
          client.ask(`odd-${kind}-${at}`, `odd@${at}`, kind),
          /SerializationError: .*result of task odd-/,
        );
      }
      const answer = client.ask(`odd-deep-${at}`, `odd@${at}`, "deep"); // Node's JSON ends at some depth.
      await answer.catch((error) => assert.match(String(error), /SerializationError: .*result of task odd-deep/));
    }
  });
});
