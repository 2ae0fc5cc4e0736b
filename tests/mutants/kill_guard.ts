/**
 * Tries to catch mutants of the listener's guards: with the simulation, then with the listener's own tests, on a copy
 * of the tree.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { SourceMutant } from "./typescript.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Of the simulation: a fault in a guard that matters is seen soon. */
const SEEDS = ["--seeds", "150", "--from", "1"];
const LIMIT = 240_000;
/** By file, the tests that are nearest to it; then those of all. */
const NEAR: Readonly<Record<string, readonly string[]>> = {
  "src/attempt.ts": ["attempt_test", "retries_test"],
  "src/attempt_ending.ts": ["attempt_test", "retries_test"],
  "src/runner.ts": ["runner_test", "cancel_test"],
  "src/leases.ts": ["leases_test"],
  "src/inbox.ts": ["inbox_test", "calls_test"],
  "src/waiter.ts": ["calls_test", "inbox_test", "cancel_test"],
};
const ALL = ["listener_test", "lifecycle_test", "queue_test", "faults_test", "suspects_test", "health_test"];

/** What catches the mutant; null = it survives. */
export function killGuard(mutant: SourceMutant, withTests: boolean): string | null {
  const folder = mkdtempSync(join(tmpdir(), "errand-mutant-"));
  try {
    for (const name of readdirSync(ROOT)) {
      if (name === "src") cpSync(join(ROOT, name), join(folder, name), { recursive: true });
      else if (!["node_modules", "tests", "tools", "mod.ts"].includes(name)) continue;
      else if (name === "node_modules") symlinkSync(join(ROOT, name), join(folder, name));
      else cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter: isNeeded });
    }
    writeFileSync(join(folder, mutant.file), mutant.source);
    const fails = (args: readonly string[]) =>
      spawnSync("bun", args, { cwd: folder, env: process.env, timeout: LIMIT, killSignal: "SIGKILL", stdio: "ignore" })
        .status !== 0;
    if (fails(["tools/sim.ts", ...SEEDS])) return `simulation: ${SEEDS.join(" ")}`;
    if (!withTests) return null;
    const tests = [...new Set([...NEAR[mutant.file] ?? [], ...ALL])];
    return tests.find((name) => fails(["test", "--bail", "--timeout", "20000", `./tests/${name}.ts`])) ?? null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isNeeded(path: string): boolean {
  return !path.includes("node_modules") && !path.includes("node22");
}
