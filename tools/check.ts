/**
 * The architecture as a test: layers, cycles, runtime names, sizes, documentation and keys.
 *
 * It reads import lines and indentation, which `deno fmt` makes dependable, and needs no parser. The rules are the two
 * tables on top: a file that no layer names is an error, so that a new file gets its place on purpose.
 *
 * `deno run -A tools/check.ts` prints what is wrong and exits with 1; `tests/architecture_test.ts` runs it as a test.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { posix } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { findBlocks } from "./blocks.ts";

/** Which files make up a layer, and on which other layers it may stand. Its own files may always import one another. */
interface Layer {
  readonly name: string;
  readonly files: RegExp;
  readonly on: readonly string[];
}

/** The layers from the user down, as ARCHITECTURE.md draws them. */
export const LAYERS: readonly Layer[] = [
  {
    // It shows records that the queue cannot read, and presence, so it reads below the queue; downwards is allowed.
    name: "cli",
    files: /^(cli\.ts|src\/cli\/.*)$/,
    on: ["mod", "options", "queue", "open store", "store", "memory store", "pure", "runtime"],
  },
  {
    name: "mod",
    files: /^mod\.ts$/,
    on: ["queue", "adapters", "open store", "memory store", "options", "executor", "store", "port", "pure"],
  },
  {
    name: "queue",
    files:
      /^src\/(queue|dead_letters|listening|eviction|calls|cancel|task_desk|remote|runner|take_back|cancel_watch|local_record|submission)\.ts$/,
    on: ["listener", "open store", "memory store", "options", "executor", "store", "port", "pure", "runtime"],
  },
  {
    name: "listener",
    files:
      /^src\/(listener|claim_loop|sleep_at_bell|give_back|suspects|retries|attempt_context|attempt_ending|name_rota|refusals|slots|attempt|attempt_values|unreadable|leases|progress_writer|inbox|waiter|health)\.ts$/,
    on: ["options", "executor", "store", "port", "pure"],
  },
  { name: "options", files: /^src\/(options|events)\.ts$/, on: ["executor", "store", "pure"] },
  { name: "executor", files: /^src\/(executor|policy)\.ts$/, on: ["pure", "runtime"] },
  {
    name: "open store",
    files: /^src\/store\/open\.ts$/,
    on: ["redis store", "memory store", "store", "port", "pure"],
  },
  {
    name: "redis store",
    files: /^src\/store\/redis\//,
    on: ["store", "port", "pure"],
  },
  {
    name: "memory store",
    files: /^src\/store\/memory\//,
    on: ["store", "port", "pure"],
  },
  { name: "store", files: /^src\/store\/(store|foreign|ended)\.ts$/, on: ["port", "pure"] },
  {
    name: "adapters",
    files: /^src\/adapters\//,
    on: ["port", "memory store", "pure", "runtime"],
  },
  { name: "port", files: /^src\/port\//, on: ["pure"] },
  {
    name: "pure",
    files:
      /^src\/(task|record|retry|retry_budget|checks|errors|keys|serializer|json_loss|pollution|now_or_later|clock|alarms|stopper|random|outcome|remote_error|log|repeat|limits|scope|until|run_error|queue_types)\.ts$/,
    on: ["runtime"],
  },
  { name: "serializers", files: /^src\/serializers\//, on: ["pure"] },
  { name: "runtime", files: /^src\/runtime\//, on: [] },
];

/** Where the names of a runtime may occur. */
const RUNTIME_FILES = /^(cli\.ts$|src\/(adapters|runtime|cli|dashboard)\/)/;
const RUNTIME_NAMES = /\b(?:Deno|Bun|process)(?:\?\.|\.\w|\?:)|\bBuffer\b|["']node:/;
/** Where keys may be spelled out: their own file, and the scripts, which build the key of a task from its id. */
const KEY_FILES = /^src\/(keys\.ts$|store\/redis\/)/;
const KEY_TEXT = /\|(?:task-|inbox\||control\|)/;

const MAX_FILE_LINES = 300;
const MAX_FUNCTION_LINES = 50;
const MAX_NESTING = 3;

/** Checks sources, given as path from the root → text, and returns what is wrong, one sentence each. */
export function checkSources(sources: ReadonlyMap<string, string>): string[] {
  const findings: string[] = [];
  const imports = new Map<string, string[]>();
  for (const [path, text] of sources) {
    const code = withoutComments(text);
    imports.set(path, importsOf(path, code));
    findings.push(...checkLayer(path, imports.get(path)!), ...checkNames(path, code));
    findings.push(...checkSizes(path, text, code), ...checkDocumentation(path, text));
  }
  return [...findings, ...findCycles(imports)];
}

/** Reads what {@linkcode checkSources} looks at: mod.ts, cli.ts and all of src. */
export function readSources(root: string): Map<string, string> {
  const names = ["mod.ts", "cli.ts"].filter((name) => readdirSync(root).includes(name));
  for (const entry of readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })) {
    // `parentPath` came with Node 20.12.
    const folder = entry.parentPath ??
      (entry as unknown as { path: string }).path;
    if (entry.isFile() && entry.name.endsWith(".ts")) {
      names.push(relative(root, join(folder, entry.name)));
    }
  }
  return new Map(names.map((name) => [name.split(sep).join("/"), readFileSync(join(root, name), "utf8")]));
}

/** Blanks out comments and keeps the lines. Text in strings stays, `://` in it included. */
function withoutComments(text: string): string {
  return text.replaceAll(
    /\/\*[\s\S]*?\*\//g,
    (comment) => comment.replaceAll(/[^\n]/g, ""),
  )
    .replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}

/** The relative imports of a file, types included, as paths from the root. */
function importsOf(path: string, code: string): string[] {
  const found = code.matchAll(/\b(?:from|import)\s*\(?\s*["'](\.[^"']*)["']/g);
  return [...found].map(([, specifier]) => posix.join(posix.dirname(path), specifier!));
}

function layerOf(path: string): Layer | undefined {
  return LAYERS.find(({ files }) => files.test(path));
}

function checkLayer(path: string, imports: readonly string[]): string[] {
  const layer = layerOf(path);
  if (layer === undefined) {
    return [`${path} belongs to no layer: add it to LAYERS in tools/check.ts`];
  }
  const wrong = imports.filter((target) => {
    const other = layerOf(target);
    return other !== undefined && other !== layer &&
      !layer.on.includes(other.name);
  });
  return wrong.map((target) => `${path} (${layer.name}) must not import ${target} (${layerOf(target)!.name})`);
}

function checkNames(path: string, code: string): string[] {
  const findings: string[] = [];
  code.split("\n").forEach((line, index) => {
    const place = `${path}:${index + 1}`;
    if (!RUNTIME_FILES.test(path) && RUNTIME_NAMES.test(line)) {
      findings.push(`${place} names a runtime outside of adapters, runtime and cli: ${line.trim()}`);
    }
    if (!KEY_FILES.test(path) && KEY_TEXT.test(line)) {
      findings.push(`${place} builds a Redis key outside of src/keys.ts: ${line.trim()}`);
    }
  });
  return findings;
}

function checkSizes(path: string, text: string, code: string): string[] {
  const findings: string[] = [];
  const lines = text.trimEnd().split("\n").length;
  if (lines > MAX_FILE_LINES) {
    findings.push(`${path} has ${lines} lines, more than ${MAX_FILE_LINES}`);
  }
  for (const { first, lines, kind, nesting } of findBlocks(code)) {
    const place = `${path}:${first}`;
    if (kind === "function" && lines > MAX_FUNCTION_LINES) {
      findings.push(`${place} begins a function of ${lines} lines, more than ${MAX_FUNCTION_LINES}`);
    }
    if (kind === "control" && nesting > MAX_NESTING) {
      findings.push(`${place} is nested ${nesting} deep, more than ${MAX_NESTING}`);
    }
  }
  return findings;
}

/** Every export has a JSDoc comment, every file begins with one of its own. */
function checkDocumentation(path: string, text: string): string[] {
  const findings: string[] = [];
  if (!/^(#!.*\n)?\/\*\*/.test(text)) {
    findings.push(`${path} does not begin with a module comment`);
  }
  const lines = text.split("\n");
  const declared = /^export (?:default )?(?:abstract )?(?:async )?(?:function\*?|class|const|let|interface|type) (\w+)/;
  const documented = new Set<string>();
  lines.forEach((line, index) => {
    const name = declared.exec(line)?.[1];
    if (name === undefined) return;
    const before = lines[index - 1] ?? "";
    // An overload's or a type's twin of the same name has its documentation above the first.
    if (
      before.trimEnd().endsWith("*/") ||
      before.startsWith("// deno-lint-ignore")
    ) documented.add(name);
    if (!documented.has(name)) {
      findings.push(`${path}:${index + 1} exports ${name} without a JSDoc comment`);
    }
  });
  return findings;
}

/** Import cycles, each named once. Types count: a cycle of types is a cycle of thoughts. */
function findCycles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const findings = new Set<string>();
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      findings.add(`imports go round: ${[...trail.slice(at), path].join(" → ")}`);
      return;
    }
    if (done.has(path)) return;
    for (const target of imports.get(path) ?? []) {
      visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of imports.keys()) visit(path, []);
  return [...findings];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const root = join(dirname(fileURLToPath(import.meta.url)), "..");
  const findings = checkSources(readSources(root));
  for (const finding of findings) console.error(finding);
  process.exitCode = findings.length > 0 ? 1 : 0;
}
