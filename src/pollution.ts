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
  if (json.includes("\\u")) return true;
  // Both names hold it: one look settles most texts.
  if (!json.includes("proto")) return false;
  return json.includes("__proto__") || (json.includes('"constructor"') && json.includes('"prototype"'));
}

/** Walks through objects, arrays, maps, sets and causes, cycles included; throws a `TypeError` at the first such member. */
export function refusePollution(value: unknown, isRefused: typeof isPolluting = isPolluting): void {
  const seen = new Set<unknown>();
  const open = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== "object" || next === null || ArrayBuffer.isView(next) || seen.has(next)) continue;
    seen.add(next);
    if (next instanceof Map) addAll(open, [...next.keys(), ...next.values()], isRefused);
    else if (next instanceof Set) addAll(open, [...next], isRefused);
    else if (next instanceof Error) addAll(open, [next.cause], isRefused);
    for (const key of Object.keys(next)) {
      const member = (next as Record<string, unknown>)[key];
      if (isRefused(key, member)) throw refused(key);
      if (typeof member === "object" && member !== null) open.push(member);
    }
  }
}

/** What stands in an object without a key of its own. */
function addAll(open: unknown[], members: readonly unknown[], isRefused: typeof isPolluting): void {
  for (const member of members) isRefused("", member);
  open.push(...members);
}

function refused(key: string): TypeError {
  const what = key === "constructor" ? 'a "constructor" with a "prototype"' : `the key ${JSON.stringify(key)}`;
  return new TypeError(`${what} is refused: merged into another object it would change its prototype`);
}
