/** Tasks that kill or hang every listener that runs them, amid good ones: bounded, and no good one goes down with them. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type RedisPort, RedisTaskQueue } from "../../mod.ts";
import { Fleet, OWN_RUNTIME, type Runtime, RUNTIMES } from "../support/fleet.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { testConnect } from "../support/test_client.ts";
import { until } from "../support/wait.ts";

const SLOW = { timeout: 120_000 };
const PREFIX = "poison";
const LEASE = 800;

describe("a poison task amid good ones", () => {
  let server: RedisServer;
  let redis: RedisPort;
  let queue: RedisTaskQueue;
  let fleet: Fleet;

  before(async () => void (server = await startRedis()));
  after(() => server.stop());
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    redis = await testConnect(server.url);
    queue = new RedisTaskQueue(redis, PREFIX, { log: () => {} }) as RedisTaskQueue;
    const groups = [{ lease: LEASE, names: ["work", "die", "hog", "loop"] }];
    fleet = new Fleet({ url: server.url, prefix: PREFIX, interval: 100, workers: 4, groups });
  });
  afterEach(async () => {
    for (const member of fleet.members) member.kill("SIGKILL");
    await Promise.all(fleet.members.map(({ done }) => done));
    await queue.close();
    redis.close();
    await fleet.stop();
  });

  const stateOf = async (id: string) => (await queue.getTask(id))?.state;

  /** Sees to it that two listeners run, of other runtimes in turn, until the poison has failed and all others are done. */
  async function survive(poison: string, good: readonly string[], tend = async (): Promise<void> => {}): Promise<void> {
    let next = RUNTIMES.indexOf(OWN_RUNTIME);
    await until(
      async () => {
        while (fleet.members.length < 2) fleet.start(RUNTIMES[next++ % RUNTIMES.length] as Runtime);
        await tend();
        if (await stateOf(poison) !== "failed") return false;
        return (await Promise.all(good.map(stateOf))).every((state) => state === "succeeded");
      },
      `${poison} has failed and the others are done`,
      90_000,
    ).catch(async (error) => {
      const states = await Promise.all([poison, ...good].map(async (id) => `${id}: ${await stateOf(id)}`));
      throw new Error(`${error.message} (${states.filter((text) => !text.endsWith("succeeded"))})`);
    });
    const task = await queue.getTask(poison);
    assert.match(String(task?.error), /its listeners died 4 times/);
    assert.equal(fleet.diary("start", poison).length, 4, "four starts of the poison");
    for (const id of good) assert.ok(fleet.diary("succeeded", id).length <= 1, `${id} succeeded once`);
    assert.deepEqual((await queue.dead.list(task!.name)).map(({ id }) => id), [poison]);
  }

  /** Good tasks with the poison among the first of them. */
  async function enqueue(name: string, params: unknown): Promise<{ poison: string; good: string[] }> {
    const good: string[] = [];
    for (let at = 0; at < 40; at++) {
      if (at === 2) await queue.enqueue(name, name, params);
      good.push(`good${at}`);
      await queue.enqueue(`good${at}`, "work", 20);
    }
    return { poison: name, good };
  }

  it("F14: that kills its listener each time", SLOW, async () => {
    const { poison, good } = await enqueue("die", 99);
    await survive(poison, good);
  });

  it("F13: that fills the memory of its listener each time", SLOW, async () => {
    const { poison, good } = await enqueue("hog", null);
    await survive(poison, good);
  });

  it("F8: that never lets its listener go on", SLOW, async () => {
    const { poison, good } = await enqueue("loop", null);
    const lost = new Set<number>();
    await survive(poison, good, async () => {
      // Whoever hangs is ended by its supervisor once its lease is over: another has it then, or it waits.
      const pids = fleet.diary("start", poison).map(({ pid }) => pid);
      const hanging = await stateOf(poison) === "running" ? pids.slice(0, -1) : pids;
      for (const pid of hanging.filter((pid) => !lost.has(pid))) {
        lost.add(pid);
        fleet.member(pid)?.kill("SIGKILL");
      }
    });
  });
});
