/**
 * Writes what deno.json says into jsr.json, a courtesy copy for people and tools that look for it, and what both have in
 * common into package.json. `--check` only compares, and exits with 1 on a difference.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";

const MIRRORED = ["name", "version", "license", "exports", "publish"] as const;
/** `publish` means nothing to npm. */
const SHARED = ["name", "version", "license", "exports"] as const;

/** The files that repeat what deno.json says, as they should be: path from the root → text. */
export function expectedFiles(root: URL): Map<string, string> {
  const deno = readJson(new URL("deno.json", root));
  const pick = (keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, deno[key]]));
  const mirror = pick(MIRRORED);
  const manifest = { ...readJson(new URL("package.json", root)), ...pick(SHARED) };
  return new Map([["jsr.json", pretty(mirror)], ["package.json", pretty(manifest)]]);
}

/** The names of files that differ in meaning; line breaks are the formatter's business. */
export function staleFiles(root: URL): string[] {
  const stale = [...expectedFiles(root)].filter(([name, text]) =>
    JSON.stringify(readJson(new URL(name, root))) !==
      JSON.stringify(JSON.parse(text))
  );
  return stale.map(([name]) => name);
}

function readJson(url: URL): Record<string, unknown> {
  return JSON.parse(readFileSync(url, "utf8"));
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2) + "\n";
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const root = new URL("../", import.meta.url);
  if (process.argv.includes("--check")) {
    const stale = staleFiles(root);
    for (const name of stale) {
      console.error(`${name} differs from deno.json: run \`deno run -A tools/sync_version.ts\``);
    }
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else {
    for (const [name, text] of expectedFiles(root)) {
      writeFileSync(new URL(name, root), text);
    }
  }
}
