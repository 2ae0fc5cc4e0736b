import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { keysOf } from "../../src/keys.ts";
import { fixture, runCli, type RunningCli, startCli } from "../fixtures/run_cli.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until, within } from "../support/wait.ts";

const SLOW = { timeout: 60_000 };
const keys = keysOf("errand", "task-queue");

describe("errand enqueue, counts and dead", () => {
  let redis: RedisServer;
  let listener: RunningCli | undefined;
  before(async () => void (redis = await startRedis()));
  after(() => redis.stop());
  afterEach(async () => {
    listener?.kill("SIGKILL");
    await listener?.done;
    listener = undefined;
  });

  async function run(...args: string[]): Promise<{ code: number | null; json: unknown[]; stderr: string }> {
    const { code, stdout, stderr } = await within(runCli(args, { REDIS_URL: redis.url }), args.join(" "), 30_000);
    return { code, json: stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as unknown), stderr };
  }
  const dead = () => redis.cli("ZCARD", `${keys.base}|task-dead|fail`);

  it("hands in, fails, shows, requeues and deletes", SLOW, async () => {
    listener = startCli(["listen", fixture("cli_tasks.ts"), "--names", "fail"], { REDIS_URL: redis.url });
    await listener.wrote(/listening to/);
    const one = await run("enqueue", "fail", "--id", "one", "--params", '{"a":1}');
    assert.deepEqual([one.code, one.json], [0, [{ id: "one", state: "queued" }]]);
    await run("enqueue", "fail", "--id", "two");
    await until(async () => await dead() === "2", "both have died", 15_000);

    const { json: [counts] } = await run("counts", "fail");
    assert.deepEqual(counts, { queued: 0, scheduled: 0, running: 0, dead: 2, done: 0, doneBytes: 0 });
    const listed = await run("dead", "list", "fail", "--limit", "1");
    assert.deepEqual(listed.json.map((letter) => (letter as { id: string }).id), ["two"]);
    const { json: [shown] } = await run("dead", "show", "one", "--name", "fail");
    const { params, error, attempts } = shown as { params: unknown; error: { name: string }; attempts: unknown[] };
    assert.deepEqual([params, error.name, attempts.length], [{ a: 1 }, "TypeError", 1]);

    assert.deepEqual((await run("dead", "requeue", "--all", "--name", "fail")).json, [{ done: 2 }]);
    await until(async () => await dead() === "2", "both have died again", 15_000);
    assert.deepEqual((await run("dead", "delete", "one")).json, [{ done: 1, refused: [] }]);
    const refused = await run("dead", "requeue", "one", "two");
    assert.equal(refused.code, 5);
    assert.match(refused.stderr, /"one" \(unknown\)|"one" \(deleted\)/);
    await until(async () => await dead() === "1", "the other one has died once more", 15_000);
    assert.deepEqual((await run("dead", "delete", "--all", "--name", "fail")).json, [{ done: 1 }]);
    assert.deepEqual((await run("dead", "list", "fail")).json, []);
  });

  it("says what is missing or too much, and shows what cannot be read", SLOW, async () => {
    await redis.cli("SET", keys.record("odd"), "bytes");
    await redis.cli("ZADD", `${keys.base}|task-dead|odd`, "1", "odd");
    const [raw, neither, both, nameless, unknown] = await Promise.all([
      run("dead", "show", "odd", "--name", "odd"),
      run("dead", "delete"),
      run("dead", "delete", "x", "--all", "--name", "odd"),
      run("dead", "requeue", "--all"),
      run("dead", "show", "nobody", "--name", "odd"),
    ]);
    assert.deepEqual(raw.json, [{ id: "odd", name: "odd", raw: "bytes", diedAt: 1 }]);
    assert.deepEqual([neither.code, both.code, nameless.code, unknown.code], [2, 2, 2, 5]);
    assert.match(neither.stderr, /Name the ids, or say --all/);
    assert.match(nameless.stderr, /--name/);
  });
});
