/**
 * Loads the module that holds a user's handlers.
 *
 * TypeScript is loaded by the runtime itself: Deno and Bun do, Node needs tsx (or a version that strips types), so
 * there the import is tried and its refusal put into words. Rejected: compiling it ourselves, which would make a
 * compiler a dependency of a queue.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { TaskFn, TaskFns } from "../task.ts";
import { usageError } from "./exit_codes.ts";
import { closest } from "./closest.ts";

/**
 * The default export of a module: one `taskFn`, or a map of name → function.
 *
 * @throws {CliError} (usage) when it cannot be loaded or exports something else.
 */
export async function loadTaskFns(module: string): Promise<TaskFns> {
  const loaded = await importModule(module);
  const found = unwrapCommonJs(loaded.default);
  if (typeof found === "function") return found as TaskFn;
  if (isMapOfFunctions(found)) return found;
  throw usageError(
    `Cannot use ${module}: its default export must be a function or a map of name to function, not ${kindOf(found)}`,
  );
}

/**
 * The names to listen to: those asked for, or all of the map.
 *
 * @throws {CliError} (usage) when a name has no function, or when there is one function and no names.
 */
export function namesToListen(taskFns: TaskFns, asked: readonly string[] | undefined): readonly string[] {
  if (typeof taskFns === "function") {
    if (asked === undefined) throw usageError("Cannot listen without --names: the module exports one function for all");
    return asked;
  }
  const known = Object.keys(taskFns);
  for (const name of asked ?? []) {
    if (Object.hasOwn(taskFns, name)) continue;
    const guess = closest(name, known);
    const hint = guess === undefined ? `it has ${known.join(", ")}` : `did you mean "${guess}"?`;
    throw usageError(`Cannot listen to "${name}": the module has no such function, ${hint}`);
  }
  return asked ?? known;
}

async function importModule(module: string): Promise<{ default?: unknown }> {
  const isUrl = /^[a-z]{2,}:/i.test(module);
  const path = resolve(process.cwd(), module);
  if (!isUrl && !existsSync(path)) throw usageError(`Cannot load ${module}: there is no file ${path}`);
  try {
    return await import(isUrl ? module : pathToFileURL(path).href);
  } catch (cause) {
    throw usageError(`Cannot load ${module}: ${loadFailure(cause)}`, { cause });
  }
}

function loadFailure(cause: unknown): string {
  const code = (cause as { code?: unknown } | null)?.code;
  if (code === "ERR_UNKNOWN_FILE_EXTENSION") {
    return "this version of Node runs .js and .mjs only. For TypeScript use `bunx --bun errand`, " +
      '`deno run -A npm:@errand/errand`, NODE_OPTIONS="--import tsx" (`node --import tsx`), or Node 22.18 and later';
  }
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
}

/** A TypeScript file that its loader took for CommonJS has its default export one floor deeper. */
function unwrapCommonJs(found: unknown): unknown {
  const wrapped = typeof found === "object" && found !== null && "__esModule" in found && "default" in found;
  return wrapped ? found.default : found;
}

function isMapOfFunctions(found: unknown): found is Readonly<Record<string, TaskFn>> {
  if (typeof found !== "object" || found === null) return false;
  const values = Object.values(found);
  return values.length > 0 && values.every((value) => typeof value === "function");
}

function kindOf(found: unknown): string {
  if (found === undefined) return "nothing (there is none)";
  if (found === null) return "null";
  if (typeof found !== "object") return `a ${typeof found}`;
  const odd = Object.entries(found).find(([, value]) => typeof value !== "function");
  return odd === undefined ? "an empty map" : `a map in which "${odd[0]}" is no function`;
}
