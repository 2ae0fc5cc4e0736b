/**
 * The scripts of the Redis store, to be mutated in the process that runs the tests, and only there.
 *
 * As a preload (`bun test --preload`) it puts in the place of each script what the file that `ERRAND_MUTANT` names says.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import * as caller from "../../src/store/redis/caller.ts";
import * as claim from "../../src/store/redis/claim.ts";
import * as dead from "../../src/store/redis/dead.ts";
import * as enqueue from "../../src/store/redis/enqueue.ts";
import * as finish from "../../src/store/redis/finish.ts";
import * as keep from "../../src/store/redis/keep.ts";
import type { Script } from "../../src/store/redis/script.ts";

/** All scripts, by name. */
export const SCRIPTS: ReadonlyMap<string, Script> = new Map(
  [caller, claim, dead, enqueue, finish, keep].flatMap((module) => Object.values<unknown>(module)).filter(isScript).map(
    (script) => [script.name, script],
  ),
);

/** Puts other texts in the place of some scripts; the answer puts the old ones back. */
export function mutate(sources: ReadonlyMap<string, string>): () => void {
  const before = [...sources.keys()].map((name) => [name, SCRIPTS.get(name)!.source] as const);
  for (const [name, source] of sources) put(name, source);
  return () => before.forEach(([name, source]) => put(name, source));
}

function put(name: string, source: string): void {
  const sha = createHash("sha1").update(source).digest("hex");
  const values = { source: { value: source }, sha: { value: sha, configurable: true } };
  Object.defineProperties(SCRIPTS.get(name)!, values); // Its own SHA-1 is an accessor, of the class.
}

function isScript(value: unknown): value is Script {
  return typeof value === "object" && value !== null && "source" in value && "sha" in value;
}

const file = process.env.ERRAND_MUTANT;
if (file) {
  await Promise.resolve(); // The scripts' own SHA-1 comes later than they do.
  while ([...SCRIPTS.values()].some(({ sha }) => sha === null)) await new Promise((resolve) => setTimeout(resolve, 1));
  mutate(new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, string>)));
}
