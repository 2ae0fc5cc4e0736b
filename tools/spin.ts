/**
 * The model checker: searches the models of tests/spin and prints model × property: states, depth, errors, seconds.
 *
 *     deno task spin            small bounds, then the mutants, each of which must fail as it is said to: seconds
 *     deno task spin --large    larger bounds: minutes, and gigabytes of memory
 *     deno task spin lease      only what has "lease" in its name
 *
 * Needs `spin` and a C compiler: `tcc`, which compiles a verifier in a tenth of a second, or `gcc`, whose verifiers run
 * faster. Exits with 1 when anything is not as it must be; a search that was cut short is not.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { LARGE, MUTANTS, type Run, SMALL } from "../tests/spin/runs.ts";

const MODELS = fileURLToPath(new URL("../tests/spin", import.meta.url));
const AT_ONCE = 2;
const DEPTH = 2_000_000;

/** What a search found. */
interface Found {
  readonly states: string;
  readonly depth: string;
  /** The property that failed, or null. */
  readonly failed: string | null;
  /** Why this is no result: cut short, or a program that did not run. */
  readonly trouble: string | null;
  readonly seconds: number;
}

function runProgram(command: readonly string[], cwd: string): Promise<{ code: number | null; text: string }> {
  const [program, ...args] = command;
  return new Promise((resolve) => {
    const child = spawn(program!, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Uint8Array) => text += part);
    child.on("error", (error) => resolve({ code: null, text: String(error) }));
    child.on("close", (code) => resolve({ code, text }));
  });
}

/** The commands that make a verifier and run it. */
function commandsOf({ model, defines, property }: Run, isLarge: boolean): string[][] {
  const words = Object.entries(defines).map(([name, value]) => value === true ? `-D${name}` : `-D${name}=${value}`);
  const compiler = compilers(isLarge).find(isHere) ?? "gcc";
  const isSafety = property === "safety";
  const mode = isSafety ? ["-DSAFETY", "-DNOCLAIM"] : ["-DNFAIR=5"];
  const speed = isLarge ? ["-O2", "-DCOLLAPSE", "-DMEMLIM=8000"] : ["-DMEMLIM=2000"];
  return [
    ["spin", `-P${compiler} -E -xc`, ...words, "-a", join(MODELS, `${model}.pml`)],
    [compiler, ...speed, "-w", ...mode, "-DVECTORSZ=2048", "-o", "pan", "pan.c"],
    [
      "./pan",
      `-m${isLarge ? DEPTH : DEPTH / 20}`,
      isLarge ? "-w26" : "-w20",
      ...isSafety ? [] : ["-a", "-f", "-N", property],
    ],
  ];
}

const compilers = (isLarge: boolean) => isLarge ? ["gcc", "tcc"] : ["tcc", "gcc"];
const isHere = (program: string) => spawnSync(program, ["-v"], { stdio: "ignore" }).error === undefined;

/** Reads what a verifier says. */
function read(text: string, seconds: number): Found {
  const find = (pattern: RegExp) => pattern.exec(text)?.[1];
  const broken = find(/assertion violated \(?(\w+)/);
  const failed = broken ?? (/acceptance cycle/.test(text) ? "cycle" : null);
  const cut = find(
    /(max search depth too small|memory limit|out of memory|reached -DMEMLIM|aborted|pan:\d+: invalid end state)/,
  );
  const errors = find(/errors: (\d+)/);
  const wrong = cut !== undefined && failed === null ? cut : errors === undefined ? text.slice(-500) : null;
  const unexplained = errors !== "0" && failed === null ? "an error of another kind" : null;
  return {
    states: find(/(\d[\d.e+]*) states, stored/) ?? "-",
    depth: find(/depth reached (\d+)/) ?? "-",
    failed,
    trouble: wrong ?? unexplained,
    seconds,
  };
}

async function search(run: Run, folder: string, isLarge: boolean): Promise<Found> {
  const started = performance.now();
  mkdirSync(folder);
  let last = { code: 0 as number | null, text: "" };
  for (const command of commandsOf(run, isLarge)) {
    last = await runProgram(command, folder);
    const isVerifier = command[0] === "./pan"; // Which says in its text what it found.
    if (last.code !== 0 && !isVerifier) break;
  }
  rmSync(folder, { recursive: true });
  return read(last.text, (performance.now() - started) / 1000);
}

function isAsSaid(run: Run, found: Found): boolean {
  return found.trouble === null && found.failed === (run.fails ?? null);
}

function print(run: Run, found: Found): void {
  const outcome = isAsSaid(run, found) ? "ok    " : "FAILED";
  const said = run.fails === undefined ? "" : ` must fail: ${run.fails},`;
  const figures = [found.states.padStart(12), found.depth.padStart(8), found.seconds.toFixed(1).padStart(7)].join(" ");
  const what = `${found.failed ?? "no"} error${found.trouble === null ? "" : `, ${found.trouble}`}`;
  console.log(`${outcome} ${run.name.padEnd(24)} ${run.property.padEnd(8)}${figures} ${said} ${what}`);
}

async function main(args: readonly string[]): Promise<boolean> {
  if (!isHere("spin") || !compilers(false).some(isHere)) {
    console.error(
      "The models need spin and a C compiler: `node tools/setup.mjs` installs spin and tcc where apt-get is",
    );
    return false;
  }
  const isLarge = args.includes("--large");
  const wanted = args.filter((word) => !word.startsWith("--"));
  const runs = (isLarge ? LARGE : [...SMALL, ...MUTANTS])
    .filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
  console.log(`       ${"model".padEnd(24)} property       states    depth seconds`);
  const folder = mkdtempSync(join(tmpdir(), "errand-spin-"));
  const found = new Map<Run, Found>();
  const left = [...runs.entries()];
  const printed = { count: 0 };
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      found.set(next[1], await search(next[1], join(folder, String(next[0])), isLarge));
      for (; found.has(runs[printed.count]!); printed.count++) {
        print(runs[printed.count]!, found.get(runs[printed.count]!)!);
      }
    }
  };
  await Promise.all(Array.from({ length: isLarge ? 1 : AT_ONCE }, work));
  rmSync(folder, { recursive: true });
  const wrong = runs.filter((run) => !isAsSaid(run, found.get(run)!));
  console.log(`${runs.length - wrong.length} as they must be, ${wrong.length} not`);
  return runs.length > 0 && wrong.length === 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2)) ? 0 : 1;
