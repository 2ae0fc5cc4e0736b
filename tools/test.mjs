/**
 * Runs all tests on Deno, Bun and Node, two runtimes at a time, and adds up what they say. Most of a test's time is
 * waiting for Redis, for processes, for the end of a lease, so two at a time take little more than one.
 *
 *     node tools/test.mjs [deno|bun|node …] [part of a file name …] [--limit seconds]
 *
 * The last line is always `N passed, N failed`. The exit code is non-zero on any failure, and when a runtime ran no
 * test or did not end within its limit (600 seconds), which counts as one failure.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { brokenFiles, readJUnit, withoutParents } from "./junit.mjs";
import { readRows, uncovered } from "./ledger.mjs";

const LANES = 2;
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** How each runtime is told to run files and to write a JUnit file. */
const RUNTIMES = {
  // Types are the business of `deno task ok`.
  deno: (files, junit) => {
    const map = process.env.ERRAND_TEST_IMPORT_MAP; // Where `jsr:@db/redis` can be had when JSR cannot be reached.
    const maps = map ? [`--import-map=${map}`] : [];
    return ["deno", "test", "-A", "--no-check", ...maps, `--junit-path=${junit}`, ...files];
  },
  bun: (files, junit) => [
    ...["bun", "test", "--isolate", "--timeout", "60000", "--reporter=junit", `--reporter-outfile=${junit}`],
    ...files.map((file) => `./${file}`),
  ],
  node: (files, junit) => [
    // Node's time limit counts for a whole file too. The last to start, it has both lanes for itself.
    ...["node", "--import", "tsx", "--test", "--test-concurrency=2", "--test-timeout=300000"],
    ...["--test-reporter=junit", `--test-reporter-destination=${junit}`],
    ...["--test-reporter=spec", "--test-reporter-destination=stdout", ...files],
  ],
};

function findTests(filters) {
  const files = readdirSync(join(ROOT, "tests"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith("_test.ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
  return files.sort();
}

/** Runs a command with its output in a file; resolves to what ended it. Ends its process group. */
function runLimited(command, output, limit) {
  const [program, ...args] = command;
  const PATH = [join(ROOT, "tools", "node_modules", ".bin"), process.env.PATH]
    .join(delimiter);
  const env = { ...process.env, PATH, NO_COLOR: "1", FORCE_COLOR: undefined };
  const log = openSync(output, "w");
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: ROOT, env, stdio: ["ignore", log, log], detached: true });
    const stop = () => endGroup(child.pid);
    const timer = setTimeout(() => (stop(), resolve(`did not end within ${limit} s`)), limit * 1000);
    // The group is ended in any case: a test file that was stopped half way leaves its servers behind.
    const settle = (reason) => (clearTimeout(timer), process.off("exit", stop), stop(), resolve(reason));
    process.once("exit", stop);
    child.once("error", (error) => settle(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => settle(code === 0 ? null : `ended with ${signal ?? `exit code ${code}`}`));
  });
}

function endGroup(pid) {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

async function testOn(runtime, files, folder, limit) {
  const [junit, output] = [join(folder, `${runtime}.xml`), join(folder, `${runtime}.log`)];
  const started = performance.now();
  const trouble = await runLimited(RUNTIMES[runtime](files, junit), output, limit);
  const log = readFileSync(output, "utf8");
  const cases = readCases(junit);
  const failures = cases.filter(({ status }) => status === "failed");
  for (const name of brokenFiles(log)) failures.push({ name, message: "" });
  const passed = cases.filter(({ status }) => status === "passed").length;
  if (failures.length === 0 && trouble !== null) {
    failures.push({ name: `${runtime} ${trouble}`, message: "" });
  }
  if (failures.length + passed === 0) {
    failures.push({ name: `${runtime} ran no test`, message: "" });
  }
  const skipped = cases.length -
    cases.filter(({ status }) => status !== "skipped").length;
  return { runtime, cases, passed, failures, skipped, log, seconds: (performance.now() - started) / 1000 };
}

/** Each row of the ledger of faults counts as one test: it passes when the run covered it. */
function readLedger(runs) {
  const rows = readRows().filter(({ runsOn }) => runsOn.length > 0);
  const open = uncovered(rows, runs);
  const failures = open.map(({ number, reason }) => ({ name: `row ${number} of FAULTS.md`, message: reason }));
  const passed = rows.filter(({ number }) => !open.some((finding) => finding.number === number)).length;
  const result = { runtime: "ledger", cases: [], passed, failures, skipped: 0, log: "", seconds: 0 };
  printFailures(result);
  return result;
}

function readCases(junit) {
  try {
    return withoutParents(readJUnit(readFileSync(junit, "utf8")));
  } catch {
    return [];
  }
}

/** Failures with their messages; where a file broke as a whole, the end of the runtime's own output tells more. */
function printFailures({ runtime, failures, log }) {
  for (const { name, message } of failures) {
    console.log(`\n✗ ${runtime}: ${name}`);
    if (message !== "") {
      console.log(message.slice(0, 4000).replaceAll(/^/gm, "    "));
    }
  }
  if (failures.some(({ message }) => message === "" || message.includes("test failed"))) {
    console.log(`\nThe end of ${runtime}'s output:`);
    console.log(log.split("\n").slice(-80).join("\n").replaceAll(/^/gm, "  | "));
  }
}

function printTable(results) {
  console.log(
    `\n${"runtime".padEnd(9)}${"passed".padStart(7)}${"failed".padStart(7)}${"skipped".padStart(8)}   seconds`,
  );
  for (const { runtime, passed, failures, skipped, seconds } of results) {
    const counts = String(passed).padStart(7) +
      String(failures.length).padStart(7) + String(skipped).padStart(8);
    console.log(`${runtime.padEnd(9)}${counts}${seconds.toFixed(1).padStart(10)}`);
  }
}

/** Does `work` for each item, `LANES` at a time; the results in the order of the items. */
async function inLanes(items, work) {
  const results = [];
  const left = [...items.entries()];
  const lane = async () => {
    for (let next = left.shift(); next; next = left.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

async function main(args) {
  const at = args.indexOf("--limit");
  const limit = at < 0 ? 600 : Number(args.splice(at, 2)[1]);
  const chosen = args.filter((arg) => arg in RUNTIMES);
  const files = findTests(args.filter((arg) => !(arg in RUNTIMES)));
  if (files.length === 0) {
    // A runtime that is given no file would look for some itself.
    console.log("no test file matches\n0 passed, 1 failed");
    process.exitCode = 1;
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "errand-test-"));
  const results = await inLanes(chosen.length > 0 ? chosen : Object.keys(RUNTIMES), async (runtime) => {
    console.log(`${runtime}: ${files.length} files …`);
    const result = await testOn(runtime, files, folder, limit);
    printFailures(result);
    return result;
  });
  rmSync(folder, { recursive: true, force: true });
  if (chosen.length === 0 && files.length === findTests([]).length) results.push(readLedger(results));
  printTable(results);
  const sum = (count) => results.reduce((total, result) => total + count(result), 0);
  const failed = sum(({ failures }) => failures.length);
  console.log(`${sum(({ passed }) => passed)} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => process.exit(130));
}
await main(process.argv.slice(2));
