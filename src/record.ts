/**
 * The record: everything that Redis knows of one task, as one string `header | name | options | params | outcome`.
 *
 * The header is ASCII at fixed offsets, so that a script claims a task by overwriting 54 bytes, compares digits as
 * strings and never decodes what users wrote. Only scripts write headers; this module only reads them (and writes
 * them for the memory store, which plays Redis). `docs/wire.md` is this page for people of other languages.
 *
 * Rejected: a hash of fields (1,051 bytes of Redis memory a waiting task instead of about 500, and a command a field).
 *
 * @module
 */
import { SerializationError, type TaskState } from "./errors.ts";

/** Where each field of the header stands: [first byte, length]. The layout is frozen: `docs/wire.md`. */
export const HEADER_FIELDS = {
  version: [0, 1],
  state: [1, 1],
  cancel: [2, 1],
  joined: [3, 1],
  taken: [4, 1],
  attempt: [5, 3],
  crashes: [8, 3],
  since: [11, 13],
  fence: [24, 16],
  owner: [40, 12],
  kind: [52, 1],
  maxAttempts: [53, 3],
  deadline: [56, 13],
  resultTtl: [69, 10],
  nonce: [79, 20],
  nameLength: [99, 3],
  optionsLength: [102, 4],
  paramsLength: [106, 8],
} as const;

/** Bytes of the header. */
export const HEADER_LENGTH = 114;
/** The version digit of the layout. */
export const RECORD_VERSION = "1";
/** The owner field of a task that nobody owns. */
export const NO_OWNER = "------------";
/** The fence of a task that was never claimed. */
export const NO_FENCE = "0000000000000000";

/** The states by their digit in the header; `deleted` is a tombstone that outlives a task deleted on purpose by a minute. */
export const STATES: readonly (TaskState | "deleted")[] = [
  "stored",
  "scheduled",
  "queued",
  "running",
  "succeeded",
  "failed",
  "cancelled",
  "expired",
  "deleted",
];

/** How a task came to be: `enqueued` (nobody waits), `asked` (a `query` waits for it), `local` (run by its own process, without lease), `foreign` (a bare JSON task of another program). */
export type TaskKind = "enqueued" | "asked" | "local" | "foreign";

const KINDS: Readonly<Record<string, TaskKind>> = { e: "enqueued", a: "asked", l: "local", f: "foreign" };

/** What a header says. */
export interface TaskHeader {
  readonly state: TaskState | "deleted";
  /** A cancel was asked for while it ran; of a deleted task: it had been cancelled. */
  readonly cancelAsked: boolean;
  /** Others than the submitter wait for it. */
  readonly joined: boolean;
  /** Its ended record was taken by a `once` reader. */
  readonly taken: boolean;
  /** Starts so far, releases not counted; 1 in the first attempt. */
  readonly attempt: number;
  /** Leases lost so far. */
  readonly crashes: number;
  /** When it entered its state, epoch milliseconds by Redis' clock. */
  readonly since: number;
  /** Sixteen digits: names one ownership; grows with each claim. */
  readonly fence: string;
  /** Who runs it, or who ran it last; {@linkcode NO_OWNER} when nobody owns it. */
  readonly owner: string;
  readonly kind: TaskKind;
  readonly maxAttempts: number;
  /** Epoch milliseconds by Redis' clock; 0 = none. */
  readonly deadline: number;
  /** How long the ended record is kept, in milliseconds. */
  readonly resultTtl: number;
  /** Client id (12) and counter (8): names one submission. */
  readonly nonce: string;
}

/** A whole record. */
export interface TaskRecord extends TaskHeader {
  readonly id: string;
  readonly name: string;
  /** What listeners need to know beside params: JSON text, or empty. */
  readonly options: string;
  /** The params as submitted (`encodeValue`), or a bare JSON task for kind `foreign`. */
  readonly params: string;
  /** Progress, then the result or the error (`outcome.ts`); empty when there is neither. */
  readonly outcome: string;
}

/** Reads the header of a record; throws `RangeError` on a text that has none, `SerializationError` on a later version's. */
export function decodeHeader(text: string): TaskHeader {
  const state = stateIn(text);
  return {
    state,
    cancelAsked: isSet(text, "cancel"),
    joined: isSet(text, "joined"),
    taken: isSet(text, "taken"),
    attempt: number(text, "attempt"),
    crashes: number(text, "crashes"),
    since: number(text, "since"),
    fence: field(text, "fence"),
    owner: field(text, "owner"),
    kind: KINDS[field(text, "kind")] ?? "enqueued",
    maxAttempts: number(text, "maxAttempts"),
    deadline: number(text, "deadline"),
    resultTtl: number(text, "resultTtl"),
    nonce: field(text, "nonce"),
  };
}

/** The state of a record that this version can read. */
function stateIn(text: string, length: number = text.length): TaskHeader["state"] {
  const version = text.charCodeAt(0);
  if (length >= HEADER_LENGTH && version >= 50 && version <= 57) {
    throw new SerializationError(
      `Cannot read a record of version ${
        text[0]
      }: here is version ${RECORD_VERSION}; use the newer errand that wrote it`,
    );
  }
  const state = STATES[number(text, "state")];
  if (length < HEADER_LENGTH || text[0] !== RECORD_VERSION || state === undefined) {
    throw new RangeError(`Cannot read a record that begins with ${JSON.stringify(text.slice(0, 24))}`);
  }
  return state;
}

/**
 * Reads a whole record. Lengths in the header count UTF-8 bytes, as Redis does; a record of ASCII only, the usual
 * case, is sliced as it is. `front`: what stands in place of its first 52 characters.
 */
export function decodeRecord(id: string, text: string, front: string = text): TaskRecord {
  const state = stateIn(front, text.length);
  const nameEnd = HEADER_LENGTH + number(text, "nameLength");
  const optionsEnd = nameEnd + number(text, "optionsLength");
  const paramsEnd = optionsEnd + number(text, "paramsLength");
  const slice = slicerOf(text);
  // Each claimed task comes by here. One literal, as an object that grows is allocated twice.
  return {
    state,
    cancelAsked: isSet(front, "cancel"),
    joined: isSet(front, "joined"),
    taken: isSet(front, "taken"),
    attempt: number(front, "attempt"),
    crashes: number(front, "crashes"),
    since: number(front, "since"),
    fence: field(front, "fence"),
    owner: field(front, "owner"),
    kind: KINDS[field(text, "kind")] ?? "enqueued",
    maxAttempts: number(text, "maxAttempts"),
    deadline: number(text, "deadline"),
    resultTtl: number(text, "resultTtl"),
    nonce: field(text, "nonce"),
    id,
    name: slice(HEADER_LENGTH, nameEnd),
    options: nameEnd === optionsEnd ? "" : slice(nameEnd, optionsEnd),
    params: slice(optionsEnd, paramsEnd),
    outcome: slice(paramsEnd),
  };
}

function field(text: string, name: keyof typeof HEADER_FIELDS): string {
  const place = HEADER_FIELDS[name];
  return text.slice(place[0], place[0] + place[1]);
}

function isSet(text: string, name: keyof typeof HEADER_FIELDS): boolean {
  return text.charCodeAt(HEADER_FIELDS[name][0]) === 49;
}

/** The digits of a field; NaN when they are none. */
function number(text: string, name: keyof typeof HEADER_FIELDS): number {
  const place = HEADER_FIELDS[name];
  const end = place[0] + place[1];
  let value = 0;
  for (let at = place[0]; at < end; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Cuts by bytes, which are characters in a text of ASCII. */
function slicerOf(text: string): (first: number, end?: number) => string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(text)) return (first, end) => text.slice(first, end);
  const encoded = new TextEncoder().encode(text);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return (first, end) => decoder.decode(encoded.subarray(first, end));
}

/** The number of bytes of a text in UTF-8. */
export function byteLength(text: string): number {
  // deno-lint-ignore no-control-regex
  return /^[\x00-\x7f]*$/.test(text) ? text.length : new TextEncoder().encode(text).length;
}

/** What a new record carries behind its state, owner and times: everything the submitter decides. */
export interface RecordBody {
  readonly name: string;
  readonly options: string;
  readonly params: string;
}

/** The lengths (15 digits) that stand at the end of the header, and the text that follows it. */
export function encodeBody(body: RecordBody): string {
  return digits(byteLength(body.name), 3) + digits(byteLength(body.options), 4) +
    digits(byteLength(body.params), 8) + body.name + body.options + body.params;
}

const ZEROS = "0".repeat(20);
const POWERS: readonly number[] = Array.from({ length: 21 }, (_, width) => 10 ** width);

/** A count as decimal digits of a fixed width. */
export function digits(value: number, width: number): string {
  const text = String(Math.min(Math.max(Math.round(value), 0), POWERS[width]! - 1));
  return text.length === width ? text : ZEROS.slice(text.length, width) + text;
}

const LETTERS = { enqueued: "e", asked: "a", local: "l", foreign: "f" } as const;

/** The letter of a kind in the header. */
export function kindLetter(kind: TaskKind): string {
  return LETTERS[kind];
}

/** Writes a record as a script would: for the memory store and for tests. */
export function encodeRecord(record: TaskRecord): string {
  return RECORD_VERSION + STATES.indexOf(record.state) + flag(record.cancelAsked) + flag(record.joined) +
    flag(record.taken) + digits(record.attempt, 3) + digits(record.crashes, 3) + digits(record.since, 13) +
    record.fence + record.owner + kindLetter(record.kind) + digits(record.maxAttempts, 3) +
    digits(record.deadline, 13) + digits(record.resultTtl, 10) + record.nonce + encodeBody(record) + record.outcome;
}

function flag(value: boolean): string {
  return value ? "1" : "0";
}
