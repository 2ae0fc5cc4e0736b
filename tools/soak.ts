/**
 * The soak: processes of three runtimes, a real Redis, a fault every one to five seconds, and a checker that reads
 * journals only.
 *
 *     deno task soak --minutes 10 [--seed N]     # errand; exit code 1 on any violation
 *     deno task soak --peers [--write]           # errand, BullMQ and bee-queue under the same faults; writes docs/soak.md
 *
 * A seed gives the same tasks and the same faults at the same times; what comes of them depends on the machine.
 *
 * @module
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { ERRAND_RULES } from "../tests/soak/check.ts";
import { MIXED, soak } from "../tests/soak/run.ts";
import { show } from "../tests/soak/table.ts";
import { FULL_MIX } from "../tests/soak/work.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string" },
  },
});
const duration = Number(values.minutes) * 60_000;
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
const folder = mkdtempSync(join(tmpdir(), "errand-soak-"));
console.log(`soak: seed ${seed}, ${values.minutes} minutes, journals in ${folder}`);
const verdict = await soak({
  ...{ system: "errand", seed, duration, mix: FULL_MIX, folder, slots: MIXED, rules: ERRAND_RULES } as const,
});
console.log(show(verdict));
console.log(`soak: seed ${seed}, ${verdict.violations.length} violations, journals in ${folder}`);
process.exit(verdict.violations.length > 0 ? 1 : 0);
