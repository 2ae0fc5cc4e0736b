/**
 * How the scripts' answers are read.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import { decodeRecord, NO_FENCE, NO_OWNER, STATES, type TaskRecord } from "../../record.ts";
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

/**
 * A claimed record. The scripts decode nothing, so the time limit that a bare JSON task of another program names is
 * read here, and counts from its claim.
 */
export function claimedRecord(id: string, text: string): TaskRecord {
  const record = decodeRecord(id, text);
  if (record.kind !== "foreign" || record.deadline !== 0) return record;
  const timeout = timeoutOf(record.params);
  return timeout > 0 ? { ...record, deadline: record.since + timeout } : record;
}

/** Zero when there is none; a text that is no JSON fails later, with a clear error, in its attempt. */
function timeoutOf(params: string): number {
  try {
    const { timeout } = JSON.parse(params) as { timeout?: unknown };
    return typeof timeout === "number" && timeout > 0 ? Math.ceil(timeout) : 0;
  } catch {
    return 0;
  }
}

/** A record as it stands in Redis; a bare JSON task of another program reads as a queued one that no listener has seen yet. */
export function recordOf(id: string, text: string): TaskRecord {
  return text.startsWith("{") ? bareRecord(id, text) : decodeRecord(id, text);
}

function bareRecord(id: string, params: string): TaskRecord {
  return {
    id,
    name: "",
    state: "queued",
    cancelAsked: false,
    joined: false,
    taken: false,
    attempt: 0,
    crashes: 0,
    since: 0,
    fence: NO_FENCE,
    owner: NO_OWNER,
    kind: "foreign",
    maxAttempts: 1,
    deadline: 0,
    resultTtl: 0,
    nonce: "",
    options: "",
    params,
    outcome: "",
  };
}

/** Reads ids that stand behind each other, each as `<bytes>:<id>`. */
export function readIds(message: string): string[] {
  const bytes = new TextEncoder().encode(message);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const ids: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const colon = bytes.indexOf(58, at);
    const length = Number(decoder.decode(bytes.subarray(at, colon)));
    if (colon < 0 || !Number.isSafeInteger(length)) break;
    ids.push(decoder.decode(bytes.subarray(colon + 1, colon + 1 + length)));
    at = colon + 1 + length;
  }
  return ids;
}
