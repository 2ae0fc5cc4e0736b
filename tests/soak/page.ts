/**
 * What soaks came to, written into `docs/soak.md`: a block of errand's own, and one beside its peers.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { System } from "./driver.ts";
import { versionOf } from "./peers.ts";
import type { Verdict } from "./run.ts";
import { show } from "./table.ts";

const PAGE = pathOf("docs/soak.md");
/** The table that users see first. */
const FIRST_PAGE = pathOf("README.md");
const SHORT = ["", "faults", "tasks", "lost or stuck", "never answered", "ended twice", "recovery p99"];

/** One system of the table. */
export interface PeerRow {
  readonly system: System;
  readonly settings: string;
  /** Processes that wanted a core, at the end of the runs; all of the machine's. */
  readonly load: number;
  readonly verdict: Verdict;
}

/** Which run it was. */
export interface RunFacts {
  readonly seed: number;
  readonly minutes: number;
}

/** The table of peers, in Markdown: all columns, or those named. */
export function peerTable(rows: readonly PeerRow[], names?: readonly string[]): string {
  const all: readonly (readonly [string, (row: PeerRow) => string | number])[] = [
    ["", ({ system }) => (system === "errand" ? "errand" : `${system} ${versionOf(system)}`)],
    ["load", ({ load }) => load.toFixed(0)],
    ["faults", ({ verdict }) => Object.values(verdict.figures.faults).reduce((sum, count) => sum + count, 0)],
    ["tasks", ({ verdict }) => verdict.figures.tasks],
    ["refused", ({ verdict }) => verdict.figures.refused],
    ["lost or stuck", countOf("lost")],
    ["never answered", countOf("unanswered")],
    ["wrong results", countOf("wrong result")],
    ["wrong outcomes", countOf("wrong outcome")],
    ["ended twice", countOf("two outcomes", "changed after its end")],
    ["started again", ({ verdict }) => verdict.figures.repeats],
    [
      "without cause",
      ({ system, verdict }) => system === "bee-queue" ? "–" : countOf("repeated without cause")({ verdict }),
    ],
    ["recovery p50", ({ verdict }) => seconds(verdict.figures.recovery.p50)],
    ["recovery p99", ({ verdict }) => seconds(verdict.figures.recovery.p99)],
    ["undisturbed p99", ({ verdict }) => seconds(verdict.figures.undisturbed.p99)],
    ["processes that ended by themselves", countOf("process")],
  ];
  const columns = all.filter(([name]) => names === undefined || names.includes(name));
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [
    line(columns.map(([name]) => name)),
    line(columns.map((_, at) => (at === 0 ? "---" : "--:"))),
    ...rows.map((row) => line(columns.map(([, of]) => of(row)))),
  ].join("\n");
}

/** Writes the table of peers. */
export function writePeers(rows: readonly PeerRow[], facts: RunFacts): void {
  const settings = rows.map(({ system, settings }) => `- **${system}**: ${settings}.`).join("\n");
  put(PAGE, "peers", `${factsOf(facts)}\n\n${peerTable(rows)}\n\n${settings}`);
  put(FIRST_PAGE, "soak", `${peerTable(rows, SHORT)}\n\n${factsOf(facts)} All on Node.`);
}

/** Writes errand's own figures. */
export function writeOwn(verdict: Verdict, facts: RunFacts): void {
  put(PAGE, "errand", `${factsOf(facts)}\n\n\`\`\`\n${show(verdict)}\n\`\`\``);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function countOf(...kinds: readonly string[]): (row: Pick<PeerRow, "verdict">) => number {
  return ({ verdict }) => verdict.violations.filter(({ kind }) => kinds.includes(kind)).length;
}

function factsOf({ seed, minutes }: RunFacts): string {
  const date = new Date().toISOString().slice(0, 10);
  const redis = /v=(\S+)/.exec(execFileSync("redis-server", ["--version"]).toString())?.[1];
  const model = cpus()[0]?.model ?? "unknown";
  return `${date}, ${cpus().length} cores (${model.trim()}), Redis ${redis}, seed ${seed}, ${minutes} minutes, load ${
    loadavg()[0]!.toFixed(0)
  } at the end.`;
}

/** Replaces what stands between the marks of a block. */
function put(path: string, block: string, text: string): void {
  const page = readFileSync(path, "utf8");
  const [open, close] = [`<!-- ${block}: written by the tool -->`, `<!-- end of ${block} -->`];
  const [from, to] = [page.indexOf(open), page.indexOf(close)];
  if (from < 0 || to < 0) throw new Error(`Cannot write ${path}: it has no block "${block}"`);
  writeFileSync(path, `${page.slice(0, from + open.length)}\n\n${text}\n\n${page.slice(to)}`);
  execFileSync(process.execPath, ["fmt", "-q", path]); // The tool runs on Deno.
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../../${name}`, import.meta.url));
}
