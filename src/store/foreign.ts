/**
 * Tasks of other programs: bare JSON (`{"params": …, "timeout": …}`) instead of a record, until a claim meets them.
 *
 * @module
 */
import { SerializationError } from "../errors.ts";
import { NO_FENCE, NO_OWNER, type TaskRecord } from "../record.ts";
import { jsonSerializer } from "../serializer.ts";

/** What the thirteen digits of a deadline have room for, some three hundred years. */
const TIMEOUT_MAX = 9_999_999_999_999;

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

/** Zero when there is none; what cannot be read fails later, with a clear error, in its attempt. */
function timeoutOf(params: string): number {
  try {
    return readForeign(params, "a bare JSON task").timeout;
  } catch {
    return 0;
  }
}

/** How many attempts a bare JSON task may have: what cannot be read fails in its first. */
export function foreignMaxAttempts(params: string): number {
  try {
    return readForeign(params, "a bare JSON task").maxAttempts;
  } catch {
    return 1;
  }
}

/** A bare JSON task, read. */
export interface ForeignTask {
  readonly params: unknown;
  /** Milliseconds from its claim; 0 = none. */
  readonly timeout: number;
  readonly maxAttempts: number;
}

/**
 * Reads a bare JSON task. Throws `SerializationError` naming `what` for a text that is no JSON, for a timeout that is
 * not a number of milliseconds and for maxAttempts that are no count: whoever wrote it by hand wants to hear of it. Other members are for later versions.
 */
export function readForeign(text: string, what: string): ForeignTask {
  const { params, timeout, maxAttempts = 1 } = readForeignObject(text, what);
  if (typeof maxAttempts !== "number" || !Number.isInteger(maxAttempts) || maxAttempts < 1 || maxAttempts > 999) {
    const value = JSON.stringify(maxAttempts);
    throw new SerializationError(`Cannot run ${what}: its maxAttempts is ${value}; it must be a number from 1 to 999`);
  }
  if (timeout === undefined || timeout === null) return { params, timeout: 0, maxAttempts };
  if (typeof timeout !== "number" || !(timeout > 0 && timeout <= TIMEOUT_MAX)) {
    throw new SerializationError(
      `Cannot run ${what}: its timeout is ${JSON.stringify(timeout)}; it must be milliseconds, as a number above 0`,
    );
  }
  return { params, timeout: Math.ceil(timeout), maxAttempts };
}

/** The params of a bare JSON task, whatever its other members are. Throws `SerializationError` naming `what` for a text that is no JSON. */
export function readForeignParams(text: string, what: string): unknown {
  return readForeignObject(text, what).params;
}

interface ForeignObject {
  readonly params?: unknown;
  readonly timeout?: unknown;
  readonly maxAttempts?: unknown;
}

function readForeignObject(text: string, what: string): ForeignObject {
  try {
    return jsonSerializer.deserialize(text) as ForeignObject;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SerializationError(`Cannot read ${what} as JSON: ${reason}`, { cause });
  }
}
