/**
 * The matrix of clients, runtimes and suites: runs it, prints it, and writes `docs/compatibility.md`.
 *
 *     deno task matrix [client …]     # of some clients: printed only, the page stays as it is
 *
 * Needs Deno, Bun and Node, a redis-server, and about ten minutes. `@db/redis` comes from JSR; where that cannot be
 * reached, `ERRAND_TEST_IMPORT_MAP` names an import map that leads its specifiers to sources.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ClientName } from "../src/adapters/connect.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = join(ROOT, "docs/compatibility.md");
const PATH = [join(ROOT, "tools/node_modules/.bin"), process.env.PATH].join(delimiter);

/** A runtime, as `tools/test.mjs` calls it. */
export type Runtime = "deno" | "bun" | "node";

/** Where each client runs, and the test file in which it is held to the port. */
export const CLIENTS: Readonly<Record<ClientName, { readonly on: readonly Runtime[]; readonly port: string }>> = {
  bun: { on: ["bun"], port: "tests/adapters/bun_test.ts" },
  ioredis: { on: ["deno", "bun", "node"], port: "tests/adapters/ioredis_test.ts" },
  redis: { on: ["deno", "bun", "node"], port: "tests/adapters/node_redis_test.ts" },
  "@db/redis": { on: ["deno"], port: "tests/adapters/db_redis_test.ts" },
};

/** The suites that run over any client, by what they are about. `port` has a file for each client. */
export const SUITES: Readonly<Record<string, readonly string[]>> = {
  port: [],
  store: ["tests/store/redis_store_test.ts"],
  scripts: ["tests/scripts_test.ts"],
  lifecycle: ["tests/lifecycle_test.ts"],
  listener: ["tests/listener_redis_test.ts"],
  faults: [
    "tests/faults_test.ts",
    ...["cluster", "data", "scripts", "states"].map((what) => `tests/faults/redis_${what}_test.ts`),
  ],
};

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** One client on one runtime. */
export interface Row {
  readonly client: ClientName;
  readonly runtime: Runtime;
  /** One for each suite, in their order. */
  readonly counts: readonly Counts[];
}

/** What was run: name → version. */
export type Versions = Readonly<Record<string, string>>;

/** The pairs of clients and runtimes. */
export function pairs(): { readonly client: ClientName; readonly runtime: Runtime }[] {
  const clients = Object.entries(CLIENTS) as [ClientName, { readonly on: readonly Runtime[] }][];
  return clients.flatMap(([client, { on }]) => on.map((runtime) => ({ client, runtime })));
}

/** The versions that this checkout pins: runtimes and clients. */
export function pinned(): Versions {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const runtimes = JSON.parse(readFileSync(join(ROOT, "tools/package.json"), "utf8")).dependencies;
  const source = readFileSync(join(ROOT, "src/adapters/db_redis_module.ts"), "utf8");
  const dbRedis = /"jsr:@db\/redis@([^"]+)"/.exec(source)?.[1] ?? "unknown";
  return {
    ...{ deno: runtimes.deno, bun: runtimes.bun },
    ...{ ioredis: dependencies.ioredis, redis: devDependencies.redis, "@db/redis": dbRedis },
  };
}

/** Runs one suite and reads the last line of `tools/test.mjs`. A suite that says nothing has failed. */
function runSuite(client: ClientName, runtime: Runtime, files: readonly string[]): Counts {
  const env = { ...process.env, PATH, ERRAND_TEST_CLIENT: client };
  const { stdout } = spawnSync("node", ["tools/test.mjs", runtime, ...files], { cwd: ROOT, env, encoding: "utf8" });
  const [, passed, failed] = /(\d+) passed, (\d+) failed\s*$/.exec(stdout) ?? [];
  if (failed !== "0") console.log(stdout);
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 1) };
}

function runRow(client: ClientName, runtime: Runtime): Row {
  const counts = Object.values(SUITES).map((files) =>
    runSuite(client, runtime, files.length === 0 ? [CLIENTS[client].port] : files)
  );
  const row = { client, runtime, counts };
  console.log(cellsOf(row).join("  "));
  return row;
}

function versionOf(program: string): string {
  const { stdout } = spawnSync(program, ["--version"], { env: { ...process.env, PATH }, encoding: "utf8" });
  return /v?[=\s]?v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? "unknown";
}

function runVersions(): Versions {
  const own = Object.fromEntries(["deno", "bun", "node", "redis-server"].map((name) => [name, versionOf(name)]));
  return { ...pinned(), ...own };
}

function cellsOf({ client, runtime, counts }: Row): string[] {
  const numbers = counts.map(({ passed, failed }) => failed === 0 ? `${passed}` : `${passed}, **${failed} failed**`);
  return [`\`${client}\``, runtime, ...numbers];
}

/** The page. */
export function pageOf(rows: readonly Row[], versions: Versions, date: string): string {
  const sum = (part: keyof Counts) => rows.flatMap(({ counts }) => counts).reduce((all, one) => all + one[part], 0);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const names = Object.keys(SUITES);
  const shown = Object.entries(versions).map(([name, version]) => line([`\`${name}\``, version]));
  return `# Compatibility

\`deno task matrix\` wrote this page on ${date}: each client of Redis on each runtime that it supports, tests passed.
${sum("passed")} passed, ${sum("failed")} failed.

${line(["client", "runtime", ...names])}
${line(["---", "---", ...names.map(() => "--:")])}
${rows.map((row) => line(cellsOf(row))).join("\n")}

| what | version |
| --- | --- |
${shown.join("\n")}

The client \`bun\` is the one built into Bun. \`@db/redis\` works on Deno only; it comes from JSR, and was run from its
released sources through an import map, since it is not installed with errand.

| suite | what it holds every client to |
| --- | --- |
| port | answers in order, errors as values, nothing run twice, broken and frozen connections, subscriptions, processes that end |
| store | the verbs of the store, the same as the memory store has |
| scripts | the scripts in Redis: steps, wrong types, what they leave |
| lifecycle | queues and listeners from question to answer, over real connections |
| listener | claims, bells, leases, drains |
| faults | a Redis that dies, loses data, fails over, is full, busy, loading, read-only, of a cluster; listeners that are killed |

\`.ci/run\` runs every suite with the default client of each runtime (\`bun\` on Bun, \`ioredis\` on Node and, where
\`@db/redis\` cannot be imported, on Deno), and the port suite with every client that can be imported.
`;
}

function main(chosen: readonly string[]): void {
  const rows = pairs()
    .filter(({ client }) => chosen.length === 0 || chosen.includes(client))
    .map(({ client, runtime }) => runRow(client, runtime));
  const failed = rows.flatMap(({ counts }) => counts).some((counts) => counts.failed > 0);
  if (chosen.length === 0) {
    writeFileSync(PAGE, pageOf(rows, runVersions(), new Date().toISOString().slice(0, 10)));
    spawnSync("deno", ["fmt", "--quiet", PAGE], { cwd: ROOT, env: { ...process.env, PATH } });
  }
  process.exitCode = failed ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
