/**
 * The ledger of faults: `FAULTS.md` has a row for each fault that a queue on Redis meets, and the tests that cover a row
 * say so in their names, which begin with its number: `F27: a frozen link is given up`, or `F24 F25: …` for several.
 *
 *     node tools/ledger.mjs            what is wrong between the page and the tests' sources
 *     node tools/ledger.mjs --write    writes the names of the tests into the page
 *
 * After a whole run `tools/test.mjs` asks {@linkcode uncovered} which rows had no passing test.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = join(ROOT, "FAULTS.md");
/** Rows of the catalogue. */
export const FAULTS = 85;

/**
 * One row: `runsOn` holds the runtimes on which one of its tests must pass, and is empty for a row that cannot be tested
 * on one machine, which then says why.
 *
 * @typedef {{ number: number, fault: string, duty: string, tests: string, runsOn: string[], why: string }} Row
 * @typedef {{ file: string, name: string, numbers: number[] }} FaultTest
 */

/** The numbers at the beginning of a test's own name, whatever describes stand around it. */
export function numbersOf(name) {
  const own = name.split(" > ").find((part) => /^F\d/.test(part));
  const prefix = /^F\d+(?: F\d+)*(?=: )/.exec(own ?? "")?.[0] ?? "";
  return prefix === "" ? [] : prefix.split(" ").map((word) => Number(word.slice(1)));
}

/**
 * The rows of the page.
 *
 * @returns {Row[]}
 */
export function readRows(page = readFileSync(PAGE, "utf8"), runtimes = ["deno", "bun", "node"]) {
  const lines = page.split("\n").filter((line) => /^\| *\d+ *\|/.test(line));
  return lines.map((line) => {
    const [number, fault, duty, tests, where] = line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim());
    const runsOn = where === "all" ? runtimes : runtimes.filter((runtime) => where.toLowerCase().includes(runtime));
    return { number: Number(number), fault, duty, tests, runsOn, why: where };
  });
}

/**
 * The tests of the sources whose names begin with numbers.
 *
 * @returns {FaultTest[]}
 */
export function findFaultTests() {
  const folder = join(ROOT, "tests");
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.startsWith("ledger_"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  return files.sort().flatMap((file) => {
    const titles = readFileSync(file, "utf8").matchAll(/(["`])(F\d+(?: F\d+)*: (?:\\.|(?!\1)[^\\\n])*)\1/g);
    return [...titles].map(([, , name]) => ({ file: relative(ROOT, file), name, numbers: numbersOf(name) }));
  });
}

/** The cell of a row: its tests by file. */
export function cellOf(number, tests) {
  const byFile = new Map();
  for (const { file, name, numbers } of tests) {
    if (!numbers.includes(number)) continue;
    const title = name.replace(/^[F\d ]+: /, "").replaceAll("|", "\\|").replaceAll("\\`", "`")
      .replaceAll("__", "\\_\\_");
    byFile.set(file, [...byFile.get(file) ?? [], title]);
  }
  return [...byFile].map(([file, titles]) => `[${file}](${file}): ${titles.join("; ")}`).join("<br>");
}

/** What is wrong between page and sources, one sentence each. */
export function staleRows(rows = readRows(), tests = findFaultTests()) {
  const findings = [];
  const numbers = rows.map(({ number }) => number);
  for (let number = 1; number <= FAULTS; number++) {
    if (numbers.filter((other) => other === number).length !== 1) findings.push(`FAULTS.md needs one row ${number}`);
  }
  for (const { number, tests: cell, runsOn, why } of rows) {
    const wanted = cellOf(number, tests);
    if (cell !== wanted) findings.push(`Row ${number} does not name its tests: run \`node tools/ledger.mjs --write\``);
    if (wanted === "" && runsOn.length > 0) findings.push(`Row ${number} has no test`);
    if (runsOn.length === 0 && !/^no: .{20}/.test(why)) findings.push(`Row ${number} does not say why it has no test`);
  }
  for (const { file, name, numbers } of tests) {
    const unknown = numbers.filter((number) => number < 1 || number > FAULTS);
    if (unknown.length > 0) findings.push(`${file} has a test for row ${unknown}, which there is not: ${name}`);
  }
  return findings;
}

/**
 * The rows that a whole run did not cover: no passing test on a runtime of theirs, or a skipped one.
 *
 * @param {Row[]} rows
 * @param {readonly { runtime: string, cases: readonly { name: string, status: string }[] }[]} results
 * @returns {{ number: number, reason: string }[]}
 */
export function uncovered(rows, results) {
  const findings = [];
  for (const { number, runsOn } of rows) {
    for (const { runtime, cases } of results) {
      const mine = cases.filter(({ name }) => numbersOf(name).includes(number));
      const skipped = mine.find(({ status }) => status === "skipped");
      if (skipped) findings.push({ number, reason: `${runtime} skipped "${skipped.name}"` });
      const isCovered = mine.some(({ status }) => status === "passed");
      if (runsOn.includes(runtime) && !isCovered) findings.push({ number, reason: `no test passed on ${runtime}` });
    }
  }
  return findings;
}

function write() {
  const tests = findFaultTests();
  const page = readFileSync(PAGE, "utf8").split("\n").map((line) => {
    const number = /^\| *(\d+) *\|/.exec(line)?.[1];
    if (number === undefined) return line;
    const cells = line.split(/(?<!\\)\|/);
    cells[4] = ` ${cellOf(Number(number), tests)} `;
    return cells.join("|");
  });
  writeFileSync(PAGE, page.join("\n"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--write")) write();
  const findings = staleRows();
  console.log(findings.length === 0 ? "the ledger is complete" : findings.join("\n"));
  process.exitCode = findings.length === 0 ? 0 : 1;
}
