import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { runCli, startCli } from "../fixtures/run_cli.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { within } from "../support/wait.ts";

const SLOW = { timeout: 60_000 };

describe("errand bench", () => {
  let redis: RedisServer;
  before(async () => void (redis = await startRedis()));
  after(() => redis.stop());

  it("measures Redis with units, and leaves nothing behind", SLOW, async () => {
    const args = ["bench", "--tasks", "150", "--workers", "16"];
    const { code, stdout, stderr } = await within(runCli(args, { REDIS_URL: redis.url }), "the benchmark ends", 50_000);
    assert.deepEqual([code, stderr], [0, ""]);
    const rate = String.raw` +[\d,]+ /s`;
    const times = String.raw` +p50 +\d+\.\d\d ms +p99 +\d+\.\d\d ms +\(150 in \d+\.\d s\)`;
    for (const row of ["enqueued, one after another", "answered, one after another", "answered, 100 in flight"]) {
      assert.match(stdout, new RegExp(`${row}${rate}${times}`));
    }
    assert.match(stdout, new RegExp(`drained, 16 workers${rate}`));
    assert.equal(await redis.cli("DBSIZE"), "0");
  });

  it("deletes its keys when it is interrupted", SLOW, async () => {
    const running = startCli(["bench", "--duration", "1m", "--tasks", "10000000"], { REDIS_URL: redis.url });
    await running.wrote(/no-op tasks/);
    running.kill("SIGINT");
    const { code, stderr } = await within(running.done, "the benchmark stops", 30_000);
    assert.equal(code, 130);
    assert.match(stderr, /Stopped before all rows were measured/);
    assert.equal(await redis.cli("DBSIZE"), "0");
  });
});
