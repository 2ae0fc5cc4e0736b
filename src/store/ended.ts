/**
 * What a store keeps of tasks that have ended, and for how long: dead letters, results, and the bounds of both.
 *
 * Next: `store.ts`, `redis/ended.ts`, `memory/memory_ended.ts`.
 *
 * @module
 */
import type { TaskState } from "../errors.ts";
import type { TaskRecord } from "../record.ts";

/** How much is kept of tasks that have ended; what is absent is as in {@linkcode BOUNDS}. */
export interface Bounds {
  /** Dead letters a name, the oldest are dropped first; 1 at least. */
  readonly deadMax?: number | undefined;
  /** Milliseconds that a dead letter is kept. */
  readonly deadTtl?: number | undefined;
  /** Bytes of ended records a name beside its dead letters, the oldest are dropped first, but none within 30 s of its end. */
  readonly doneBytes?: number | undefined;
}

/** The usual bounds: 10,000 dead letters for 30 days and 64 MiB of other ended records, a name. The scripts know them too. */
export const BOUNDS = {
  deadMax: 10_000,
  deadTtl: 2_592_000_000,
  doneBytes: 67_108_864,
} as const;

/** All bounds, with the usual ones for those that are absent. */
export function boundsOf({ deadMax, deadTtl, doneBytes }: Bounds): Readonly<Record<keyof typeof BOUNDS, number>> {
  return {
    deadMax: Math.ceil(deadMax ?? BOUNDS.deadMax),
    deadTtl: Math.ceil(deadTtl ?? BOUNDS.deadTtl),
    doneBytes: Math.ceil(doneBytes ?? BOUNDS.doneBytes),
  };
}

/** No end is forgotten sooner than so many milliseconds: so long a caller in doubt may repeat its call. */
export const ENDED_LIFE_MIN = 30_000;

/** A message brings a record of at most so many bytes along. */
export const TOLD_MAX = 1_023;

/** Who joined a task without deadline is remembered for so many milliseconds: a week. Later they hear by their polls. */
export const JOINED_LIFE = 604_800_000;

/** Which dead letters to show. */
export interface DeadPage {
  /** How many to leave out; 0 by default. */
  readonly offset?: number;
  /** At most so many, 1 to 100; 100 by default. Large records make a page shorter. */
  readonly limit?: number;
  /** The youngest first; by default the oldest. */
  readonly newestFirst?: boolean;
}

/** One dead letter. */
export interface DeadLetter {
  readonly id: string;
  /** When it died or was set aside, epoch milliseconds by Redis' clock. */
  readonly diedAt: number;
  /** The failed task; null when it was set aside because it cannot be read. */
  readonly record: TaskRecord | null;
  /** What stands in Redis instead of a record that can be read; null otherwise. */
  readonly raw: string | null;
}

/** A page of dead letters. */
export interface DeadLetters {
  /** How many there are under this name. */
  readonly total: number;
  /** The next page begins at `offset + entries.length`; an empty page is past the last one. */
  readonly entries: readonly DeadLetter[];
}

/** A failed task to be queued again. */
export interface RequeueRequest {
  readonly id: string;
  /** Names the new run; a second call with it has no effect. */
  readonly nonce: string;
}

/** What became of a requeue. */
export type RequeueAnswer =
  /** It waits again: no attempts, no deadline, no outcome. */
  | { readonly verdict: "requeued" }
  /** It was requeued under this nonce before. */
  | { readonly verdict: "kept"; readonly state: TaskState | "deleted" }
  /** It is no failed task that lived in a queue; null = there is no record that can be read. */
  | { readonly verdict: "refused"; readonly state: TaskState | "deleted" | null };

/** A task to be deleted. */
export interface RemoveRequest {
  readonly id: string;
  /** Only this run, when given: so a late copy of the call harms no later one. */
  readonly nonce?: string;
  /** Among whose dead letters it stands: needed only for one that was set aside. */
  readonly name?: string;
}

/** What became of a removal. */
export type RemoveAnswer =
  /** It is gone; a tombstone stays for a minute. */
  | { readonly verdict: "removed" }
  /** It had been deleted before. */
  | { readonly verdict: "kept" }
  /** It lives, or is another run, in this state; null = there is no record, or one of a later version. */
  | { readonly verdict: "refused"; readonly state: TaskState | null };

/** How much there is under one name. Hints may be stale, so `queued`, `scheduled` and `running` may count some too many. */
export interface QueueCounts {
  /** Waiting, in their queue. */
  readonly queued: number;
  /** Delayed, or waiting for their next attempt. */
  readonly scheduled: number;
  /** Owned by a listener or a client. */
  readonly running: number;
  /** Failed for good, or set aside. */
  readonly dead: number;
  /** Ended tasks that are kept beside the dead letters. */
  readonly done: number;
  /** Bytes of their records. */
  readonly doneBytes: number;
}
