/**
 * A sample of the cuts of `deno task cuts`: a few positions of every call with every client, others in each run.
 *
 * `CUTS_SEED` repeats those of a run that failed (its tests name it), `CUTS_SAMPLE` says how many of each call.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import process from "node:process";
import { importDbRedis } from "../src/adapters/db_redis_module.ts";
import type { Cut } from "./cuts/cut_proxy.ts";
import { makeCuts, type Row } from "./cuts/cutter.ts";
import { TRIALS } from "./cuts/trials.ts";
import { CLIENTS } from "./support/clients.ts";

const SEED = Number(process.env.CUTS_SEED ?? Math.floor(Math.random() * 1e6));
const SAMPLE = Number(process.env.CUTS_SAMPLE ?? 3);
const LANES = 4;

const hasDbRedis = await importDbRedis().then(() => true, () => false);

describe("a connection that is cut anywhere", () => {
  for (const client of [...CLIENTS, ...(hasDbRedis ? ["@db/redis" as const] : [])]) {
    it(`loses nothing, does nothing twice, lets nobody wait (${client}, seed ${SEED})`, async () => {
      const choose = sampler(SEED);
      const rows = await makeCuts({ client, trials: TRIALS, lanes: LANES, choose });
      const findings = rows.flatMap(({ name, findings }) => findings.map((finding) => `${name}: ${finding}`));
      assert.deepEqual(findings, []);
      assert.equal(sumOf(rows, "left"), 0, "connections outlived their owners");
      // The last byte of an answer may not come: a connection's number, in which it is said, has not always as many digits.
      assert.ok(sumOf(rows, "cuts") > 0.9 * SAMPLE * TRIALS.length, `only ${sumOf(rows, "cuts")} cuts were made`);
    });
  }
});

function sumOf(rows: readonly Row[], column: "cuts" | "left"): number {
  return rows.reduce((sum, row) => sum + row[column], 0);
}

/** Takes so many of each list as stand in `SAMPLE`, the same ones for the same seed (a generator of Park and Miller). */
function sampler(seed: number): (all: readonly Cut[]) => readonly Cut[] {
  let state = 1 + seed % 2_147_483_646;
  const next = (below: number) => (state = state * 48_271 % 2_147_483_647) % below;
  return (all) => Array.from({ length: SAMPLE }, () => all[next(all.length)]!);
}
