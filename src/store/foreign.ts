/**
 * Tasks of other programs: bare JSON (`{"params": …, "timeout": …}`) instead of a record, until a claim meets them.
 *
 * @module
 */
import { NO_FENCE, NO_OWNER, type TaskRecord } from "../record.ts";

/** A bare JSON task reads as a queued one that no listener has seen yet; it has no name, as that stands in its list. */
export function bareRecord(id: string, params: string): TaskRecord {
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

/**
 * A claimed record as its listener gets it. The scripts decode nothing, so the time limit that a bare JSON task names
 * is read here: it counts from the claim, and the listener enforces it.
 */
export function withForeignDeadline(record: TaskRecord): TaskRecord {
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
