/**
 * Measures errand beside the other queues on this machine, and says what was to be reached and whether it was.
 *
 *     deno task bench --quick                    a first look: drained, enqueued, answered, once, in three minutes
 *     deno task bench --only drained,answered    some questions
 *     deno task bench --peers bullmq --runtimes bun --reps 3
 *     deno task bench                            everything, five repetitions, an hour and a half; writes bench/RESULTS.md and bench/plots
 *
 * Repetitions are interleaved (A, B, C, A, B, C), so that a machine that drifts drifts for all. A run that was cut off
 * goes on where it was; `--fresh` begins anew.
 *
 * @module
 */
import process from "node:process";
import { cpus, loadavg } from "node:os";
import { delimiter } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundleForNode, isThere } from "./lib/cell.ts";
import { writeDocument } from "./lib/document.ts";
import { installPeers } from "./lib/peers.ts";
import { draw } from "./lib/plots.ts";
import { tableOf, targetsOf, targetTable } from "./lib/report.ts";
import { Results } from "./lib/results.ts";
import { QUESTIONS } from "./questions/all.ts";
import type { Cell, Question, Settings } from "./questions/question.ts";
import { type Runtime, RUNTIMES, SUBJECTS } from "./subjects/all.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    aof: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
    only: { type: "string" },
    peers: { type: "string" },
    runtimes: { type: "string", default: "bun,node,deno" },
    reps: { type: "string" },
  },
});

const list = (text: string) => text.split(",").filter((part) => part !== "");

function chosen<T>(what: string, names: readonly string[], from: Readonly<Record<string, T>>): T[] {
  return names.map((name) => {
    if (!(name in from)) throw new Error(`There is no ${what} "${name}": it is one of ${Object.keys(from).join(", ")}`);
    return from[name]!;
  });
}

function settingsOf(): Settings {
  const runtimes = list(flags.runtimes) as Runtime[];
  if (runtimes.includes("node")) runtimes.push("node22");
  const peers = flags.peers === undefined ? Object.keys(SUBJECTS) : ["errand", "floor", ...list(flags.peers)];
  const subjects = [...new Set(peers)];
  chosen("peer", subjects, SUBJECTS);
  return { quick: flags.quick, aof: flags.aof, subjects, runtimes: runtimes.filter(isThere) };
}

/** Measures one cell; what cannot be measured is said, and is missing in the tables. */
async function measure(question: Question, cell: Cell, settings: Settings, repetition: number): Promise<void> {
  const name = `${cell.question}, ${cell.mode}: ${cell.subject} on ${cell.runtime}, ${repetition}`;
  try {
    const measured = await question.measure(cell, settings);
    results.add(cell, repetition, measured);
    const [first] = question.columns;
    console.error(`${name}: ${Math.round(measured.figures[first!.figure]! * 100) / 100} ${first!.title}`);
  } catch (error) {
    console.error(`${name}: FAILED, ${error instanceof Error ? error.message : error}`);
    failures++;
  }
}

// The runtimes of tools/ stand behind those that the machine has.
process.env.PATH = [process.env.PATH, fileURLToPath(new URL("../tools/node_modules/.bin", import.meta.url))].join(
  delimiter,
);
const settings = settingsOf();
/** Three minutes, or an hour and a half. */
const usual = flags.quick ? ["drained", "enqueued", "answered"] : Object.keys(QUESTIONS);
const questions = chosen("question", flags.only === undefined ? usual : list(flags.only), QUESTIONS);
const results = new Results(`${flags.quick ? "quick" : "full"}${flags.aof ? "-aof" : ""}`, flags.fresh || flags.quick);
if (results.size > 0) {
  console.error(`Going on with a run of which ${results.size} cells are there; --fresh begins anew.`);
}
let failures = 0;

/** Two processes and a redis-server are measured; what else runs takes from them. */
function warnIfBusy(): void {
  const [load] = loadavg();
  if (load! < cpus().length / 4) return;
  console.error(
    `The machine is busy (load ${load!.toFixed(1)} on ${cpus().length} cores): only counts mean something now.`,
  );
}

installPeers();
warnIfBusy();
if (settings.runtimes.includes("node")) bundleForNode();
for (const question of questions) {
  const cells = question.cells(settings);
  const repetitions = Number(flags.reps ?? (flags.quick ? 1 : question.repetitions ?? 5));
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    for (const cell of cells.filter((cell) => !results.has(cell, repetition))) {
      await measure(question, cell, settings, repetition);
    }
  }
  const summaries = results.summaries(cells);
  const targets = targetsOf(question, summaries, settings.runtimes);
  if (summaries.length > 0) console.log(`\n## ${question.name}\n\n${tableOf(question, summaries)}`);
  if (targets.length > 0) console.log(`\n${targetTable(targets)}`);
}
if (!flags.quick) await write();
process.exit(failures > 0 ? 1 : 0);

/** The page and the plots, of all that was measured so far, by this run and by others. */
async function write(): Promise<void> {
  const all = Object.values(QUESTIONS);
  const [plain, journal] = [new Results("full", false), new Results("full-aof", false)];
  const everything = { ...settings, quick: false, subjects: Object.keys(SUBJECTS), runtimes: RUNTIMES };
  writeDocument(all, everything, { plain, journal });
  for (const question of all) {
    const summaries = plain.summaries(question.cells({ ...everything, aof: false }));
    if (question.plot !== undefined && summaries.length > 0) await draw(question.plot, summaries);
  }
}
