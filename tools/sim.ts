/**
 * The simulation: the production client and listener under virtual time, with every fault of the protocol's model.
 *
 *     deno task sim --seeds 2000 [--from N]     fresh seeds; their base is the present time unless told
 *     deno task sim --seed N [--trace]          one seed again, exactly
 *     deno task sim --plant fence --seeds 1000  a rule is broken on purpose: it must be found
 *
 * Runs on Deno, Bun and Node alike. The last line is `sim: N seeds, N violations`; the exit code is 1 when there is any.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Coverage } from "../tests/sim/coverage.ts";
import { FAULTS } from "../tests/sim/faults.ts";
import { HANDLER_KINDS } from "../tests/sim/handlers.ts";
import { type RunOptions, runSeed, type SeedResult } from "../tests/sim/run.ts";
import { VERBS } from "../tests/sim/verbs.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string" },
    plant: { type: "string" },
    trace: { type: "boolean" },
  },
});

/** A long run that is told to end says what it did. */
let isTold = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => isTold = true);

let unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => void unhandled.push(reason));

/** A seed that leaves a rejection behind has failed, too. */
async function run(seed: number, options: RunOptions): Promise<SeedResult> {
  unhandled = [];
  const result = await runSeed(seed, options);
  await new Promise((resolve) => setTimeout(resolve, 0));
  const message = (reason: unknown) => reason instanceof Error ? reason.stack ?? reason.message : String(reason);
  const left = unhandled.map((reason) => ({
    invariant: "no rejection is left",
    message: message(reason),
    at: result.time,
  }));
  return { ...result, violations: [...result.violations, ...left] };
}

function tell(result: SeedResult): void {
  for (const { invariant, message, at } of result.violations.slice(0, 8)) {
    console.log(`  ${invariant}: ${message} (at ${at.toFixed(3)} ms)`);
  }
  const plant = values.plant ? ` --plant ${values.plant}` : "";
  console.log(`Seed ${result.seed} failed. Again: deno task sim --seed ${result.seed}${plant} --trace`);
}

/** Calls of users, and what the tasks do that are alive, against the faults that strike. */
function tellCoverage(coverage: Coverage): void {
  const rows = [...VERBS, "nested query", ...HANDLER_KINDS.map((kind) => `handler ${kind}`)];
  console.log(coverage.table(rows, FAULTS));
  const missing = coverage.missing(rows, FAULTS);
  console.log(`${rows.length * FAULTS.length - missing.length} of ${rows.length * FAULTS.length} pairs met`);
  if (missing.length > 0 && missing.length <= 20) console.log(`never met: ${missing.join(", ")}`);
}

async function main(): Promise<number> {
  const coverage = new Coverage();
  const options: RunOptions = {
    coverage,
    ...(values.plant ? { plant: values.plant } : {}),
    ...(values.trace ? { trace: (line: string) => console.log(line) } : {}),
  };
  const isOne = values.seed !== undefined;
  const from = Number(values.seed ?? values.from ?? Date.now());
  const count = isOne ? 1 : Number(values.seeds ?? 100);
  console.log(`sim: from seed ${from}`);
  const began = performance.now();
  const sum = { seeds: 0, failed: 0, ops: 0, faults: 0, steps: 0, time: 0 };
  for (let seed = from; seed < from + count && !isTold; seed++) {
    const result = await run(seed, options);
    sum.seeds++;
    sum.ops += result.ops;
    sum.faults += result.faults;
    sum.steps += result.steps;
    sum.time += result.time;
    if (isOne) console.log(`hash ${result.hash}, ${result.steps} events, ${Math.round(result.time)} virtual ms`);
    if (sum.seeds % 500 === 0) console.log(`${sum.seeds} seeds, the last was ${seed}`);
    if (result.violations.length === 0) continue;
    sum.failed++;
    tell(result);
    if (values.plant) break;
  }
  const seconds = (performance.now() - began) / 1_000;
  if (!isOne) tellCoverage(coverage);
  const hours = (sum.time / 3_600_000).toFixed(1);
  console.log(`${sum.ops} calls, ${sum.faults} faults, ${sum.steps} events, ${hours} virtual hours`);
  console.log(`${(sum.seeds / seconds).toFixed(1)} seeds/s, ${(seconds * 1_000 / sum.seeds).toFixed(1)} ms a seed`);
  console.log(`sim: ${sum.seeds} seeds, ${sum.failed} violations`);
  return sum.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
