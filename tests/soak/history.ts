/**
 * The journals of a soak, sorted by task: what the checker reads.
 *
 * @module
 */
import type { ArenaEntry, ClientEntry, Entry, ErrorEntry, ListenerEntry } from "./journal.ts";

/** Entries of one kind. */
export type Of<What extends Entry["what"]> = Entry<
  Extract<ClientEntry | ListenerEntry | ArenaEntry, { readonly what: What }>
>;

/** All that was written about one task, each kind in the order of time. */
export interface TaskHistory {
  readonly id: string;
  readonly sent: Of<"sent">[];
  readonly acks: Of<"ack">[];
  /** The calls that did not give what was asked for. */
  readonly errors: Entry<ErrorEntry>[];
  readonly answers: Of<"answer">[];
  readonly cancels: Of<"cancel">[];
  readonly starts: Of<"start">[];
  readonly ends: Of<"end">[];
  readonly accepted: Of<"accepted">[];
  readonly seen: Of<"seen">[];
}

/** A process of the soak. */
export interface ProcessHistory {
  readonly pid: number;
  readonly role: "listener" | "client";
  readonly runtime: string;
  readonly steady: boolean;
  readonly born: number;
  /** kill -9 befell it: what it would have written is not there. */
  isKilled: boolean;
}

/** All journals. */
export interface History {
  readonly tasks: ReadonlyMap<string, TaskHistory>;
  readonly processes: ReadonlyMap<number, ProcessHistory>;
  readonly faults: readonly Of<"fault">[];
}

/** Where the entries of a task go. */
const PLACES = {
  sent: "sent",
  ack: "acks",
  refused: "errors",
  unsure: "errors",
  failed: "errors",
  silent: "errors",
  answer: "answers",
  cancel: "cancels",
  start: "starts",
  end: "ends",
  accepted: "accepted",
  seen: "seen",
} as const;

/** Sorts entries, which are in the order of time. */
export function historyOf(entries: readonly Entry[]): History {
  const tasks = new Map<string, TaskHistory>();
  const processes = new Map<number, ProcessHistory>();
  const faults: Of<"fault">[] = [];
  for (const entry of entries) {
    if (entry.what === "fault") faults.push(entry);
    else if (entry.what === "born") processes.set(entry.pid, { ...entry, born: entry.at, isKilled: false });
    else if (entry.what in PLACES) {
      const { id } = entry as { readonly id: string };
      const task = tasks.get(id) ?? blank(id);
      tasks.set(id, task);
      (task[PLACES[entry.what as keyof typeof PLACES]] as Entry[]).push(entry);
    }
  }
  for (const { kind, pid } of faults) {
    const process = pid === undefined ? undefined : processes.get(pid);
    if (process && kind.startsWith("kill")) process.isKilled = true;
  }
  return { tasks, processes, faults };
}

function blank(id: string): TaskHistory {
  return {
    ...{ id, sent: [], acks: [], errors: [], answers: [], cancels: [] },
    ...{ starts: [], ends: [], accepted: [], seen: [] },
  };
}
