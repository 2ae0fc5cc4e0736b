/** What importing errand costs a program that starts. */
import process from "node:process";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { median } from "../lib/time.ts";
import type { Cell, Question, Settings, Target } from "./question.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EMPTY = "an empty module";
const ERRAND = "import errand";

const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  bun: ["bun"],
  deno: ["deno", "run", "-A", "--no-check"],
  node: ["node"],
};

/** Node imports the npm package, as its users do; the others the sources. Made once a run. */
let built: string | undefined;
function forNode(): string {
  if (built !== undefined) return built;
  const folder = mkdtempSync(join(tmpdir(), "errand-startup-"));
  const build = spawnSync("deno", ["run", "-A", "tools/build_npm.ts", folder], { cwd: ROOT, encoding: "utf8" });
  const tarball = build.stdout.trim().split("\n").at(-1)!;
  const { status } = spawnSync("tar", ["xzf", tarball], { cwd: folder });
  if (build.status !== 0 || status !== 0) throw new Error(`Cannot build the npm package: ${build.stderr}`);
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return built = join(folder, "package", "mod.js");
}

function milliseconds(command: readonly string[], file: string): number {
  const from = performance.now();
  const { status, stderr } = spawnSync(command[0]!, [...command.slice(1), file], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")} ${file} ended with ${status}: ${stderr}`);
  return performance.now() - from;
}

/** From the start of the process to its end, the median of several, interleaved. */
export const startup: Question = {
  name: "startup",
  about:
    "A program that does nothing but import errand, beside one that does nothing, from the start of the process to its end. " +
    "Node imports the built npm package, as its users do.",
  columns: [{ figure: "errand", title: "ms with errand", digits: 1 }, {
    figure: "empty",
    title: "ms without",
    digits: 1,
  }],
  repetitions: 3,
  cells: ({ runtimes }: Settings): Cell[] =>
    runtimes.filter((runtime) => runtime !== "node22")
      .map((runtime) => ({ question: "startup", mode: ERRAND, subject: "errand", runtime, aof: false })),
  measure: ({ runtime }, { quick }) => {
    const folder = mkdtempSync(join(tmpdir(), "errand-startup-"));
    try {
      const [empty, full] = [join(folder, "empty.mjs"), join(folder, "full.mjs")];
      const module = runtime === "node" ? forNode() : join(ROOT, "mod.ts");
      writeFileSync(empty, "export {};\n");
      writeFileSync(full, `import ${JSON.stringify(pathToFileURL(module).href)};\n`);
      const times: Record<string, number[]> = { [EMPTY]: [], [ERRAND]: [] };
      for (let round = -1; round < (quick ? 5 : 15); round++) {
        const [without, importing] = [milliseconds(PROGRAMS[runtime]!, empty), milliseconds(PROGRAMS[runtime]!, full)];
        if (round < 0) continue; // Deno compiles what it sees first.
        times[EMPTY]!.push(without);
        times[ERRAND]!.push(importing);
      }
      const [without, importing] = [median(times[EMPTY]!), median(times[ERRAND]!)];
      const figures = { errand: importing, empty: without, beyond: importing - 1.5 * without };
      return Promise.resolve({ versions: "errand", figures });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  targets: (medians, runtimes) =>
    runtimes.map((runtime): Target => ({
      what: "startup: what import errand takes beyond 1.5 empty modules",
      runtime,
      value: medians.of(ERRAND, "errand", runtime, "beyond"),
      ...{ bound: 20, unit: " ms", sense: "at most" },
    })),
};
