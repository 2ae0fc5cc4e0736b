/**
 * Everything that must hold beside the tests: `deno task ok`. Runs all checks, says which did not pass, exits with 1.
 * Needs no network. `--fix` formats, writes docs/lua and lists the mutants first.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PATH = [process.env.PATH, join(ROOT, "tools", "node_modules", ".bin")]
  .join(delimiter);

const { exports } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));

const CHECKS = {
  "format": ["fmt", "--check"],
  "lint": ["lint"],
  "types": ["task", "check"],
  "documentation": ["doc", "--lint", ...Object.values(exports)],
  "publish": ["publish", "--dry-run", "--allow-dirty"],
  "architecture": ["run", "-A", "tools/check.ts"],
  "versions": ["run", "-A", "tools/sync_version.ts", "--check"],
  "scripts": ["run", "-A", "tools/sync_lua.ts", "--check"],
  "model": ["task", "model:bun", "--steps", "10000", "--seed", "5"],
  "models": ["run", "-A", "tools/spin.ts"],
};

function passes([name, args]) {
  const { status, stdout, stderr } = spawnSync("deno", args, {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, PATH, NO_COLOR: "1" },
  });
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name}`);
  if (status !== 0) {
    console.log(`${stdout}${stderr}`.trimEnd().replaceAll(/^/gm, "       "));
  }
  return status === 0;
}

if (process.argv.includes("--fix")) {
  passes(["formatted", ["fmt"]]);
  passes(["scripts written", ["run", "-A", "tools/sync_lua.ts"]]);
  passes(["mutants listed", ["run", "-A", "tools/mutants.ts", "--write"]]);
}
const results = Object.entries(CHECKS).map(passes);
process.exitCode = results.every(Boolean) ? 0 : 1;
