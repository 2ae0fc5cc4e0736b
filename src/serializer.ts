/**
 * How params and results become text. JSON by default; any other codec plugs in as three members.
 *
 * A serialized value is written `<name>=<text>`, and `undefined`, which JSON has no word for, `<name>-`: the name
 * travels with the value, so that a mixed fleet can tell which codec it needs (`docs/wire.md`, `docs/serializers.md`).
 *
 * A codec may answer later; one that never does is given up after {@linkcode CODEC_LIMIT}.
 *
 * @module
 */
import { type Clock, systemClock } from "./clock.ts";
import { SerializationError } from "./errors.ts";
import { findLoss } from "./json_loss.ts";
import { isLater, type NowOrLater } from "./now_or_later.ts";
import { isSuspicious, refuseMember } from "./pollution.ts";
import { byteLength } from "./record.ts";

/** Which value is read or written. A codec that encrypts ties its text to it, so that values cannot be swapped. */
export interface ValueContext {
  /** The id of the task. */
  readonly id: string;
  /** The name of the task. */
  readonly name: string;
  /** What goes in, or what comes out. */
  readonly part: "params" | "result";
}

/**
 * Turns values into text and back. Binary codecs return base64.
 *
 * @example
 * ```ts
 * import type { Serializer } from "@errand/errand";
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
  /** Turns a value (never `undefined`) into text, now or later; throws or rejects when it cannot. */
  serialize(value: unknown, context: ValueContext): string | Promise<string>;
  /** The inverse of {@linkcode serialize}; a promise is waited for. */
  deserialize(text: string, context: ValueContext): unknown;
}

/** The default serializer, which answers at once. */
export interface JsonSerializer extends Serializer {
  /** `JSON.stringify`; throws a `TypeError` for what JSON would lose (a Map, a function, a bigint) and for `__proto__`. */
  serialize(value: unknown): string;
  /** `JSON.parse`; throws for what is no JSON and for `__proto__`. */
  deserialize(text: string): unknown;
}

/** The default serializer: JSON. What it would lose, and keys that reach a prototype, are refused. */
export const jsonSerializer: JsonSerializer = {
  name: "json",
  serialize(value: unknown): string {
    const text = stringify(value);
    if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof value}`);
    refuseLoss(value);
    if (isSuspicious(text)) JSON.parse(text, refuseMember);
    return text;
  },
  deserialize(text: string): unknown {
    return isSuspicious(text) ? JSON.parse(text, refuseMember) : JSON.parse(text);
  },
};

function stringify(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) as string | undefined;
  } catch (error) {
    refuseLoss(value, new Set());
    throw error;
  }
}

function refuseLoss(value: unknown, seen?: Set<object>): void {
  const loss = findLoss(value, seen);
  if (loss === null) return;
  const { path, what } = loss;
  throw new TypeError(
    `JSON has no form for a ${what}${path === "" ? "" : ` (at ${path})`}; ` +
      "send plain data, or use a serializer that has one, such as @errand/errand/devalue",
  );
}

/** Bytes that a serialized value may have unless said otherwise: 1 MiB. Larger ones hold Redis, and everybody else, for too long. */
export const VALUE_LIMIT = 1_048_576;

/** Milliseconds after which a codec that has not answered is given up. */
export const CODEC_LIMIT = 30_000;

/** Refuses a serialized value of more than `limit` bytes with a `RangeError` naming `what`, its size and the limit. */
export function refuseLarge(text: string, what: ValueContext, limit: number = VALUE_LIMIT): void {
  // A character is one to three bytes: most values need no counting.
  if (text.length * 3 <= limit) return;
  const bytes = byteLength(text);
  if (bytes <= limit) return;
  throw new RangeError(
    `Cannot store ${
      nameValue(what)
    }: its ${bytes} bytes are more than the limit of ${limit}; store it elsewhere and pass where`,
  );
}

/** What values are written and read with. */
export interface Codecs {
  /** Writes. */
  readonly serializer: Serializer;
  /** All that a value may have been written with, by name. */
  readonly serializers: ReadonlyMap<string, Serializer>;
  /** Measures {@linkcode CODEC_LIMIT}. @default the machine's */
  readonly clock?: Clock;
}

/** The value in words: "the params of task 7". */
export function nameValue({ id, part }: ValueContext): string {
  return `the ${part} of task ${id}`;
}

/** Writes a value as `<name>=<text>` or `<name>-`. Throws, or rejects with, {@linkcode SerializationError}. */
export function encodeValue(codecs: Codecs, value: unknown, context: ValueContext): NowOrLater<string> {
  const { serializer } = codecs;
  if (value === undefined) return `${serializer.name}-`;
  let text: NowOrLater<string>;
  try {
    text = serializer.serialize(value, context);
  } catch (cause) {
    throw failing("serialize", serializer.name, context)(cause);
  }
  if (typeof text === "string") return `${serializer.name}=${text}`;
  const fail = failing("serialize", serializer.name, context);
  if (!isLater(text)) return written(serializer, text, fail);
  return handled(later(text, fail, codecs).then((late) => written(serializer, late, fail)));
}

type Fail = (cause: unknown) => SerializationError;

/** Made where something failed or may still, not for each value. */
function failing(verb: string, name: string, context: ValueContext): Fail {
  return (cause) => cannot(`${verb} ${nameValue(context)}`, name, cause);
}

function written({ name }: Serializer, text: unknown, fail: Fail): string {
  if (typeof text === "string") return `${name}=${text}`;
  throw fail(
    new TypeError(`it answered with ${text === null ? "null" : `a value of type ${typeof text}`}, not a text`),
  );
}

/** Reads what {@linkcode encodeValue} wrote, with whichever of the serializers wrote it; a promise, if that one needs time. */
export function decodeValue(codecs: Codecs, text: string, context: ValueContext): unknown {
  const { serializers } = codecs;
  const name = serializerOf(text);
  const serializer = serializers.get(name);
  if (serializer === undefined) {
    throw new SerializationError(
      `Cannot read ${nameValue(context)}: no serializer named "${name}" here, only ${
        [...serializers.keys()].join(", ")
      }`,
    );
  }
  if (text[name.length] === "-") return undefined;
  try {
    const value = serializer.deserialize(text.slice(name.length + 1), context);
    return isLater(value) ? handled(later(value, failing("read", name, context), codecs)) : value;
  } catch (cause) {
    throw failing("read", name, context)(cause);
  }
}

/** The name in front of a serialized value; the first characters of what is none. */
export function serializerOf(text: string): string {
  if (text.startsWith("json=")) return "json"; // The usual one: looked for without a regular expression.
  const end = text.search(/[=-]/);
  return end < 0 ? text.slice(0, 32) : text.slice(0, end);
}

/** Is this the name of a serializer? */
export function isSerializerName(name: unknown): name is string {
  return typeof name === "string" && /^[a-z0-9._/+]{1,32}$/.test(name);
}

/** A codec's own promise, with an end. The timer keeps no process alive: whoever waits may have gone before it. */
function later<Value>(promise: Promise<Value>, fail: Fail, { clock = systemClock }: Codecs): Promise<Value> {
  return new Promise<Value>((resolve, reject) => {
    const giveUp = () => reject(fail(`it did not answer within ${CODEC_LIMIT} ms`));
    const cancel = clock.after(CODEC_LIMIT, giveUp, { background: true });
    const done = (settle: () => void) => {
      cancel();
      settle();
    };
    promise.then((value) => done(() => resolve(value)), (cause) => done(() => reject(fail(cause))));
  });
}

/** Whoever asked may have gone when it rejects. */
function handled<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {});
  return promise;
}

/** The error of a codec that could not do its work: "Cannot <task> with "<name>": <why>". */
export function cannot(task: string, name: string, cause: unknown): SerializationError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SerializationError(`Cannot ${task} with "${name}": ${why}`, { cause });
}
