/**
 * What each process of a soak writes down: one file a process, JSON lines, only ever appended to.
 *
 * A line is with the kernel before the next statement runs, so kill -9 takes none back; the machine itself is not made
 * to fail, so nothing is synced to the disk. Times are epoch milliseconds of this machine, on which all of them run.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { appendFileSync, closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

/** How a handler ended: it returned, threw as planned, or was told to stop. `released`: told so by its own listener's end. */
export type EndKind = "returned" | "threw" | "released" | "stopped";

/** How a task ended, as what is stored says. */
export type Outcome = "succeeded" | "failed" | "cancelled" | "expired";

/** A call that did not give what was asked. `refused`: nothing was accepted, for sure; `unsure`: nobody knows; `failed`: the task did; `silent`: no answer came in time. */
export interface ErrorEntry {
  readonly what: "refused" | "unsure" | "failed" | "silent";
  readonly id: string;
  readonly error: string;
}

/** What a client writes. */
export type ClientEntry =
  | { readonly what: "sent"; readonly id: string; readonly by: "query" | "enqueue" }
  | { readonly what: "ack"; readonly id: string }
  | ErrorEntry
  | { readonly what: "answer"; readonly id: string; readonly result: string }
  | { readonly what: "cancel"; readonly id: string; readonly became: string };

/** What a listener writes. `accepted`: the store has taken this outcome from it, as its library tells. */
export type ListenerEntry =
  | { readonly what: "start"; readonly id: string; readonly attempt: number; readonly fence: number }
  | {
    readonly what: "end";
    readonly id: string;
    readonly attempt: number;
    readonly fence: number;
    readonly how: EndKind;
  }
  | { readonly what: "accepted"; readonly id: string; readonly outcome: Outcome };

/** What any process writes about itself, now and then. */
export interface SizeEntry {
  readonly what: "size";
  readonly rss: number;
  readonly heap: number;
  /** Open sockets of the process; absent where the system does not tell. */
  readonly sockets?: number;
}

/** What the soak itself writes. `fault.pid`: the process that it befell; `until`: when it was over. */
export type ArenaEntry =
  | {
    readonly what: "born";
    readonly pid: number;
    readonly role: "listener" | "client";
    readonly runtime: string;
    readonly steady: boolean;
  }
  | { readonly what: "died"; readonly pid: number; readonly code: number | null; readonly asked: boolean }
  | {
    readonly what: "fault";
    readonly kind: string;
    readonly pid?: number;
    readonly since: number;
    readonly until: number;
  }
  | { readonly what: "redis"; readonly memory: number; readonly clients: number }
  | { readonly what: "seen"; readonly id: string; readonly look: 1 | 2 } & StoredTask
  | { readonly what: "calm" };

/** What the store says about a task that has ended. */
export interface StoredTask {
  readonly outcome: Outcome;
  /** Starts that counted; 0 where the system does not tell. */
  readonly attempt: number;
  /** Lost leases (stalls); 0 where the system does not tell. */
  readonly crashes: number;
  readonly fence: number;
  /** The stored result as text; of a failed task its error. */
  readonly value: string;
}

/** An entry as it is read again. */
export type Entry<Kind = ClientEntry | ListenerEntry | SizeEntry | ArenaEntry> = Kind & {
  readonly at: number;
  /** Of the process that wrote it. */
  readonly from: number;
};

/** The journal of one process. */
export class Journal {
  readonly #path: string;
  readonly #pid: number;

  /** Writes into a file of its own in `folder`. */
  constructor(folder: string, pid: number) {
    this.#path = join(folder, `${pid}.jsonl`);
    this.#pid = pid;
  }

  /** Appends one entry, at once. */
  write(entry: ClientEntry | ListenerEntry | SizeEntry | ArenaEntry): void {
    appendFileSync(this.#path, `${JSON.stringify({ at: Date.now(), from: this.#pid, ...entry })}\n`);
  }
}

/** Reads journals, each time only what was added since. A last line that is not complete yet is left for the next time. */
export class JournalReader {
  readonly #folder: string;
  readonly #read = new Map<string, number>();

  /** Has read nothing yet. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** What was added to any journal since the last call. */
  more(): Entry[] {
    return readdirSync(this.#folder).filter((name) => name.endsWith(".jsonl")).flatMap((name) => this.#moreOf(name));
  }

  #moreOf(name: string): Entry[] {
    const from = this.#read.get(name) ?? 0;
    const bytes = tailOf(join(this.#folder, name), from);
    const length = bytes.lastIndexOf(10) + 1;
    if (length === 0) return [];
    this.#read.set(name, from + length);
    return bytes.subarray(0, length).toString("utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as Entry);
  }
}

function tailOf(path: string, from: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from));
  } finally {
    closeSync(file);
  }
}

/** All entries of all journals of a folder, in the order of their times. */
export function readJournals(folder: string): Entry[] {
  return new JournalReader(folder).more().sort((one, other) => one.at - other.at);
}
