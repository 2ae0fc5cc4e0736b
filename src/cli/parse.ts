/**
 * Values of flags and arguments, read with errors that say the way out.
 *
 * @module
 */
import { checkText } from "../checks.ts";

/** Reads the name or the id of a task. Throws `TypeError` when it is empty or longer than 512 bytes. */
export function parseName(text: string): string {
  return checkText("the name or id of a task", text);
}

/** Reads `a,b,c`. Throws `SyntaxError` when a name between the commas is missing. */
export function parseNames(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new SyntaxError(`Cannot read the names "${text}": write them as a,b,c`);
  return [...new Set(names.map(parseName))];
}

/** Reads a whole number of at least 1. Throws `RangeError` otherwise. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || !Number.isSafeInteger(count)) {
    throw new RangeError(`Cannot use "${text}": it must be a whole number of at least 1`);
  }
  return count;
}

/** A value read from JSON; a box, so that "not given" and `null` stay apart. */
export interface JsonValue {
  readonly value: unknown;
}

/** Reads JSON. Throws `SyntaxError` with an example otherwise. */
export function parseJson(text: string): JsonValue {
  try {
    return { value: JSON.parse(text) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SyntaxError(`Cannot read it as JSON: ${reason}. Write for example '{"width": 200}' or '"text"'`, {
      cause,
    });
  }
}
