/**
 * Makes a fresh machine ready: the packages, the three runtimes, a redis-server, redis-py and the model checker. Plain
 * JavaScript, since it runs before anything is installed; `node tools/setup.mjs`, `deno run -A tools/setup.mjs` or `bun tools/setup.mjs`.
 *
 * It looks first and installs only what is missing, so that it costs a fraction of a second once all is there.
 * A redis-server or a redis-py that cannot be had is said, and is no failure: the demo then uses the memory store.
 * `--no-runtimes` leaves out tools/ and Node 22 (for people who have Deno or Bun and want only that).
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TOOLS = join(ROOT, "tools");
/** Debian's own, for which apt-get installs packages; another may stand first on PATH. */
const python = () => existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
const NODE_22 = join(TOOLS, "node22");

/** Is every package of the folder's lock file installed in its locked version? Packages for other platforms do not count. */
export function isInstalled(folder) {
  const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  return Object.entries(packages).every(([path, { version, optional }]) => {
    if (path === "") return true;
    const manifest = join(folder, path, "package.json");
    if (!existsSync(manifest)) return optional === true;
    return JSON.parse(readFileSync(manifest, "utf8")).version === version;
  });
}

/** Runs a program, its output passed on to standard error; true when it ended well. */
function run(program, args, cwd = ROOT) {
  const { status } = spawnSync(program, args, { cwd, stdio: ["ignore", 2, 2], env: environment() });
  return status === 0;
}

function answers(program, args = ["--version"]) {
  return spawnSync(program, args, { stdio: "ignore", timeout: 20_000, env: environment() }).status === 0;
}

/** The runtimes of tools/ stand behind those that the machine has. */
function environment() {
  return { ...process.env, PATH: [process.env.PATH, join(TOOLS, "node_modules", ".bin")].join(delimiter) };
}

function say(text) {
  console.error(`set-up: ${text}`);
}

function installPackages() {
  // Deno lays its packages out under node_modules/.deno, where the lock's paths say nothing.
  if (existsSync(join(ROOT, "node_modules", ".deno")) || isInstalled(ROOT)) {
    return true;
  }
  say("installing packages …");
  const installers = [["npm", ["ci", "--no-audit", "--no-fund"]], ["deno", [
    "install",
  ]], ["bun", ["install", "--no-save"]]];
  const [program, args] = installers.find(([name]) => answers(name)) ?? [];
  if (program === undefined) return fail("needs npm, deno or bun");
  return run(program, args) ||
    fail(`\`${program} ${args.join(" ")}\` did not succeed`);
}

function installRuntimes() {
  if (
    isInstalled(TOOLS) &&
    answers(join(TOOLS, "node_modules", ".bin", "deno")) &&
    answers(join(TOOLS, "node_modules", ".bin", "bun"))
  ) {
    return true;
  }
  say("installing Deno and Bun into tools/ …");
  return run("npm", ["ci", "--no-audit", "--no-fund", "--foreground-scripts"], TOOLS) ||
    fail("`npm ci --prefix tools` did not succeed");
}

/** Node 22, for the tests that walk every road; npm has none for some platforms, which is said and is no failure. */
function installNode22() {
  const node = join(NODE_22, "node_modules", ".bin", "node");
  if (isInstalled(NODE_22) && answers(node)) return;
  say("installing Node 22 into tools/node22 …");
  run("npm", ["ci", "--no-audit", "--no-fund"], NODE_22);
  if (!answers(node)) say(`there is no Node 22 for ${process.platform} ${process.arch} on npm: its tests do not run`);
}

/** What apt-get installs where it is missing: how that is told, and what goes without it. */
const SYSTEM = [
  {
    name: "redis-server",
    isHere: () => answers("redis-server"),
    without: "the demo uses the memory store, and the tests that need Redis will fail",
  },
  {
    name: "python3-redis",
    isHere: () => answers(python(), ["-c", "import redis"]),
    without: "the tests of other languages will fail; install redis-py for Python 3 (`import redis` must work)",
  },
  {
    name: "spin",
    isHere: () => answers("spin", ["-V"]),
    without: "the models of tests/spin are not searched, and `deno task spin` fails",
  },
  {
    name: "tcc",
    isHere: () => answers("tcc", ["-v"]) && existsSync("/usr/include/stdio.h"),
    // What tcc compiles against comes with a recommended package.
    packages: ["tcc", "libc6-dev"],
    without: "`deno task spin` needs a C compiler: tcc or gcc",
  },
];

function installSystem() {
  const missing = SYSTEM.filter(({ isHere }) => !isHere());
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  say(`no ${names.join(" and no ")} here, installing with apt-get …`);
  const root = typeof process.getuid === "function" && process.getuid() === 0;
  const apt = (...args) => root ? run("apt-get", args) : run("sudo", ["-n", "apt-get", ...args]);
  // Only the programs are wanted: whether a package could start a service of its own is not asked.
  process.env.DEBIAN_FRONTEND = "noninteractive";
  apt("update", "-qq");
  for (const { name, packages = [name], isHere, without } of missing) {
    apt("install", "-y", "-qq", "--no-install-recommends", ...packages);
    if (!isHere()) say(`${name} could not be installed: ${without}`);
  }
}

function fail(text) {
  say(text);
  return false;
}

function main(args) {
  const withRuntimes = !args.includes("--no-runtimes");
  const ready = installPackages() && (!withRuntimes || installRuntimes());
  if (withRuntimes) installNode22();
  installSystem();
  if (!ready) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main(process.argv.slice(2));
}
