/**
 * The measured process: one queue in one role. It says when it is ready, waits for a line on its standard input, does its
 * part, and prints one line of JSON. It ends when its standard input ends.
 *
 *     child.ts <subject> <part> <port of Redis> <options as JSON>
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { PARTS } from "./lib/parts.ts";
import { ALL_SUBJECTS } from "./subjects/all.ts";

const [, , subject, part, port, options] = process.argv;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const { role, prepare } = PARTS[part!]!;
const driver = await ALL_SUBJECTS[subject!]!.open(Number(port), role);
const measure = await prepare(driver, JSON.parse(options!));
console.log(JSON.stringify({ ready: driver.versions }));
if (!(await lines.next()).done) {
  console.log(JSON.stringify(await measure()));
  await lines.next();
}
await Promise.race([driver.close(), new Promise((resolve) => setTimeout(resolve, 2_000))]);
process.exit(0);
