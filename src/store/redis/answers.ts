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

const SUCCEEDED: OwnerAnswer = Object.freeze({ verdict: "accepted", state: "succeeded", cancelAsked: false });

/** Reads the three characters that answer an owner's call: verdict, state, cancel flag. */
export function ownerAnswer(text: string): OwnerAnswer {
  if (text === "a40") return SUCCEEDED; // Nearly all are this one.
  return { verdict: VERDICTS[text[0]!]!, state: stateOf(text[1]!), cancelAsked: text[2] === "1" };
}

/** A record as it stands in Redis, or a bare JSON task of another program. */
export function recordOf(id: string, text: string): TaskRecord {
  return text.startsWith("{") ? bareRecord(id, text) : decodeRecord(id, text);
}

/** The record that came with a message, or null when this version cannot read it: then it is read where it stands. */
export function endedRecord(id: string, text: string): TaskRecord | null {
  try {
    return decodeRecord(id, text);
  } catch {
    return null;
  }
}

/** What a message tells: ids of tasks, and of a lone one perhaps the record as it ended. */
export interface Told {
  readonly ids: string[];
  /** Its text, or null. */
  readonly record: string | null;
}

/** Reads ids that stand behind each other, each as `<bytes>:<id>`, and behind a lone one perhaps `=` and its record. */
export function readTold(message: string): Told {
  const ids: string[] = [];
  let at = 0;
  while (at < message.length) {
    const colon = message.indexOf(":", at);
    const length = Number(message.slice(at, colon));
    if (colon < 0 || !Number.isSafeInteger(length) || length < 0) break;
    const end = endOf(message, colon + 1, length);
    ids.push(message.slice(colon + 1, end));
    at = end;
  }
  return { ids, record: ids.length === 1 && message[at] === "=" ? message.slice(at + 1) : null };
}

/** Where so many bytes of UTF-8 end that begin at `from`. */
function endOf(text: string, from: number, bytes: number): number {
  let at = from;
  for (let left = bytes; left > 0 && at < text.length;) {
    const code = text.codePointAt(at)!;
    left -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    at += code < 0x10000 ? 1 : 2;
  }
  return at;
}
