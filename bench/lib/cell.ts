/**
 * One cell of the tables: one subject, on one runtime, in one part, with a fresh redis-server, once. Redis' own counters
 * are read just before and just after.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type RedisServer, startRedis } from "../../tests/support/redis_server.ts";
import type { Runtime } from "../subjects/all.ts";
import { countersOf, difference } from "./counters.ts";
import type { Figures, PartOptions } from "./parts.ts";

const BENCH = fileURLToPath(new URL("..", import.meta.url));
/** One for each run: several may go on at once, of different states of the sources. */
const BUNDLE = `${BENCH}.cache/child-${process.pid}.mjs`;
const NODE_22 = `${BENCH}../tools/node22/node_modules/node-${process.platform}-${process.arch}/bin/node`;

/** Redis keeps a journal of all that is written, and syncs it once a second. */
export const AOF: readonly string[] = ["--appendonly", "yes", "--appendfsync", "everysec"];

/** How long one part may take. */
const LIMIT_MS = 600_000;

/** One process of a cell. */
export interface Step {
  readonly part: string;
  readonly options: PartOptions;
}

/** The program and its first arguments by which a runtime runs the measured process. */
function programOf(runtime: Runtime): [program: string, ...args: string[]] {
  if (runtime === "bun") return ["bun", `${BENCH}child.ts`];
  if (runtime === "deno") return ["deno", "run", "-A", "--no-check", "--v8-flags=--expose-gc", `${BENCH}child.ts`];
  return [runtime === "node22" ? NODE_22 : "node", "--expose-gc", BUNDLE];
}

/** Does the runtime answer here? */
export function isThere(runtime: Runtime): boolean {
  if (runtime === "node22") return existsSync(NODE_22);
  return spawnSync(runtime, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Node runs plain JavaScript, as the users of the npm package do: what strips types at run time would slow it down. */
export function bundleForNode(): void {
  mkdirSync(`${BENCH}.cache`, { recursive: true });
  const args = ["build", `${BENCH}child.ts`, "--target=node", "--packages=external", `--outfile=${BUNDLE}`];
  const { status, stderr } = spawnSync("bun", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`Cannot bundle bench/child.ts for Node: ${stderr}`);
  process.once("exit", () => rmSync(BUNDLE, { force: true }));
}

/** A measured process that is ready. */
export class Child {
  /** The library and its client, as the process named them. */
  readonly versions: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, versions: string) {
    this.#process = child;
    this.#lines = lines;
    this.versions = versions;
  }

  /** Starts it and waits until it is ready. */
  static async start(subject: string, runtime: Runtime, server: RedisServer, { part, options }: Step): Promise<Child> {
    const [program, ...first] = programOf(runtime);
    const args = [...first, subject, part, String(server.port), JSON.stringify(options)];
    const child = spawn(program, args, { cwd: BENCH, stdio: ["pipe", "pipe", "inherit"] });
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    child.once("exit", () => clearTimeout(limit));
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const { ready } = await read(lines, `${subject} ${part}`) as { ready: string };
    return new Child(child, lines, ready);
  }

  /** Lets it do its part and returns what it measured. */
  async run(): Promise<Figures> {
    this.#process.stdin!.write("go\n");
    return await read(this.#lines, "the measured process") as Figures;
  }

  /** Ends it. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once("exit", resolve));
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), 5_000);
    this.#process.stdin!.end();
    await gone;
    clearTimeout(kill);
  }
}

async function read(lines: AsyncIterator<string>, who: string): Promise<unknown> {
  for (;;) {
    const { done, value } = await lines.next();
    if (done) throw new Error(`${who} ended before its answer: see what it said above`);
    if (value.startsWith("{")) return JSON.parse(value);
  }
}

/** Runs `use` with a fresh redis-server. */
export async function withRedis<T>(args: readonly string[], use: (server: RedisServer) => Promise<T>): Promise<T> {
  const server = await startRedis({ args });
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

/** Runs one part in a process of its own, Redis' counters around it; per task where the part has a count. */
export async function measured(
  subject: string,
  runtime: Runtime,
  server: RedisServer,
  step: Step,
): Promise<{ readonly versions: string; readonly figures: Figures }> {
  const child = await Child.start(subject, runtime, server, step);
  try {
    const before = await countersOf(server);
    const own = await child.run();
    const redis = difference(before, await countersOf(server), own.count ?? step.options.count);
    return { versions: child.versions, figures: { ...own, ...redis } };
  } finally {
    await child.end();
  }
}
