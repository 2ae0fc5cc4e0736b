/**
 * Mutants: small faults put into the scripts and into the guards of the listener, one at a time, to see whether the
 * model, the simulation and the tests catch them.
 *
 *     deno task mutants            is the list up to date with the sources? (what CI asks)
 *     deno task mutants --write    writes the list anew; verdicts of mutants that are the same stay
 *     bun tools/mutants.ts --run [--only <part of an id>] [--kind scripts|guards] [--part 1/2]
 *                                  tries to catch those that have no verdict yet; with `--again` all of them
 *     bun tools/mutants.ts --run --by tests|long
 *                                  tries to catch those that survive so far and are not explained: by more tests, by
 *                                  long searches
 *
 * The list is `tests/mutants/list.jsonl`: what each mutant is, and what catches it. What survives is explained in
 * `tests/mutants/survivors.md`.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { GuardKiller } from "../tests/mutants/kill_guard.ts";
import { LuaKiller } from "../tests/mutants/kill_lua.ts";
import { type LuaMutant, luaMutants, type Mutant } from "../tests/mutants/lua.ts";
import { SCRIPTS } from "../tests/mutants/scripts.ts";
import type { Effort } from "../tests/mutants/trial.ts";
import { guardMutants, type SourceMutant } from "../tests/mutants/typescript.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const LIST = join(ROOT, "tests/mutants/list.jsonl");
const SURVIVORS = join(ROOT, "tests/mutants/survivors.md");

/** A mutant as it stands in the list; `caught`: by what, `no`: it survives, absent: not tried yet. */
interface Entry {
  readonly id: string;
  readonly file: string;
  readonly caught?: string;
}

const { values } = parseArgs({
  options: {
    write: { type: "boolean", default: false },
    run: { type: "boolean", default: false },
    again: { type: "boolean", default: false },
    by: { type: "string", default: "short" },
    only: { type: "string", default: "" },
    kind: { type: "string", default: "" },
    part: { type: "string", default: "1/1" },
    verdicts: { type: "string" },
  },
});

/** The file of the Redis store in which a line of a script stands. */
function fileOf(): (line: string) => string {
  const folder = join(ROOT, "src/store/redis");
  const lines = new Map<string, string>();
  for (const name of readdirSync(folder).toSorted()) {
    for (const line of readFileSync(join(folder, name), "utf8").split("\n")) lines.set(line.trim(), name);
  }
  return (line) => `src/store/redis/${lines.get(line) ?? "script.ts"}`;
}

function readList(): Map<string, Entry> {
  const lines = existsSync(LIST) ? readFileSync(LIST, "utf8").split("\n").filter(Boolean) : [];
  return new Map(lines.map((line) => JSON.parse(line) as Entry).map((entry) => [entry.id, entry]));
}

function writeList(mutants: readonly Mutant[], verdicts: ReadonlyMap<string, string>): void {
  const entries = mutants.map(({ id, file }) => {
    const caught = verdicts.get(id);
    return JSON.stringify({ id, file, ...(caught === undefined ? {} : { caught }) });
  });
  writeFileSync(LIST, entries.map((entry) => `${entry}\n`).join(""));
}

/** The survivors that are explained one by one: the lines of the fenced blocks. */
function readExplained(): string[] {
  const blocks = readFileSync(SURVIVORS, "utf8").split("```").filter((_, index) => index % 2 === 1);
  return blocks.flatMap((block) => block.split("\n").slice(1).filter(Boolean));
}

/** Prints the figures. False when an explanation explains no survivor. */
function tell(entries: readonly Entry[]): boolean {
  const verdicts = new Map(entries.map(({ id, caught }) => [id, caught]));
  const explained = readExplained();
  const idle = explained.filter((id) => verdicts.get(id) !== "no");
  for (const id of idle) console.log(`explained, but no survivor: ${id}`);
  const [all, survived] = [entries.length, entries.filter(({ caught }) => caught === "no").length];
  const untried = entries.filter(({ caught }) => caught === undefined).length;
  const caught = all - untried - survived;
  const equivalent = explained.length - idle.length;
  const percent = (part: number, whole: number) => `${(part * 100 / whole).toFixed(1)}%`;
  console.log(
    `mutants: ${all}, caught ${caught} (${percent(caught, all)}; of those that differ ${
      percent(caught, all - equivalent)
    }), equivalent ${equivalent}, not settled ${survived - equivalent}, untried ${untried}`,
  );
  return idle.length === 0;
}

async function run(mutants: readonly (LuaMutant | SourceMutant)[], verdicts: Map<string, string>): Promise<void> {
  const [part = 1, parts = 1] = values.part.split("/").map(Number);
  const [lua, guards] = [new LuaKiller(), new GuardKiller()];
  const by = values.by as Effort;
  // The short searches are for what was not tried yet, the others for what has survived those.
  const explained = new Set(readExplained());
  const isTried = (id: string, verdict = verdicts.get(id)) =>
    !values.again && (verdict !== (by === "short" ? undefined : "no") || (verdict === "no" && explained.has(id)));
  const isMeant = (mutant: Mutant) => !values.kind || values.kind === ("sources" in mutant ? "scripts" : "guards");
  const isLeft = ({ id }: Mutant) => id.includes(values.only) && !isTried(id);
  const left = mutants.filter((mutant) => isMeant(mutant) && isLeft(mutant));
  for (const mutant of left.filter((_, index) => index % parts === part - 1)) {
    const killing = "sources" in mutant ? lua.kill(mutant, by) : guards.kill(mutant, by);
    const caught = await killing ?? "no";
    verdicts.set(mutant.id, caught);
    console.log(JSON.stringify({ id: mutant.id, caught }));
  }
  await lua.close();
  guards.close();
}

const list = readList();
const mutants = [...luaMutants([...SCRIPTS.values()], fileOf()), ...guardMutants(ROOT)];
const known = new Set(mutants.map(({ id }) => id));
const added = mutants.filter(({ id }) => !list.has(id));
const gone = [...list.keys()].filter((id) => !known.has(id));
const verdicts = new Map([...list.values()].flatMap(({ id, caught }) => caught ? [[id, caught] as const] : []));
if (values.verdicts) {
  for (const line of readFileSync(values.verdicts, "utf8").split("\n").filter(Boolean)) {
    const { id, caught } = JSON.parse(line) as Required<Entry>;
    verdicts.set(id, caught);
  }
}
if (values.run) await run(mutants, verdicts);
if (values.write || (values.run && values.part === "1/1")) {
  writeList(mutants, verdicts);
  tell([...readList().values()]);
} else if (!values.run) {
  for (const { id } of added.slice(0, 20)) console.log(`not in the list: ${id}`);
  for (const id of gone.slice(0, 20)) console.log(`no longer made: ${id}`);
  if (added.length + gone.length > 0) {
    console.log(`${added.length} new, ${gone.length} gone: deno task mutants --write`);
  }
  const isSound = tell([...list.values()]);
  process.exitCode = added.length + gone.length > 0 || !isSound ? 1 : 0;
}
process.exit();
