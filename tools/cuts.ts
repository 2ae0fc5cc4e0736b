/**
 * Cuts connections after every byte of every call, with every client on every runtime, prints what became of it, and writes
 * `docs/cuts.md`.
 *
 *     deno task cuts [--adapter ioredis] [--runtime bun] [--verb claim] [--every 7] [--whole] [--lanes 6] [--resume folder]
 *
 * With any of the first four it only prints. `--every 7` makes one cut of seven, `--whole` cuts a script's text at every byte
 * instead of one of sixteen in its middle. `--resume` keeps the table of each clean pair in a folder, and takes from there
 * what an earlier run has finished. The exit code is 1 when anything was lost, done twice, hung or left open. Needs Deno, Bun
 * and Node, a redis-server, and about half an hour for everything; `@db/redis` comes as it does in `compatibility.ts`.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { ClientName } from "../src/adapters/connect.ts";
import { makeCuts, type Row } from "../tests/cuts/cutter.ts";
import { TRIALS } from "../tests/cuts/trials.ts";
import { pairs, pinned, type Runtime } from "./compatibility.ts";

const SELF = fileURLToPath(import.meta.url);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = join(ROOT, "docs/cuts.md");
const PATH = [join(ROOT, "tools/node_modules/.bin"), process.env.PATH].join(delimiter);
const COLUMNS = ["call", "bytes", "cuts", "lost", "twice", "hung", "left", "slowest"];

/** One client on one runtime, with its rows. */
interface Table {
  readonly client: ClientName;
  readonly runtime: Runtime;
  readonly rows: readonly Row[];
  /** Why there is no table. */
  readonly trouble?: string;
}

const { values } = parseArgs({
  options: {
    adapter: { type: "string" },
    runtime: { type: "string" },
    verb: { type: "string" },
    every: { type: "string" },
    whole: { type: "boolean", default: false },
    lanes: { type: "string", default: "6" },
    resume: { type: "string" },
    /** In the process that makes the cuts: prints rows as lines of JSON. */
    child: { type: "boolean", default: false },
  },
});

function commandOf(runtime: Runtime): string[] {
  const map = process.env.ERRAND_TEST_IMPORT_MAP;
  if (runtime === "deno") return ["deno", "run", "-A", "--no-check", ...(map ? [`--import-map=${map}`] : []), SELF];
  return runtime === "bun" ? ["bun", SELF] : ["node", "--import", "tsx", SELF];
}

async function cutHere(client: ClientName): Promise<void> {
  const trials = TRIALS.filter(({ name }) => values.verb === undefined || name.includes(values.verb));
  if (trials.length === 0) throw new TypeError(`No call is named "${values.verb}"`);
  const every = Number(values.every ?? 1);
  await makeCuts({
    client,
    trials,
    choose: (all) => all.filter((_, index) => index % every === 0),
    whole: values.whole,
    lanes: Number(values.lanes),
    onRow: (row) => console.log(JSON.stringify(row)),
  });
}

/** The table of an earlier run, or of one made now. */
async function tableFor(client: ClientName, runtime: Runtime): Promise<Table> {
  if (values.resume === undefined) return await cutIn(client, runtime);
  const file = join(values.resume, `${client.replace("/", "-")}-${runtime}.json`);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Table;
  const table = await cutIn(client, runtime);
  mkdirSync(values.resume, { recursive: true });
  if (isClean(table)) writeFileSync(file, JSON.stringify(table));
  return table;
}

/** Runs one pair in a process of its runtime; its rows are printed as they come. */
async function cutIn(client: ClientName, runtime: Runtime): Promise<Table> {
  const [program, ...args] = commandOf(runtime);
  const given = process.argv.slice(2);
  const child = spawn(program!, [...args, "--child", ...given, "--adapter", client], {
    cwd: ROOT,
    env: { ...process.env, PATH },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  console.log(`\n${client} on ${runtime}\n${COLUMNS.join("  ")}`);
  const rows: Row[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const row = JSON.parse(line) as Row;
    rows.push(row);
    console.log(cellsOf(row).join("  "));
    for (const finding of row.findings) console.log(`    ${finding}`);
  }
  const code = await ended;
  return { client, runtime, rows, ...(code === 0 ? {} : { trouble: `it ended with ${code}` }) };
}

function cellsOf({ name, bytes, cuts, lost, twice, hung, left, slowest }: Row): string[] {
  const counts = [cuts, lost, twice, hung, left].map(String);
  return [name, bytes.join(" + "), ...counts, `${Math.ceil(slowest)} ms`];
}

function sumOf(rows: readonly Row[]): Row {
  const sum = (of: (row: Row) => number) => rows.reduce((all, row) => all + of(row), 0);
  return {
    name: "all",
    bytes: [sum(({ bytes }) => bytes[0]), sum(({ bytes }) => bytes[1])],
    cuts: sum((row) => row.cuts),
    lost: sum((row) => row.lost),
    twice: sum((row) => row.twice),
    hung: sum((row) => row.hung),
    left: sum((row) => row.left),
    slowest: Math.max(0, ...rows.map((row) => row.slowest)),
    findings: [],
  };
}

function isClean({ rows, trouble }: Table): boolean {
  const { cuts, lost, twice, hung, left } = sumOf(rows);
  return trouble === undefined && cuts > 0 && lost + twice + hung + left === 0;
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[], texts = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => at < texts ? "---" : "--:")), ...rows.map(line)].join("\n");
}

/** The page. */
function pageOf(tables: readonly Table[], date: string): string {
  const sums = tables.map(({ client, runtime, rows }) => {
    const [, ...cells] = cellsOf(sumOf(rows));
    return [`\`${client}\``, runtime, ...cells];
  });
  const versions = Object.entries(pinned()).map(([name, version]) => `${name} ${version}`).join(", ");
  return `# Cuts

\`deno task cuts\` wrote this page on ${date}: a proxy cut the connection after each byte of the request and of the answer of
each call (of the text of a script, at each byte of its ends and at one of sixteen between), by a reset or by an orderly end in turn, with each client on each runtime (${versions}).

${tableOf(["client", "runtime", ...COLUMNS.slice(1)], sums, 2)}

- **lost**: a call without an effect, without an answer, or with another answer than when nothing is cut; a listener that stays
  deaf; a message that was neither heard nor told as a gap.
- **twice**: what stands in Redis afterwards differs from what one call leaves there, in any key, field or life time.
- **hung**: a call that did not end within 6 s. **left**: connections that outlived their owners.
- **slowest**: the longest call. A call in doubt is repeated by the store after 50 ms, or by its caller at once.

A token of the bell whose answer is cut is lost on purpose: the next one must be heard, and no task depends on it.

${
    tables.map((table) => `## ${table.client} on ${table.runtime}\n\n${tableOf(COLUMNS, table.rows.map(cellsOf))}`)
      .join("\n\n")
  }
`;
}

async function main(): Promise<void> {
  const tables: Table[] = [];
  for (const { client, runtime } of pairs()) {
    if (values.adapter !== undefined && values.adapter !== client) continue;
    if (values.runtime !== undefined && values.runtime !== runtime) continue;
    tables.push(await tableFor(client, runtime));
  }
  const all = sumOf(tables.flatMap(({ rows }) => rows));
  console.log(`\n${tables.length} pairs: ${cellsOf(all).slice(1).join("  ")}`);
  for (const table of tables.filter((table) => !isClean(table))) {
    console.log(`not clean: ${table.client} on ${table.runtime} ${table.trouble ?? ""}`);
    process.exitCode = 1;
  }
  const isWhole = [values.adapter, values.runtime, values.verb, values.every].every((value) => value === undefined);
  if (!isWhole || tables.some(({ trouble }) => trouble !== undefined)) return;
  writeFileSync(PAGE, pageOf(tables, new Date().toISOString().slice(0, 10)));
  spawnSync("deno", ["fmt", "--quiet", PAGE], { cwd: ROOT, env: { ...process.env, PATH } });
}

if (values.child) await cutHere(values.adapter as ClientName);
else await main();
