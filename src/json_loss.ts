/**
 * What JSON would lose without a word: a Map, a Set, an Error or bytes become `{}`, functions and symbols vanish. The
 * caller hears of it instead of the handler, which would get less than was sent.
 *
 * It runs after `JSON.stringify`, which has proved that there are no cycles, and costs a tenth to a half of it (a
 * replacer function: three to four times as much). Members of `undefined`, `NaN` and symbol keys are left to JSON's
 * rules, and so are instances of user classes, which are sent as their own fields.
 *
 * @module
 */

/** Where something is lost, as it is written in code (`.users[3]`), and what. */
export interface Loss {
  readonly path: string;
  readonly what: string;
}

/** What `Object.prototype.toString` says of objects that JSON writes as they are. */
const WRITTEN: ReadonlySet<string> = new Set(["Object", "String", "Number", "Boolean", "Arguments"]);

/** Deeper values run into the end of the stack, sooner on one runtime than on another. */
const DEPTH_MAX = 1_000;

/**
 * The first thing that JSON would lose, or null; throws a `RangeError` for a value that is nested too deep. `seen`: for a value that JSON has refused already, to find where; its
 * bigints count then, and its cycles end.
 */
export function findLoss(value: unknown, seen?: Set<object>, depth = 0): Loss | null {
  if (typeof value !== "object") return isLost(value, seen !== undefined) ? lost(typeof value) : null;
  if (value === null || seen?.has(value)) return null;
  seen?.add(value);
  if (depth > DEPTH_MAX) {
    throw new RangeError(
      `it is nested more than ${DEPTH_MAX} deep; send it flat, for example as a list with references`,
    );
  }
  if (Array.isArray(value)) return findInArray(value, seen, depth + 1);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return null;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    if (!WRITTEN.has(tag)) return lost(tag);
  }
  return findInObject(value as Record<string, unknown>, seen, depth + 1);
}

function findInArray(value: readonly unknown[], seen: Set<object> | undefined, depth: number): Loss | null {
  for (let index = 0; index < value.length; index += 1) {
    const member = value[index];
    if (typeof member === "string" || typeof member === "number") continue;
    const loss = findLoss(member, seen, depth);
    if (loss !== null) return { ...loss, path: `[${index}]${loss.path}` };
  }
  return null;
}

function findInObject(
  value: Readonly<Record<string, unknown>>,
  seen: Set<object> | undefined,
  depth: number,
): Loss | null {
  for (const key in value) {
    const member = value[key];
    if (typeof member === "string" || typeof member === "number") continue;
    const loss = findLoss(member, seen, depth);
    if (loss !== null) return { ...loss, path: `${step(key)}${loss.path}` };
  }
  return null;
}

function isLost(value: unknown, wasRefused: boolean): boolean {
  return typeof value === "function" || typeof value === "symbol" || (wasRefused && typeof value === "bigint");
}

function lost(what: string): Loss {
  return { path: "", what };
}

function step(key: string): string {
  return /^[a-z_$][\w$]{0,63}$/i.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 64))}]`;
}
