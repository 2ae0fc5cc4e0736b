/**
 * The checks of single values: each gives its value back, or throws an error that names the value and the way out.
 *
 * Used by: `options.ts` and whoever takes a value from a user.
 *
 * @module
 */
import { byteLength } from "./record.ts";

/** Checks an id, a name, a prefix or a suffix: 1 to 512 bytes of well-formed text. Returns it. */
export function checkText(what: string, text: unknown): string {
  const size = typeof text === "string" ? byteLength(text) : 0;
  if (typeof text === "string" && size >= 1 && size <= 512 && isWellFormed(text)) return text;
  const fault = typeof text !== "string"
    ? `it is ${text === null ? "null" : typeof text}`
    : size < 1
    ? "it is empty"
    : size > 512
    ? `it has ${size} bytes`
    : "it has half of a surrogate pair";
  throw new TypeError(`Cannot use ${show(text)} as ${what}: ${fault}; it must be a string of 1 to 512 bytes`);
}

/** The longest duration, in milliseconds (31 years): with it an instant still has the 13 digits of the record. */
const DURATION_MAX = 1_000_000_000_000;

/** What a duration may be. */
export interface Bounds {
  readonly least?: number;
  readonly most?: number;
  readonly infinite?: boolean;
}

/** Checks a duration in milliseconds. Returns it. */
export function checkDuration(what: string, value: unknown, bounds: Bounds = {}): number {
  const { least = 0, most = DURATION_MAX, infinite = false } = bounds;
  if (typeof value === "number" && value >= least && (value <= most || (infinite && value === Infinity))) return value;
  const asked = `a finite number of milliseconds, ${least} to ${most}${infinite ? ", or Infinity" : ""}`;
  throw typeof value === "number"
    ? new RangeError(`Cannot use ${what} ${value}: it must be ${asked}`)
    : new TypeError(`Cannot use ${what} ${show(value)}: it must be ${asked}`);
}

/** The same for a value that may be left out. */
export function checkOptional(what: string, value: number | undefined, bounds: Bounds): number | undefined {
  return value === undefined ? undefined : checkDuration(what, value, bounds);
}

/** Checks a whole number, unless it is left out. */
export function checkCount(what: string, value: number | undefined, least: number, most: number): number | undefined {
  if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return value;
  const ErrorClass = typeof value === "number" ? RangeError : TypeError;
  throw new ErrorClass(`Cannot use ${what} ${show(value)}: it must be a whole number from ${least} to ${most}`);
}

/** Refuses a key that is not known, with the nearest known one in the message. */
export function checkKeys(verb: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = known.find((word) => isNear(key.toLowerCase(), word.toLowerCase()));
    const way = near === undefined ? `it knows ${known.join(", ")}` : `did you mean ${show(near)}?`;
    throw new TypeError(`Cannot use the option ${show(key)} of ${verb}: ${way}`);
  }
}

/** At most two letters are wrong, missing or too many. */
function isNear(text: string, word: string): boolean {
  let row = Array.from({ length: word.length + 1 }, (_, index) => index);
  for (let line = 1; line <= text.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= word.length; column += 1) {
      const change = row[column - 1]! + (text[line - 1] === word[column - 1] ? 0 : 1);
      next.push(Math.min(change, row[column]! + 1, next[column - 1]! + 1));
    }
    row = next;
  }
  return row[word.length]! <= 2;
}

/** `isWellFormed` is younger than some of the runtimes' libraries: a lone surrogate does not survive UTF-8. */
function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text) ||
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text)) === text;
}

/** A value in a message, cut when it is long. */
export function show(value: unknown): string {
  return typeof value === "string"
    ? JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value)
    : String(value);
}
