/**
 * Tries to catch mutants of the scripts: first with the model, in this process, then with the tests of the store.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runModel } from "../store/model_run.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import type { LuaMutant } from "./lua.ts";
import { mutate } from "./scripts.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Walks to take; most mutants are caught in the first hundred steps. The long one is for what the tests do not catch. */
const ROUNDS = [{ seed: 1, steps: 800 }, { seed: 4, steps: 1_600 }];
const LONG = { seed: 2, steps: 7_000 };
/** A script that never ends keeps Redis from answering. */
const MODEL_LIMIT = 60_000;
const TESTS_LIMIT = 120_000;
/** What knows more of scripts than two stores that agree: bounds, many tasks, a full Redis. */
const TESTS = [
  "./tests/store/redis_store_test.ts",
  "./tests/store/repeat_test.ts",
  "./tests/scripts_test.ts",
  "./tests/faults/queue_bytes_test.ts",
  "./tests/faults/redis_data_test.ts",
  "./tests/dead_letters_test.ts",
];

/** Runs the model over mutants one after another, on one Redis. */
export class LuaKiller {
  #server: RedisServer | null = null;

  /** What catches the mutant; null = it survives. */
  async kill(mutant: LuaMutant, withTests: boolean): Promise<string | null> {
    const caught = await this.#model(mutant, ROUNDS);
    if (caught !== null || !withTests) return caught;
    return tests(mutant) ?? await this.#model(mutant, [LONG]);
  }

  /** Ends the Redis. */
  async close(): Promise<void> {
    await this.#server?.stop();
  }

  async #model(mutant: LuaMutant, rounds: typeof ROUNDS): Promise<string | null> {
    const restore = mutate(mutant.sources);
    try {
      for (const round of rounds) {
        const server = this.#server ??= await startRedis();
        const run = runModel({ url: server.url, ...round, shrink: false });
        const report = await Promise.race([run.catch(String), after(MODEL_LIMIT)]);
        if (report === null) {
          await server.stop();
          this.#server = null;
          await run.catch(() => {}); // What is under way learns that its Redis has gone.
          return "model: hangs";
        }
        if (typeof report === "string") return `model: ${report.slice(0, 80)}`;
        if (report.failure !== null) return `model: seed ${round.seed}, path ${report.failure.path}`;
      }
      return null;
    } finally {
      restore();
    }
  }
}

function after(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms).unref());
}

function tests({ sources }: LuaMutant): string | null {
  const folder = mkdtempSync(join(tmpdir(), "errand-mutant-"));
  const file = join(folder, "sources.json");
  writeFileSync(file, JSON.stringify(Object.fromEntries(sources)));
  try {
    for (const test of TESTS) {
      const args = ["test", "--bail", "--timeout", "20000", "--preload", "./tests/mutants/scripts.ts", test];
      const { status } = spawnSync("bun", args, {
        cwd: ROOT,
        env: { ...process.env, ERRAND_MUTANT: file },
        timeout: TESTS_LIMIT,
        killSignal: "SIGKILL",
        stdio: "ignore",
      });
      if (status !== 0) return test.slice(2);
    }
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
