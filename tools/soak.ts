/**
 * The soak: processes of three runtimes, a real Redis, a fault every one to five seconds, and a checker that reads
 * journals only (`docs/soak.md`).
 *
 *     deno task soak --minutes 10 [--seed N]     # errand; exit code 1 on any violation
 *     deno task soak --peers [--rounds 3]        # errand, BullMQ and bee-queue in turn under the same faults
 *     … --system bullmq                          # one of them alone
 *     deno task soak --check <folder>            # the checker alone, over errand's journals of an earlier run
 *     … --write                                  # writes what came of it into docs/soak.md
 *
 * A seed gives the same tasks and the same faults at the same times; what comes of them depends on the machine.
 *
 * @module
 */
import { mkdtempSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { checkTasks } from "../tests/soak/check.ts";
import { loadDriver, type System } from "../tests/soak/driver.ts";
import { figuresOf } from "../tests/soak/figures.ts";
import { readJournals } from "../tests/soak/journal.ts";
import { type PeerRow, peerTable, writeOwn, writePeers } from "../tests/soak/page.ts";
import { MIXED, RULES, soak, type Verdict } from "../tests/soak/run.ts";
import { show } from "../tests/soak/table.ts";
import { COMMON_MIX, FULL_MIX } from "../tests/soak/work.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string" },
    peers: { type: "boolean", default: false },
    system: { type: "string", default: "errand" },
    write: { type: "boolean", default: false },
    check: { type: "string" },
    rounds: { type: "string", default: "1" },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e6));
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  throw new RangeError("Cannot soak: --minutes and --seed are numbers");
}

// Servers and processes end with this one.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

/** One run, and how busy the machine was at its end, with all that ran beside it. */
interface Run {
  readonly verdict: Verdict;
  readonly folder: string;
  readonly load: number;
}

/** The peers are at home on Node. */
const ON_NODE = MIXED.map((slot) => ({ ...slot, runtime: "node" }) as const);

/** On its own errand does all that it can, on all runtimes. */
async function run(system: System, isAlone: boolean, seed: number): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), `errand-soak-${system}-`));
  console.log(`soak: ${system}, seed ${seed}, ${minutes} minutes, journals in ${folder}`);
  const verdict = await soak({
    ...{ system, seed, folder, duration: minutes * 60_000, rules: RULES[system] },
    ...(isAlone ? { mix: FULL_MIX, slots: MIXED } : { mix: COMMON_MIX, slots: ON_NODE }),
  });
  console.log(show(verdict));
  const count = verdict.violations.length;
  console.log(`soak: ${system}, seed ${seed}, ${count} violations, journals in ${folder}`);
  return { verdict, folder, load: loadavg()[0]! };
}

function checkAgain(folder: string): Verdict {
  const entries = readJournals(folder);
  const violations = checkTasks(entries, { ...RULES.errand, mix: FULL_MIX });
  const verdict = { figures: figuresOf(entries), violations, leaked: undefined, notMade: [] };
  console.log(show(verdict));
  return verdict;
}

/** In turn, since a machine is not as free at one time as at another; each round has a seed of its own. */
async function runPeers(rounds: number): Promise<Verdict> {
  const runs = new Map<System, Run[]>();
  for (let round = 0; round < rounds; round++) {
    for (const system of Object.keys(RULES) as System[]) {
      runs.set(system, [...runs.get(system) ?? [], await run(system, false, seed + round)]);
    }
  }
  const rows: PeerRow[] = [];
  for (const [system, all] of runs) rows.push(await rowOf(system, all));
  console.log(peerTable(rows));
  if (values.write) writePeers(rows, { seed, minutes: minutes * rounds });
  return rows[0]!.verdict;
}

async function rowOf(system: System, runs: readonly Run[]): Promise<PeerRow> {
  const { settings } = await loadDriver(system);
  const figures = figuresOf(runs.flatMap(({ folder }) => readJournals(folder)));
  const violations = runs.flatMap(({ verdict }) => verdict.violations);
  const load = runs.reduce((sum, { load }) => sum + load, 0) / runs.length;
  return { system, settings, load, verdict: { figures, violations, leaked: undefined, notMade: [] } };
}

const system = values.system as System;
if (!(system in RULES)) throw new RangeError(`Cannot soak ${system}: known are ${Object.keys(RULES).join(", ")}`);
const verdict = values.check !== undefined
  ? checkAgain(values.check)
  : values.peers
  ? await runPeers(Number(values.rounds))
  : (await run(system, system === "errand", seed)).verdict;
if (values.write && !values.peers && !values.check && system === "errand") writeOwn(verdict, { seed, minutes });
// Beside its peers only errand's violations count.
process.exit(verdict.violations.length > 0 ? 1 : 0);
