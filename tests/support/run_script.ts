/**
 * Runs a TypeScript file in a process of its own, on the runtime that runs the test.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The end of a script: exit code (null when it had to be killed) and all that it printed. */
export interface ScriptEnd {
  readonly code: number | null;
  readonly output: string;
}

/**
 * What the runtime that runs the test is told before the name of a script. `ERRAND_TEST_IMPORT_MAP` is an import map for
 * Deno, by which `jsr:@db/redis` can be had from elsewhere (`tools/test.mjs` reads it too).
 */
export function scriptArguments(): string[] {
  const map = process.env.ERRAND_TEST_IMPORT_MAP;
  if ("Deno" in globalThis) return ["run", "-A", ...(map ? [`--import-map=${map}`] : [])];
  return process.versions.bun ? [] : ["--import", "tsx"];
}

/** Runs `file` (relative to the repository) with these arguments; kills it after `deadlineMs`. */
export function runScript(file: string, args: readonly string[], deadlineMs = 15_000): Promise<ScriptEnd> {
  const child = spawn(process.execPath, [...scriptArguments(), file, ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout.on("data", (chunk) => output += String(chunk));
    child.stderr.on("data", (chunk) => output += String(chunk));
    const timer = setTimeout(() => child.kill("SIGKILL"), deadlineMs);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}
