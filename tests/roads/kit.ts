/**
 * What a newcomer has: an empty folder, the programs of their runtime, a Redis, and the package.
 *
 * The tarball is built once a test process. Everything is kept in one temporary folder, caches included, so that no road
 * finds what an earlier run left, and none leaves anything behind.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { buildNpm } from "../../tools/build_npm.ts";
import { type Ended, type Running, startProgram } from "../support/program.ts";
import type { RedisServer } from "../support/redis_server.ts";
import { within } from "../support/wait.ts";

/** This checkout, with a slash at its end. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));
/** Installing from a registry on a busy machine takes its time. */
export const SLOW: { readonly timeout: number } = { timeout: 180_000 };

const { name, version } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
/** The name that users install and import. */
export const NAME: string = name;
/** The version of this checkout. */
export const VERSION: string = version;

/** Handlers in plain JavaScript, as every runtime loads them. */
export const TASKS_MJS = "export default { add: ({ params }) => params.a + params.b };\n";
/** The same in TypeScript, of which every runtime that knows it only strips the types. */
export const TASKS_TS = `import type { RedisTask } from "${NAME}";
interface Summands { readonly a: number; readonly b: number }
export default { add: ({ params }: RedisTask<Summands>): number => params.a + params.b };
`;
/** A program that listens and asks, as a service of a user's would: REDIS_URL in, the answer out. */
export const SERVICE = `import process from "node:process";
import { connect, RedisTaskQueue } from "${NAME}";
const { REDIS_URL, CLIENT } = process.env;
const redis = await connect(REDIS_URL, CLIENT ? { client: CLIENT } : {});
const stop = new AbortController();
const worker = new RedisTaskQueue(redis, process.env.PREFIX, { taskFn: { add: ({ params }) => params.a + params.b } });
const listening = worker.listen(["add"], { signal: stop.signal });
const client = new RedisTaskQueue(redis, process.env.PREFIX);
console.log(await client.query("sum", "add", { a: 2, b: 40 }, { policy: "remote", timeout: 20_000 }));
stop.abort();
await listening;
`;

let home: string | undefined;
let tarball: Promise<string> | undefined;
let serial = 0;

/** The folder of this test process. */
function homeFolder(): string {
  return home ??= realpathSync(mkdtempSync(join(tmpdir(), "errand-road-")));
}

/** Removes all that the roads left: when all are walked. (Deno's tests end without an `exit` event.) */
export function removeHome(): void {
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
}

/** The path of the npm package, built from this checkout. */
export function tarballPath(): Promise<string> {
  return tarball ??= buildNpm(join(homeFolder(), "package"));
}

/** A folder that nothing is in but these files, and nothing above it: path → text. */
export function emptyFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = join(homeFolder(), `folder-${++serial}`);
  mkdirSync(folder);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
  return folder;
}

/** Settings of whoever runs the tests, which a newcomer does not have. */
const FOREIGN =
  /^(npm_(?!config_(registry|userconfig|globalconfig)$)|INIT_CWD|NODE_(?!EXTRA_CA_CERTS$)|BUN_|DENO_(?!CERT$)|REDIS_URL|ERRAND_)/;
const CACHES = { npm_config_cache: "npm", BUN_INSTALL_CACHE_DIR: "bun", DENO_DIR: "deno", TMPDIR: "tmp" };

/** The environment of a newcomer, with caches of their own. */
function environment(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => !FOREIGN.test(key));
  const folders = Object.entries(CACHES).map(([key, folder]) => [key, join(homeFolder(), folder)]);
  mkdirSync(join(homeFolder(), CACHES.TMPDIR), { recursive: true });
  // Node and Bun trust whom the machine trusts; Deno has to be told.
  const trust = { DENO_TLS_CA_STORE: process.env.DENO_TLS_CA_STORE ?? "mozilla,system" };
  const quiet = { NO_COLOR: "1", npm_config_yes: "true", npm_config_update_notifier: "false" };
  return { ...Object.fromEntries([...kept, ...folders]), ...trust, ...quiet, ...more };
}

/** A program and its first arguments, as `["npx", "errand"]`. */
export type Command = readonly [program: string, ...args: string[]];

/** Where, and with which variables, a command runs. */
export interface Setting {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

function start([program, ...before]: Command, args: readonly string[], { cwd, env = {} }: Setting): Running {
  return startProgram(program, [...before, ...args], { cwd, env: environment(env) });
}

/** Runs a command to its end, however that is. */
export function run(command: Command, args: readonly string[], setting: Setting): Promise<Ended> {
  return within(start(command, args, setting).done, `the end of ${[...command, ...args].join(" ")}`, 120_000);
}

/** Runs a command to its end, which must be a good one, and returns its standard output. */
export async function succeed(command: Command, args: readonly string[], setting: Setting): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, setting);
  assert.equal(code, 0, `${[...command, ...args].join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  return stdout.trim();
}

/** `PATH` with a folder in front. */
export function pathWith(folder: string): { readonly PATH: string } {
  return { PATH: [folder, process.env.PATH].join(delimiter) };
}

/** The way to `errand` on a road: who listens, and who asks (the same unless given). */
export interface Walk extends Setting {
  readonly redis: RedisServer;
  readonly listen: Command;
  readonly query?: Command;
  /** The module of the handlers, as a path from the folder. */
  readonly module: string;
}

/** Starts a listener in the folder, has a query answered by it, and stops it as Ctrl-C does. */
export async function walk({ redis, listen, query = listen, module, cwd, env = {} }: Walk): Promise<void> {
  const setting = { cwd, env: { ...env, REDIS_URL: redis.url } };
  const queue = ["--prefix", `road-${++serial}`];
  const listener = start(listen, ["listen", module, ...queue], setting);
  await listener.wrote(/listening to add .*\(pid \d+\)/);
  const asked = ["add", "--params", '{"a":2,"b":40}', "--policy", "remote", "--timeout", "20s"];
  assert.equal(await succeed(query, ["query", ...asked, ...queue], setting), "42");
  // A terminal tells all of a foreground group. Here npx and bunx stand in front of errand, so it is told by its own id.
  process.kill(Number(/\(pid (\d+)\)/.exec(listener.output())?.[1]), "SIGINT");
  const { code } = await within(listener.done, "the listener's end", 20_000);
  assert.equal(code, 0, listener.output());
  assert.match(listener.output(), /stopped/);
}

/** Runs a service of a user's own, which must get its answer. */
export async function serve(command: Command, redis: RedisServer, { cwd, env = {} }: Setting): Promise<void> {
  const setting = { cwd, env: { ...env, REDIS_URL: redis.url, PREFIX: `road-${++serial}` } };
  assert.equal(await succeed(command, [], setting), "42");
}
