/**
 * How a soak comes by errand's peers: what `bench/package.json` installs, never the project itself.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BENCH = fileURLToPath(new URL("../../bench/", import.meta.url));

/** Peers' calls that wait for an answer do so for so many milliseconds. */
export const ANSWER_LIMIT = 60_000;

/** A waiting call that heard nothing within {@linkcode ANSWER_LIMIT}. */
export class NoAnswerError extends Error {
  /** Always "NoAnswerError". */
  override readonly name = "NoAnswerError";
}

/** Loads a package; throws with the way out when it is not installed. */
export function loadPeer<Module>(name: string): Module {
  if (!existsSync(join(BENCH, "node_modules", name))) {
    throw new Error(`Cannot load ${name}: it is not installed; run \`npm ci\` in bench`);
  }
  return createRequire(join(BENCH, "package.json"))(name) as Module;
}

/** The version of an installed peer. */
export function versionOf(name: string): string {
  return (createRequire(join(BENCH, "package.json"))(`./node_modules/${name}/package.json`) as { version: string })
    .version;
}

/** Says what a peer's library reports, and goes on: these are the faults we make. */
export function sayError(error: Error): void {
  console.log(`${new Date().toISOString()} ${error}`);
}
