/**
 * Memory store against Redis store: random walks of commands and faults, after each step of which both have to say and
 * hold the same.
 *
 * Both claim to be the same protocol, the memory store being its executable specification, so every difference is a
 * mistake in one of them. Each runtime walks other walks; `deno task model` goes as far as you like, with fresh ones.
 *
 * Next: `model_run.ts`, `model_commands.ts`, `model_walk.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import process from "node:process";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { runModel } from "./model_run.ts";

/** About so many steps on each runtime; once in a run of all checks `tools/model.ts` takes 10,000. */
const STEPS = 800;
const SEED = "Deno" in globalThis ? 101 : process.versions.bun ? 202 : 303;

let server: RedisServer;
before(async () => {
  server = await startRedis();
});
after(() => server.stop());

describe("memory store and Redis store", () => {
  it(
    "answer and hold the same after every step of a random walk",
    { timeout: 120_000 },
    async () => {
      const report = await runModel({ url: server.url, seed: SEED, steps: STEPS, shrink: false });
      const again = `Look closer: deno task model --seed ${SEED} --path ${report.failure?.path}`;
      assert.equal(report.failure, null, `${report.failure?.reason}\n${again}`);
      assert.ok(report.steps >= 400, `${report.steps} steps`);
    },
  );
});
