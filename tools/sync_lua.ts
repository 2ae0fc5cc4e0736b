/**
 * Writes the scripts that a listener of another language runs to docs/lua, one file a verb, from the ones that errand
 * runs itself. `--check` only compares, and exits with 1 on a difference.
 *
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { leaveScript } from "../src/store/redis/caller.ts";
import { claimScript } from "../src/store/redis/claim.ts";
import { finishScript } from "../src/store/redis/finish.ts";
import { progressScript, releaseScript, renewScript } from "../src/store/redis/keep.ts";

const SCRIPTS = [claimScript, renewScript, progressScript, finishScript, releaseScript, leaveScript];
const HEADING =
  "-- Written by tools/sync_lua.ts from src/store/redis: change it there. Its words and answers: docs/wire.md.\n";

/** The files of docs/lua as they should be: name → text. */
export function expectedScripts(): Map<string, string> {
  return new Map(SCRIPTS.map(({ name, source }) => [`${name}.lua`, `${HEADING}${source.trim()}\n`]));
}

/** The names of the files in `folder` that are missing, differ, or do not belong there. */
export function staleScripts(folder: URL): string[] {
  const expected = expectedScripts();
  const found = readdirSync(folder);
  const extra = found.filter((name) => !expected.has(name));
  const differing = [...expected].filter(([name, text]) =>
    !found.includes(name) || readFileSync(new URL(name, folder), "utf8") !== text
  );
  return [...extra, ...differing.map(([name]) => name)];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const folder = new URL("../docs/lua/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  if (process.argv.includes("--check")) {
    const stale = staleScripts(folder);
    for (const name of stale) console.error(`docs/lua/${name} is stale: run \`deno run -A tools/sync_lua.ts\``);
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else {
    for (const [name, text] of expectedScripts()) writeFileSync(new URL(name, folder), text);
  }
}
