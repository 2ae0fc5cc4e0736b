/**
 * Durations as people write them on a command line: `500ms`, `30s`, `5m`, `2h`.
 *
 * A bare number is refused: half of the world's tools would read `30` as seconds and this library counts milliseconds.
 *
 * @module
 */

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
/** About three weeks: the longest timer that all runtimes have without overflow. */
const LONGEST_MS = 2_147_483_647;

/**
 * Reads a duration into milliseconds.
 *
 * @throws {SyntaxError} when it is no number with one of the units `ms`, `s`, `m`, `h`.
 * @throws {RangeError} when it is longer than about 24 days.
 */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  if (match === null) throw new SyntaxError(`Cannot read the duration "${text}": ${hint(text.trim())}`);
  const duration = Number(match[1]) * UNITS[match[2]!]!;
  if (duration > LONGEST_MS) throw new RangeError(`Cannot use the duration "${text}": the longest is 596h`);
  return duration;
}

function hint(text: string): string {
  if (/^\d+(\.\d+)?$/.test(text)) return `it needs a unit, as in ${text}ms, ${text}s or ${text}m`;
  if (text.startsWith("-")) return "it cannot be negative";
  return "write a number and a unit, as in 500ms, 30s, 5m or 2h";
}
