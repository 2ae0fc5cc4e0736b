/**
 * A queue as a soak sees it: the same few verbs of errand and of its peers, so that all meet the same faults under the
 * same journals and the same checker.
 *
 * @module
 */
import type { ErrorEntry, Journal, Outcome, StoredTask } from "./journal.ts";
import type { Mix, Work } from "./work.ts";

/** The queues that can be soaked. */
export type System = "errand" | "bullmq" | "bee-queue";

/** What every process of a soak is told, as JSON in its first argument. */
export interface ProcessOptions {
  readonly system: System;
  readonly url: string;
  /** Where journals are. */
  readonly folder: string;
  readonly mix: Mix;
  /** How long a task is owned without renewal, in milliseconds. */
  readonly lease: number;
  /** How often safety nets look, in milliseconds. */
  readonly interval: number;
  /** How long ended tasks are kept, in milliseconds. */
  readonly keep: number;
  readonly workers: number;
  /** Client: its ids begin with this. */
  readonly ids: string;
  /** Client: tasks a second. */
  readonly rate: number;
}

/** A listener that runs. */
export interface SoakListener {
  /** Stops as its library documents: no new tasks, those that run have a little time. */
  stop(): Promise<void>;
}

/** A client, also the one that looks at what is stored. */
export interface SoakClient {
  /** Resolves once the task is accepted. */
  enqueue(work: Work): Promise<void>;
  /** The result. */
  query(work: Work): Promise<string>;
  /** What became of a cancel. */
  cancel(id: string): Promise<string>;
  /** What an error of a call says of its task. */
  meaningOf(error: unknown): ErrorEntry["what"];
  /** What is stored of tasks; undefined of those that have not ended, or are unknown. */
  look(ids: readonly string[]): Promise<readonly (StoredTask | undefined)[]>;
  /** How many tasks wait or run. */
  left(): Promise<number>;
  close(): Promise<void>;
}

/** A queue. */
export interface SoakDriver {
  listen(options: ProcessOptions, journal: Journal): Promise<SoakListener>;
  connect(options: ProcessOptions): Promise<SoakClient>;
  /** What was set, for the table's reader. */
  readonly settings: string;
}

/** The driver of a system; what it needs is loaded now. */
export async function loadDriver(system: System): Promise<SoakDriver> {
  if (system === "errand") return (await import("./errand_driver.ts")).errandDriver;
  if (system === "bullmq") return (await import("./bullmq_driver.ts")).bullmqDriver;
  return (await import("./bee_driver.ts")).beeDriver;
}

/** An outcome, when the text is one. */
export function asOutcome(text: string): Outcome | undefined {
  return text === "succeeded" || text === "failed" || text === "cancelled" || text === "expired" ? text : undefined;
}
