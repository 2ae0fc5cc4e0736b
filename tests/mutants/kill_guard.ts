/**
 * Tries to catch mutants of the listener's guards: with the tests next to them, then more tests, last the simulation,
 * on a copy of the tree.
 *
 * @module
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Effort, isCaught } from "./trial.ts";
import type { SourceMutant } from "./typescript.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Of the simulation: a fault in a guard that matters is seen soon. */
const SEEDS = ["--seeds", "48", "--from", "1"];
/** By file, the tests that are nearest to it: they come first, as they are quick. */
const NEAR: Readonly<Record<string, readonly string[]>> = {
  "src/listener.ts": ["listener_claims_test", "listener_test", "health_test"],
  "src/claim_loop.ts": ["listener_claims_test", "listener_test", "suspects_test", "name_rota_test", "health_test"],
  "src/attempt.ts": ["attempt_test", "attempt_ending_test", "events_test", "retries_test", "serializer_test"],
  "src/attempt_ending.ts": ["attempt_ending_test", "attempt_test", "retries_test", "events_test"],
  "src/runner.ts": ["runner_test", "cancel_test", "events_test", "policy_test"],
  "src/leases.ts": ["leases_test"],
  "src/inbox.ts": ["inbox_test", "inbox_doubts_test", "calls_test", "queue_test"],
  "src/waiter.ts": ["calls_test", "inbox_test", "inbox_doubts_test", "cancel_test", "queue_test"],
};
const ALL: readonly string[] = [
  ...[
    "listener_test",
    "lifecycle_test",
    "listener_redis_test",
    "queue_test",
    "health_test",
    "events_test",
    "scope_test",
  ],
  ...["cancel_race_test", "cancel_redis_test", "limits_test", "faults_test", "client_faults_test", "hot_path_test"],
];

/** Tries mutants one after another, in one copy of the tree. */
export class GuardKiller {
  #folder: string | null = null;

  /** What catches the mutant; null = it survives. */
  async kill(mutant: SourceMutant, by: Effort): Promise<string | null> {
    const cwd = this.#folder ??= copyTree();
    const file = join(cwd, mutant.file);
    const original = readFileSync(file, "utf8");
    const put = (isMutated: boolean) => {
      writeFileSync(file, isMutated ? mutant.source : original);
      return {};
    };
    try {
      const near = NEAR[mutant.file] ?? [];
      const tests = { short: near, tests: ALL.filter((test) => !near.includes(test)), long: [] }[by];
      for (const test of tests) if (await isCaught(testOf(test, cwd), put)) return test;
      if (by !== "long") return null;
      return await isCaught({ args: ["tools/sim.ts", ...SEEDS], cwd }, put) ? `simulation: ${SEEDS.join(" ")}` : null;
    } finally {
      writeFileSync(file, original);
    }
  }

  /** Removes the copy. */
  close(): void {
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  }
}

function testOf(test: string, cwd: string) {
  return { args: ["test", "--bail", "--timeout", "20000", `./tests/${test}.ts`], cwd };
}

function copyTree(): string {
  const folder = mkdtempSync(join(tmpdir(), "errand-mutant-"));
  for (const name of readdirSync(ROOT)) {
    const [from, to] = [join(ROOT, name), join(folder, name)];
    if (name === "node_modules") symlinkSync(from, to);
    else if (name !== ".git") cpSync(from, to, { recursive: true, filter: isNeeded });
  }
  return folder;
}

function isNeeded(path: string): boolean {
  return !path.slice(ROOT.length).includes("node_modules");
}
