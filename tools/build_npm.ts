/**
 * Builds the npm package: `deno run -A tools/build_npm.ts [folder]` (task `npm`) prints the path of the tarball.
 *
 * `deno pack` makes JavaScript and declarations of what deno.json exports and publishes. What it knows nothing of is put
 * right here: the manifest (from package.json, with ranges in place of our pins), the command, the runtime in its first
 * line. Then it is looked through, since what is wrong in a published version stays wrong: every package that a file
 * imports is declared, every package declared is imported, and nothing of this machine is in it.
 *
 * Rejected: tsc, which would need a second list of entry points and of files.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { tmpdir } from "node:os";
import { join, relative, resolve, sep } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMMAND = "cli.js";
const DISPOSE = "/** Closes it. */ [Symbol.asyncDispose](): Promise<void>;";
const SOURCE = /(?<!\.d)\.ts$/;
/** What package.json says about the package itself; the rest of it is about this checkout. */
const KEPT = ["description", "keywords", "license", "engines"] as const;

/** The parts of a manifest that are looked at here. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

/**
 * Builds the tarball in `folder` and returns its path.
 *
 * Throws when a program that it needs (deno, tar, npm) is missing or fails, and when the package must not be published
 * as it is, with everything that is wrong.
 */
export async function buildNpm(folder: string): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), "errand-npm-"));
  try {
    const raw = join(work, "raw.tgz");
    // Source maps would repeat every source, and name the folder that it was built in.
    await run("deno", ["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", raw], ROOT);
    await run("tar", ["-xzf", raw, "-C", work], ROOT);
    const built = join(work, "package");
    removeSources(built);
    restoreDispose(built);
    finish(built);
    const wrong = findFaults(readFiles(built), ROOT);
    if (wrong.length > 0) throw new Error(`Cannot build the npm package:\n${wrong.join("\n")}`);
    mkdirSync(folder, { recursive: true });
    const said = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", resolve(folder)], built);
    return join(resolve(folder), JSON.parse(said)[0].filename);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** `deno pack` adds what it is told to publish and no export reaches, as it is: a source that nobody could load. */
function removeSources(folder: string): void {
  for (const path of readFiles(folder).keys()) if (SOURCE.test(path)) rmSync(join(folder, path));
}

/** Writes the manifest, and the runtime of the command, into an unpacked package. */
function finish(folder: string): void {
  const packed = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const own = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifestOf(packed, own), null, 2) + "\n");
  const command = readFileSync(join(folder, COMMAND), "utf8");
  // npm and bun start a command by its first line.
  writeFileSync(join(folder, COMMAND), command.replace(/^#!.*\n/, "#!/usr/bin/env node\n"));
}

/** `deno pack` keeps that a class implements AsyncDisposable, and loses the method by which it does. */
function restoreDispose(folder: string): void {
  for (const [path, text] of readFiles(folder)) {
    if (!path.endsWith(".d.ts") || text.includes("[Symbol.asyncDispose]")) continue;
    const whole = text.replaceAll(/(declare class [^{]*\bimplements AsyncDisposable \{)/g, `$1\n  ${DISPOSE}`);
    writeFileSync(join(folder, path), whole);
  }
}

/** The manifest to publish, from the one of `deno pack` and package.json. */
export function manifestOf(packed: Record<string, unknown>, own: Record<string, unknown>): Record<string, unknown> {
  const { peerDependencies, peerDependenciesMeta } = own;
  return {
    ...packed,
    ...Object.fromEntries(KEPT.map((key) => [key, own[key]])),
    bin: { errand: `./${COMMAND}` },
    sideEffects: [`./${COMMAND}`],
    dependencies: rangesOf(own.dependencies as Record<string, string>),
    ...(peerDependencies === undefined ? {} : { peerDependencies, peerDependenciesMeta }),
  };
}

/** Pins are for this checkout; whoever installs the package shall get corrections of what it stands on. */
function rangesOf(pins: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(pins).map(([name, version]) => [name, `^${version}`]));
}

/** What must not be published, one sentence each; `files` is path → text, `root` the folder that it was built in. */
export function findFaults(files: ReadonlyMap<string, string>, root: string): string[] {
  const manifest: Manifest = JSON.parse(files.get("package.json") ?? "{}");
  return [
    ...findMissing(files, manifest),
    ...findUndeclared(files, manifest),
    ...[...files].flatMap(([path, text]) => findStrays(path, text, root)),
  ];
}

function findMissing(files: ReadonlyMap<string, string>, manifest: Manifest): string[] {
  const targets = Object.values(manifest.exports).flatMap(({ types, default: code }) => [types, code]);
  const wanted = [...targets, ...Object.values(manifest.bin), "./README.md", "./LICENSE", "./CHANGELOG.md"];
  return wanted.filter((path) => !files.has(path.slice(2))).map((path) => `${path} is missing`);
}

function findUndeclared(files: ReadonlyMap<string, string>, manifest: Manifest): string[] {
  const { dependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest;
  const imported = new Map<string, string>();
  for (const [path, text] of files) {
    if (!/\.(js|d\.ts)$/.test(path)) continue;
    for (const name of packagesOf(withoutComments(text))) imported.set(name, path);
  }
  const declared = Object.keys({ ...dependencies, ...peerDependencies });
  const undeclared = [...imported].filter(([name]) => !declared.includes(name));
  return [
    ...undeclared.map(([name, path]) => `${path} imports ${name}, which package.json does not declare for users`),
    ...declared.filter((name) => !imported.has(name) && !isNamed(name, files)).map((name) =>
      `${name} is declared, and nothing imports it`
    ),
    ...Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
      .map((name) => `${name} is a peer that is not optional`),
  ];
}

/** Is it a text in some file, as where the specifier of an import is a variable? */
function isNamed(name: string, files: ReadonlyMap<string, string>): boolean {
  return [...files].some(([path, text]) => path.endsWith(".js") && text.includes(`"${name}"`));
}

/** Whole statements, since a message may show one. */
const STATIC = /^(?:import|export)\s+(?:[\w*{][^;"'=()]*\sfrom\s+)?["']([^."'][^"']*)["'];/gm;
const DYNAMIC = /\bimport\(\s*["']([^."'][^"']*)["']/g;

/** The packages that a file imports, by `from "…"` or `import("…")`; built-in modules are none. */
function packagesOf(code: string): string[] {
  const found = [...code.matchAll(STATIC), ...code.matchAll(DYNAMIC)].map(([, specifier]) => specifier!);
  return found.filter((specifier) => !specifier.startsWith("node:") && !builtinModules.includes(specifier))
    .map((specifier) => specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/"));
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

function findStrays(path: string, text: string, root: string): string[] {
  const strays: readonly (readonly [boolean, string])[] = [
    [/(^|\/)(tests?|tools|bench|node_modules)\//.test(path) || /_test\./.test(path), "is not for users"],
    [SOURCE.test(path), "is a source"],
    [text.includes(root) || text.includes("file:///"), "names a folder of this machine"],
    [/\bregistry\.[a-z]/.test(text), "names a registry"],
    [text.includes("sourceMappingURL"), "has a source map"],
  ];
  return strays.filter(([is]) => is).map(([, what]) => `${path} ${what}`);
}

/** The files of a folder: path from it → text. */
function readFiles(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  // `parentPath` came with Node 20.12.
  const paths = files.map((entry) => join(entry.parentPath ?? (entry as unknown as { path: string }).path, entry.name));
  return new Map(paths.map((path) => [relative(folder, path).split(sep).join("/"), readFileSync(path, "utf8")]));
}

async function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, NO_COLOR: "1" };
  try {
    return (await promisify(execFile)(program, [...args], { cwd, env, maxBuffer: 1 << 26 })).stdout;
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    throw new Error(`Cannot build the npm package: ${program} ${args[0]} failed\n${stderr ?? ""}`, { cause });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(await buildNpm(process.argv[2] ?? "."));
}
