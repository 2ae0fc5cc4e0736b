/**
 * How the scripts' answers are read.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import { decodeRecord, STATES, type TaskRecord } from "../../record.ts";
import { bareRecord } from "../foreign.ts";
import type { OwnerAnswer } from "../store.ts";

const VERDICTS: Readonly<Record<string, OwnerAnswer["verdict"]>> = { a: "accepted", k: "kept", l: "lost", g: "gone" };

/** The state behind a digit; null for `-`, which says that there is no record. */
export function stateOf(digit: string): TaskState | "deleted" | null {
  return digit === "-" || digit === "" ? null : STATES[Number(digit)] ?? null;
}

/** Reads the three characters that answer an owner's call: verdict, state, cancel flag. */
export function ownerAnswer(text: string): OwnerAnswer {
  return { verdict: VERDICTS[text[0]!]!, state: stateOf(text[1]!), cancelAsked: text[2] === "1" };
}

/** A record as it stands in Redis, or a bare JSON task of another program. */
export function recordOf(id: string, text: string): TaskRecord {
  return text.startsWith("{") ? bareRecord(id, text) : decodeRecord(id, text);
}

/** Reads ids that stand behind each other, each as `<bytes>:<id>`. */
export function readIds(message: string): string[] {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(message)) return cut(message, (from, end) => message.slice(from, end));
  const bytes = new TextEncoder().encode(message);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  // One character a byte, to find one's way in; no id is taken from it.
  const map = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return cut(map, (from, end) => decoder.decode(bytes.subarray(from, end)));
}

function cut(message: string, slice: (from: number, end: number) => string): string[] {
  const ids: string[] = [];
  for (let at = 0; at < message.length;) {
    const colon = message.indexOf(":", at);
    const length = Number(message.slice(at, colon));
    if (colon < 0 || !Number.isSafeInteger(length) || length < 0) break;
    ids.push(slice(colon + 1, colon + 1 + length));
    at = colon + 1 + length;
  }
  return ids;
}
