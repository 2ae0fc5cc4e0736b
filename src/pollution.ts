/**
 * The two keys by which data reaches a prototype once somebody merges it into another object: an own `__proto__`, and
 * a `constructor` with a `prototype` in it. Values that have them are refused on the way in and on the way out.
 *
 * A `constructor` that is a text, a number or an object without `prototype` is data like any other.
 *
 * Rejected: dropping such keys. Nobody sends them by accident, so the sender or the reader wants to hear of it.
 *
 * @module
 */

/** Does this member reach a prototype? */
export function isPolluting(key: string, value: unknown): boolean {
  if (key === "__proto__") return true;
  return key === "constructor" && typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}

/** A reviver for `JSON.parse` that throws a `TypeError` at the first such member. */
export function refuseMember(key: string, value: unknown): unknown {
  if (isPolluting(key, value)) throw refused(key);
  return value;
}

/** May this JSON hold such a member? An escaped letter may be part of its name. Most texts are settled by this look. */
export function isSuspicious(json: string): boolean {
  return json.includes("__proto__") || (json.includes('"constructor"') && json.includes('"prototype"')) ||
    json.includes("\\u");
}

/** Walks through objects, arrays, maps, sets and causes, cycles included; throws a `TypeError` at the first such member. */
export function refusePollution(value: unknown, isRefused: typeof isPolluting = isPolluting): void {
  const seen = new Set<unknown>();
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || ArrayBuffer.isView(next) || seen.has(next)) continue;
    seen.add(next);
    for (const [key, member] of membersOf(next)) {
      if (isRefused(key, member)) throw refused(key);
      if (typeof member === "object") open.push(member);
    }
  }
}

/** Entries of a map have no key that an object could get. */
function membersOf(value: object): Iterable<[string, unknown]> {
  if (value instanceof Map) return [...value].flatMap(([key, member]) => [["(map)", key], ["(map)", member]]);
  if (value instanceof Set) return [...value].map((member) => ["(set)", member]);
  if (value instanceof Error) return [...Object.entries(value), ["cause", value.cause]];
  return Object.entries(value);
}

function refused(key: string): TypeError {
  const what = key === "constructor" ? 'a "constructor" with a "prototype"' : `the key ${JSON.stringify(key)}`;
  return new TypeError(`${what} is refused: merged into another object it would change its prototype`);
}
