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

/** A bare JSON task, read. */
export interface ForeignTask {
  readonly params: unknown;
  /** Milliseconds from its claim; 0 = none. */
  readonly timeout: number;
}

/**
 * Reads a bare JSON task. Throws `SerializationError` naming `what` for a text that is no JSON and for a timeout that
 * is not a number of milliseconds: whoever wrote it by hand wants to hear of it. Other members are for later versions.
 */
export function readForeign(text: string, what: string): ForeignTask {
  const { params, timeout } = readForeignObject(text, what);
  if (timeout === undefined || timeout === null) return { params, timeout: 0 };
  if (typeof timeout !== "number" || !(timeout > 0 && timeout <= TIMEOUT_MAX)) {
    throw new SerializationError(
      `Cannot run ${what}: its timeout is ${JSON.stringify(timeout)}; it must be milliseconds, as a number above 0`,
    );
  }
  return { params, timeout: Math.ceil(timeout) };
}

/** The params of a bare JSON task, whatever its other members are. Throws `SerializationError` naming `what` for a text that is no JSON. */
export function readForeignParams(text: string, what: string): unknown {
  return readForeignObject(text, what).params;
}

function readForeignObject(text: string, what: string): { params?: unknown; timeout?: unknown } {
  try {
    return jsonSerializer.deserialize(text) as { params?: unknown; timeout?: unknown };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SerializationError(`Cannot read ${what} as JSON: ${reason}`, { cause });
  }
}
