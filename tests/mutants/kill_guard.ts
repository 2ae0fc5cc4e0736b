/**
 * Tries to catch mutants of the listener's guards: with the tests next to them, the simulation, and more tests, on a
 * copy of the tree.
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
const SEEDS = ["--seeds", "24", "--from", "1"];
const LIMIT = 180_000;
/** By file, the tests that are nearest to it: they come first, as they are quick. */
const NEAR: Readonly<Record<string, readonly string[]>> = {
  "src/listener.ts": ["listener_test"],
  "src/claim_loop.ts": ["listener_test", "suspects_test"],
  "src/attempt.ts": ["attempt_test", "retries_test"],
  "src/attempt_ending.ts": ["attempt_test", "retries_test"],
  "src/runner.ts": ["runner_test", "cancel_test"],
  "src/leases.ts": ["leases_test"],
  "src/inbox.ts": ["inbox_test", "calls_test"],
  "src/waiter.ts": ["calls_test", "inbox_test", "cancel_test"],
};
const ALL = ["listener_test", "lifecycle_test", "listener_redis_test", "queue_test", "health_test"];

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
    const caughtBy = (tests: readonly string[]) =>
      tests.find((name) => fails(["test", "--bail", "--timeout", "20000", `./tests/${name}.ts`]));
    const near = caughtBy(NEAR[mutant.file] ?? []);
    if (near) return near;
    if (fails(["tools/sim.ts", ...SEEDS])) return `simulation: ${SEEDS.join(" ")}`;
    return withTests ? caughtBy(ALL) ?? null : null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function isNeeded(path: string): boolean {
  return !path.includes("node_modules") && !path.includes("node22");
}
