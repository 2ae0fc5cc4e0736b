/**
 * Tries to catch mutants of the scripts: first with the model, in this process, then with the tests of the store, last
 * with a long walk.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runModel } from "../store/model_run.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import type { LuaMutant } from "./lua.ts";
import { mutate } from "./scripts.ts";
import { type Effort, isCaught } from "./trial.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Most mutants are caught in the first hundred steps. The long walk is for what the tests do not catch. */
const SHORT: Walk = { seed: 1, steps: 3_000 };
const LONG: Walk = { seed: 2, steps: 15_000 };
/** A script that never ends keeps Redis from answering. A walk hangs when it takes longer than this, in ms. */
const limitOf = ({ steps }: Walk) => 12_000 + 5 * steps;
/** What knows more of scripts than two stores that agree: bounds, many tasks, a full Redis. */
const TESTS = [
  "./tests/store/redis_store_test.ts",
  "./tests/scripts_test.ts",
  "./tests/claim_steps_test.ts",
  "./tests/store/repeat_test.ts",
  "./tests/faults/queue_bytes_test.ts",
  "./tests/dead_letters_test.ts",
];

interface Walk {
  readonly seed: number;
  readonly steps: number;
  readonly path?: string;
}

/** Where it failed, "hangs", or null: it passed. */
type Found = { readonly path: string } | "hangs" | null;

/** Runs the model over mutants one after another, on one Redis, which is another after one that hangs. */
export class LuaKiller {
  #server: RedisServer | null = null;

  /** What catches the mutant; null = it survives. */
  async kill(mutant: LuaMutant, by: Effort): Promise<string | null> {
    if (by === "tests") return await tests(mutant);
    return await this.#model(mutant, by === "long" ? LONG : SHORT);
  }

  /** Ends the Redis. */
  async close(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  /** Whoever fails is guilty only when the scripts as they are pass the same walk right after it, on the same Redis. */
  async #model(mutant: LuaMutant, walk: Walk): Promise<string | null> {
    const restore = mutate(mutant.sources);
    const found = await this.#walk(walk).finally(restore);
    if (found === null) return null;
    const from = performance.now();
    const control = await this.#walk(found === "hangs" ? walk : { seed: walk.seed, steps: 1, path: found.path });
    const isSlow = found === "hangs" && (performance.now() - from) * 3 > limitOf(walk);
    if (control !== null || isSlow) {
      console.error(`unmutated, too: ${isSlow ? "takes too long" : "fails"}: model, seed ${walk.seed}`);
      return null;
    }
    return found === "hangs" ? "model: hangs" : `model: seed ${walk.seed}, path ${found.path}`;
  }

  async #walk(walk: Walk): Promise<Found> {
    const server = this.#server ??= await startRedis();
    const run = runModel({ url: server.url, ...walk, shrink: false });
    // It rejects when Redis does not answer any more: it is busy with a script, for ever.
    const report = await Promise.race([run.catch(() => null), after(limitOf(walk))]);
    if (report !== null) return report.failure === null ? null : { path: report.failure.path };
    await this.close();
    await Promise.race([run.catch(() => {}), after(5_000)]); // What is under way learns that its Redis has gone.
    return "hangs";
  }
}

function after(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms).unref());
}

async function tests({ sources }: LuaMutant): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), "errand-mutant-"));
  const file = join(folder, "sources.json");
  writeFileSync(file, JSON.stringify(Object.fromEntries(sources)));
  const put = (isMutated: boolean) => ({ ERRAND_MUTANT: isMutated ? file : "" });
  try {
    for (const test of TESTS) {
      const args = ["test", "--bail", "--timeout", "20000", "--preload", "./tests/mutants/scripts.ts", test];
      if (await isCaught({ args, cwd: ROOT }, put)) return test.slice(2);
    }
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
