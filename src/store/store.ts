/**
 * The store: the verbs of the protocol, with two implementations. `redis/` is the one that the product is for: Lua
 * beside its typed wrapper. `memory/` is the embedded default and the executable specification of the other.
 *
 * Verbs take one task; an implementation joins the calls of one turn of the event loop into one script call. Every
 * verb may be sent twice and has the effect of one (protocol rule 4), so the Redis store repeats a call whose outcome
 * is unknown; a verb rejects with `ConnectionLostError` only when it gives up.
 *
 * Previous: `queue.ts`, `listener.ts`, `inbox.ts`. Next: `redis/store.ts`, `memory/store.ts`.
 *
 * @module
 */
import type { Subscription } from "../port/redis.ts";
import type { TaskHeader, TaskKind, TaskRecord } from "../record.ts";
import type { TaskState } from "../errors.ts";
import type {
  DeadLetters,
  DeadPage,
  QueueCounts,
  RemoveAnswer,
  RemoveRequest,
  RequeueAnswer,
  RequeueRequest,
} from "./ended.ts";

/** What to do about a live or ended task of the same id and name. */
export type IfExists = "join" | "replace" | "reject";

/** A task to enqueue. */
export interface EnqueueRequest {
  readonly id: string;
  readonly name: string;
  /** Client id (12 characters) and counter (8 digits). */
  readonly nonce: string;
  readonly kind: TaskKind;
  /** What is left until the deadline, in milliseconds; 0 = no deadline. */
  readonly timeout: number;
  /** Milliseconds the ended record is kept. */
  readonly resultTtl: number;
  /** Milliseconds until it may start; 0 = at once. */
  readonly delay: number;
  readonly maxAttempts: number;
  readonly options: string;
  readonly params: string;
  readonly ifExists: IfExists;
  /** When nobody listens to the name: create it running, owned by this client and leased for so many milliseconds. */
  readonly ownIfUnattended?: { readonly owner: string; readonly lease: number };
}

/** What became of an enqueue. Under one nonce the same answer comes again, as far as time has not changed it. */
export type EnqueueAnswer =
  /** It is a task of this nonce now, in the state given. */
  | { readonly verdict: "accepted"; readonly state: TaskState }
  /** Nobody listens: it is `running`, owned by the caller under the record's fence. */
  | { readonly verdict: "owned"; readonly record: TaskRecord }
  /** A live task of this id and name was there: the caller waits for `nonce` like everybody else. */
  | { readonly verdict: "joined"; readonly state: TaskState; readonly nonce: string }
  /** It succeeded before (join), or is the ended task of this same nonce. */
  | { readonly verdict: "ended"; readonly record: TaskRecord }
  /** The id belongs to a live or succeeded task of another name. */
  | { readonly verdict: "conflict"; readonly name: string }
  /** `ifExists: "reject"`, and there is one. */
  | { readonly verdict: "exists"; readonly state: TaskState }
  /** The task of this same nonce was deleted on purpose since. */
  | { readonly verdict: "deleted" };

/** One ownership of a running task. */
export interface Ownership {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly fence: string;
}

/** The answer to an owner's call: what the header says now. */
export interface OwnerAnswer {
  /** `accepted`: done. `kept`: it had ended under this fence already. `lost`: another owns it. `gone`: no record. */
  readonly verdict: "accepted" | "kept" | "lost" | "gone";
  readonly state: TaskState | "deleted" | null;
  readonly cancelAsked: boolean;
}

/** A claim by one listener. */
export interface ClaimRequest {
  readonly listener: string;
  /** 1, 2, 3, …; the same number again is a replay of the same claim. One claim in flight per listener. */
  readonly sequence: number;
  /** At most so many tasks. */
  readonly free: number;
  /** Milliseconds of the leases. */
  readonly lease: number;
  /** At most 128 names, looked at in this order. */
  readonly names: readonly string[];
  /** Refresh this listener's presence on the names given, for `duration` milliseconds. */
  readonly presence?: { readonly names: readonly string[]; readonly duration: number };
}

/** What a claim brought. */
export interface ClaimAnswer {
  /** The claimed tasks as their records are now: running, owned by the listener, under one fence. */
  readonly tasks: readonly TaskRecord[];
  /** Names where work was left because the claim stopped at a bound, not for lack of free slots. */
  readonly more: readonly string[];
  /** Milliseconds until the next due task or end of a lease among the names; null when there is none. */
  readonly nextIn: number | null;
  /** Ids whose records cannot be read: they are set aside among the dead letters now, their bytes as they were. A replay does not tell again. */
  readonly aside: readonly string[];
}

/** A renewal of all running tasks of one owner. */
export interface RenewRequest {
  readonly owner: string;
  readonly lease: number;
  readonly tasks: readonly Ownership[];
  readonly presence?: { readonly names: readonly string[]; readonly duration: number };
}

/** How an attempt ended without success. */
export interface Failure {
  readonly state: "failed" | "cancelled" | "expired";
  readonly outcome: string;
  /** Milliseconds until the next attempt; absent = it ends here. Past the deadline it ends here too. */
  readonly retryIn?: number;
}

/** A caller takes a task out of the queue to run it itself. */
export interface WithdrawRequest {
  readonly id: string;
  readonly nonce: string;
  readonly owner: string;
  readonly lease: number;
}

/** What became of a withdrawal. */
export type WithdrawAnswer =
  /** It is `running`, owned by the caller. */
  | { readonly verdict: "owned"; readonly record: TaskRecord }
  /** Too late, or another run: `state` is what the header says; null = no record. */
  | { readonly verdict: "refused"; readonly state: TaskState | "deleted" | null };

/** A cancel from anywhere. */
export interface CancelRequest {
  readonly id: string;
  /** Only this run, when given. */
  readonly nonce?: string;
  /** Leave it alone when others have joined. */
  readonly unlessJoined?: boolean;
}

/** What became of a cancel. */
export type CancelAnswer =
  /** It was waiting and never starts. */
  | { readonly verdict: "cancelled" }
  /** It runs; its owner is told. */
  | { readonly verdict: "asked" }
  /** It had ended before, in this state. */
  | { readonly verdict: "ended"; readonly state: TaskState }
  /** Others wait for it, so it goes on. */
  | { readonly verdict: "joined" }
  /** No such task or run. */
  | { readonly verdict: "unknown" };

/** Writes the record of a task that does not live in a queue: stored, or run in this process. */
export interface PutRequest {
  readonly id: string;
  readonly name: string;
  readonly nonce: string;
  readonly kind: TaskKind;
  readonly state: TaskState;
  readonly owner: string;
  /** Milliseconds until the deadline; 0 = none. */
  readonly timeout: number;
  readonly resultTtl: number;
  readonly options: string;
  readonly params: string;
  readonly outcome: string;
}

/** `written`, or `conflict`: a live record of another nonce is there and stays. */
export interface PutAnswer {
  readonly verdict: "written" | "conflict";
  readonly state: TaskState | "deleted" | null;
}

/** A reader takes what has ended. */
export interface TakeRequest {
  readonly id: string;
  /** Twelve characters; the same reader may take again. */
  readonly reader: string;
  /** Only this run, when given. */
  readonly nonce?: string;
}

/**
 * Hears the ids of tasks that ended or were replaced; none when it is the client's own ping. `record`: a lone one's as it
 * ended, when it was small; null says that it is to be read.
 */
export type OnTold = (ids: readonly string[], record: TaskRecord | null) => void;

/** The bell of a listener: wakes it when one of its names got work. */
export interface Bell {
  /** Waits for a token on one of the names: the name, or null after `timeout` milliseconds or a {@linkcode cancel}. */
  wait(names: readonly string[], timeout: number): Promise<string | null>;
  /** Ends a pending wait; when it resolves, nothing waits on the server any more. */
  cancel(): Promise<void>;
  close(): void;
}

/** The verbs of the protocol. */
export interface Store {
  enqueue(request: EnqueueRequest): Promise<EnqueueAnswer>;
  claim(request: ClaimRequest): Promise<ClaimAnswer>;
  /** Ends a running task as succeeded. */
  complete(task: Ownership, outcome: string): Promise<OwnerAnswer>;
  /** Ends a running task without success, or schedules its next attempt. */
  fail(task: Ownership, failure: Failure): Promise<OwnerAnswer>;
  /**
   * Gives running tasks back to the head of their queues, in the order given; the attempt is not counted. `delay`: not
   * to be started for so many milliseconds, at most until their deadline. @default 0
   */
  release(tasks: readonly Ownership[], delay?: number): Promise<readonly OwnerAnswer[]>;
  /** Renews leases and presence; answers in the order of `tasks`. Recovers expired leases of the same names. */
  renew(request: RenewRequest): Promise<readonly OwnerAnswer[]>;
  /** Writes how far a running task is. */
  progress(task: Ownership, outcome: string): Promise<OwnerAnswer>;
  withdraw(request: WithdrawRequest): Promise<WithdrawAnswer>;
  cancel(request: CancelRequest): Promise<CancelAnswer>;
  put(request: PutRequest): Promise<PutAnswer>;
  /** The record of an id, or null when there is none (a tombstone counts as none). */
  read(id: string): Promise<TaskRecord | null>;
  /** The header of an id (tombstones included), or null. */
  readHeader(id: string): Promise<TaskHeader | null>;
  /** Marks an ended record as taken by this reader and returns it; null for every other reader, and when there is none. A live or joined record is returned unmarked. */
  take(request: TakeRequest): Promise<TaskRecord | null>;
  /** Deletes what this reader took, of the run of `nonce` or of any; a tombstone stays for a minute. */
  acknowledge(request: TakeRequest): Promise<void>;
  /** Does anybody listen to the name now? */
  isListened(name: string): Promise<boolean>;
  /** Says that `listener` listens to the names for `duration` milliseconds from now. */
  markListened(names: readonly string[], listener: string, duration: number): Promise<void>;
  /** Removes the presence and the replay record of a listener. */
  leave(listener: string, names: readonly string[]): Promise<void>;
  /** Messages to a client's inbox. `onGap`: some may have been missed. */
  openInbox(client: string, onTold: OnTold, onGap: () => void): Promise<Subscription>;
  /** Sends a client's own inbox a message with no ids; it proves that the inbox hears. */
  pingInbox(client: string): Promise<void>;
  /** Messages to a listener or a caller that runs a task itself: ids whose cancel was asked for. */
  openControl(owner: string, onIds: (ids: readonly string[]) => void, onGap: () => void): Promise<Subscription>;
  openBell(): Promise<Bell>;
  /** Rings the bell of a name: wakes one who waits for it, or leaves a token. */
  ring(name: string): Promise<void>;
  /** A page of the dead letters of a name. */
  dead(name: string, page?: DeadPage): Promise<DeadLetters>;
  /** Queues a failed task again: without attempts, deadline and outcome. */
  requeue(request: RequeueRequest): Promise<RequeueAnswer>;
  /** Deletes a task that has ended, is only stored, or was set aside. */
  remove(request: RemoveRequest): Promise<RemoveAnswer>;
  /** How much there is under a name. */
  counts(name: string): Promise<QueueCounts>;
}
