/**
 * Which types survive which serializer: the samples behind the table of docs/serializers.md.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import type { Serializer, ValueContext } from "../../mod.ts";

const CONTEXT: ValueContext = { id: "t", name: "types", part: "params" };

/** One row: what it is, a sample, and whether what came back is the same. */
interface Sample {
  readonly type: string;
  readonly value: unknown;
  same?(after: unknown): boolean;
}

class Point {
  x = 1;
}

const shared = { s: 1 };
const cycle: Record<string, unknown> = { a: 1 };
cycle.self = cycle;
const error = Object.assign(new RangeError("m", { cause: { why: 1 } }), { code: "E1" });

const isError = (after: unknown): after is typeof error =>
  after instanceof RangeError && after.name === "RangeError" && after.message === "m";

/** All samples, as the page lists them. */
export const SAMPLES: readonly Sample[] = [
  { type: "text, number, boolean, `null`, array, plain object", value: ["é𝄞", 1.5, true, null, { a: [1] }] },
  { type: "text with half a surrogate pair", value: "a\ud800" },
  { type: "`undefined` as a member", value: undefined },
  { type: "`undefined` in an array", value: [1, undefined] },
  { type: "hole in an array", value: [1, , 3], same: (after) => Array.isArray(after) && !(1 in after) },
  { type: "`NaN`, `Infinity`", value: NaN },
  { type: "`-0`", value: -0, same: (after) => Object.is(after, -0) },
  { type: "bigint", value: 2n ** 70n },
  { type: "`Date`", value: new Date(5) },
  { type: "`Map`", value: new Map([["a", 1]]) },
  { type: "`Set`", value: new Set([1, "a"]) },
  { type: "`RegExp`", value: /a\/b/gi, same: (after) => after instanceof RegExp && String(after) === "/a\\/b/gi" },
  { type: "`Uint8Array` and other typed arrays", value: new Uint8Array([1, 2, 255]) },
  { type: "`ArrayBuffer`", value: new Uint8Array([1, 2]).buffer },
  { type: "`URL`", value: new URL("https://a.b/c"), same: (after) => after instanceof URL && after.pathname === "/c" },
  { type: "error: class and message", value: error, same: isError },
  { type: "error: `code`", value: error, same: (after) => isError(after) && after.code === "E1" },
  {
    type: "error: `cause`",
    value: error,
    same: (after) => isError(after) && isDeepStrictEqual(after.cause, { why: 1 }),
  },
  { type: "the same object twice", value: [shared, shared], same: isPair },
  { type: "cycle", value: cycle, same: (after) => (after as typeof cycle)?.self === after },
  { type: "instance of your class", value: new Point(), same: (after) => after instanceof Point },
  {
    type: "object without prototype",
    value: Object.assign(Object.create(null), { a: 1 }),
    same: (after) => Object.getPrototypeOf(after) === null,
  },
  { type: "function, symbol", value: () => 1 },
  { type: "`Promise`, `Blob`, `WeakMap`", value: new WeakMap() },
];

function isPair(after: unknown): boolean {
  return Array.isArray(after) && after[0] === after[1];
}

/** What becomes of a sample, in the words of the page. */
export async function fateOf(serializer: Serializer, sample: Sample): Promise<string> {
  let after: { v?: unknown };
  try {
    const text = await serializer.serialize({ v: sample.value }, CONTEXT);
    after = await serializer.deserialize(text, CONTEXT) as typeof after;
  } catch {
    return "refused";
  }
  if (sample.value === undefined && !("v" in after)) return "left out";
  const isSame = sample.same ?? ((value: unknown) => isDeepStrictEqual(value, sample.value));
  if (isSame(after.v)) return "kept";
  return after.v instanceof Error ? "lost" : `becomes ${nameOf(after.v, sample.value)}`;
}

function nameOf(value: unknown, before: unknown): string {
  if (typeof value === "string") return typeof before === "string" ? "other text" : "text";
  if (value === null || typeof value !== "object") return `\`${String(value)}\``;
  if (!Array.isArray(value)) return "a plain object";
  return value[1] === null || value[1] === undefined ? `\`${String(value[1])}\`` : "two objects";
}
