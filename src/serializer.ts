/**
 * How params and results become text. JSON by default; any other codec plugs in as three members.
 *
 * A serialized value is written `<name>=<text>`, and `undefined`, which JSON has no word for, `<name>-`: the name
 * travels with the value, so that a mixed fleet can tell which codec it needs (`docs/wire.md`).
 *
 * @module
 */
import { SerializationError } from "./errors.ts";
import { byteLength } from "./record.ts";

/**
 * Turns values into text and back. Binary codecs return base64.
 *
 * @example
 * ```ts
 * import type { Serializer } from "errand";
 *
 * const dates: Serializer = {
 *   name: "dates",
 *   serialize: (value) => JSON.stringify({ value, isDate: value instanceof Date }),
 *   deserialize: (text) => {
 *     const { value, isDate } = JSON.parse(text);
 *     return isDate ? new Date(value) : value;
 *   },
 * };
 * ```
 */
export interface Serializer {
  /** 1 to 32 of `a-z 0-9 . _ / +`; stored with every value. */
  readonly name: string;
  /** Turns a value (never `undefined`) into text; throws when it cannot. */
  serialize(value: unknown): string;
  /** The inverse of {@linkcode serialize}. */
  deserialize(text: string): unknown;
}

/** The default serializer: JSON, with `__proto__` keys refused. */
export const jsonSerializer: Serializer = {
  name: "json",
  serialize(value: unknown): string {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof value}`);
    if (text.includes('"__proto__":')) throw new TypeError('the key "__proto__" is refused');
    return text;
  },
  deserialize(text: string): unknown {
    return text.includes("__proto__") ? JSON.parse(text, refuseProto) : JSON.parse(text);
  },
};

/** `JSON.parse` makes an own `__proto__` key, which a later `Object.assign` would apply (prototype pollution). */
function refuseProto(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new TypeError('the key "__proto__" is refused');
  return value;
}

/** Bytes that a serialized value may have unless said otherwise: 1 MiB. Larger ones hold Redis, and everybody else, for too long. */
export const VALUE_LIMIT = 1_048_576;

/** Refuses a serialized value of more than `limit` bytes with a `RangeError` naming `what`, its size and the limit. */
export function refuseLarge(text: string, what: string, limit: number = VALUE_LIMIT): void {
  // A character is one to three bytes: most values need no counting.
  if (text.length * 3 <= limit) return;
  const bytes = byteLength(text);
  if (bytes <= limit) return;
  throw new RangeError(
    `Cannot store ${what}: its ${bytes} bytes are more than the limit of ${limit}; store it elsewhere and pass where`,
  );
}

/** Writes a value as `<name>=<text>` or `<name>-`. Throws {@linkcode SerializationError} naming `what`. */
export function encodeValue(serializer: Serializer, value: unknown, what: string): string {
  if (value === undefined) return `${serializer.name}-`;
  try {
    return `${serializer.name}=${serializer.serialize(value)}`;
  } catch (cause) {
    throw new SerializationError(
      `Cannot serialize ${what} with "${serializer.name}": ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Reads what {@linkcode encodeValue} wrote, with whichever of the serializers wrote it. */
export function decodeValue(serializers: ReadonlyMap<string, Serializer>, text: string, what: string): unknown {
  const end = text.search(/[=-]/);
  const name = end < 0 ? text.slice(0, 32) : text.slice(0, end);
  const serializer = serializers.get(name);
  if (serializer === undefined) {
    throw new SerializationError(
      `Cannot read ${what}: no serializer named "${name}" here, only ${[...serializers.keys()].join(", ")}`,
    );
  }
  if (text[end] === "-") return undefined;
  try {
    return serializer.deserialize(text.slice(end + 1));
  } catch (cause) {
    throw new SerializationError(`Cannot read ${what} with "${name}": ${messageOf(cause)}`, { cause });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
