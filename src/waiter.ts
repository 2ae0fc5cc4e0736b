/**
 * One caller's wait for one task, inside the inbox.
 *
 * Registered before the task is sent, it remembers a message that comes before it waits. A message brings the
 * record or makes it read that; the safety net makes it read the header first. It knows no timer and no signal: whoever waits closes it.
 *
 * Previous: `inbox.ts`. Next: `store/store.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { ConnectionLostError, TaskCancelledError, TaskReplacedError } from "./errors.ts";
import type { Log } from "./log.ts";
import { isElsewhere } from "./port/cluster.ts";
import { isForbidden } from "./port/forbidden.ts";
import type { TaskHeader, TaskRecord } from "./record.ts";
import type { Store } from "./store/store.ts";

/** What a waiter waits for. */
export interface Wait {
  /** The run that is meant; another one under the same id is a `TaskReplacedError`. */
  readonly nonce: string;
  /**
   * Asks for the task again, under the same nonce: its record has vanished without a trace (a flush, an eviction, a
   * failover), or it has been waiting or running for a whole lease.
   */
  resubmit(): Promise<void>;
  /** The safety net saw the task waiting still. */
  onWaiting?(header: TaskHeader): void;
}

/** A wait, and who is told of its end. */
export interface Pending extends Wait {
  /** With the record, once the task has ended. */
  ended(record: TaskRecord): void;
  /** With `TaskReplacedError`, with `TaskCancelledError` when the task was deleted, or because no look can help. */
  failed(reason: unknown): void;
}

/** What a waiter needs. */
export interface WaiterContext {
  readonly store: Store;
  readonly log: Log;
  readonly clock: Clock;
  /** Milliseconds after which an owner that has died owns a task no longer. */
  readonly lease: number;
  leave(waiter: Waiter): void;
}

/** One caller that waits for one task. */
export class Waiter {
  /** The id of the task. */
  readonly id: string;
  /** Resolves when messages arrive here, null when they do; before that nothing must be sent. Rejects with `ConnectionLostError`. */
  readonly ready: Promise<void> | null;
  readonly #context: WaiterContext;
  /** The ownership, or its absence, that was seen last, and since when, on our own clock: Redis' may be another. */
  #run: { readonly of: string; readonly from: number } | null = null;
  #rang = false;
  /** What came along with what was heard last. */
  #brought: TaskRecord | null = null;
  #reading = false;
  #dismissed: ConnectionLostError | null = null;
  #current: Pending | null = null;

  /** Made by the inbox. */
  constructor(id: string, context: WaiterContext, ready: Promise<void> | null) {
    this.id = id;
    this.ready = ready;
    this.#context = context;
  }

  /**
   * Resolves with the record once the task has ended. Rejects with `TaskReplacedError`, and with `TaskCancelledError`
   * when the task was deleted. A second call takes the place of the first.
   */
  ended(wait: Wait): Promise<TaskRecord> {
    return new Promise<TaskRecord>((resolve, reject) => {
      const { nonce } = wait;
      const resubmit = () => wait.resubmit();
      const onWaiting = (header: TaskHeader) => wait.onWaiting?.(header);
      this.wait({ nonce, resubmit, onWaiting, ended: resolve, failed: reject });
    });
  }

  /** The same with callbacks. */
  wait(pending: Pending): void {
    if (this.#dismissed !== null) return pending.failed(this.#dismissed);
    this.#current = pending;
    if (this.#rang) this.ring();
  }

  /** Leaves the inbox; a pending {@linkcode ended} never settles. */
  close(): void {
    this.#current = null;
    this.#context.leave(this);
  }

  /** The inbox itself is closed: nothing more will be heard. */
  dismiss(): void {
    this.#dismissed = closedError(this.id);
    this.#current?.failed(this.#dismissed);
    this.close();
  }

  /** Throws when the inbox was closed meanwhile. */
  refuseDismissed(): void {
    if (this.#dismissed !== null) throw this.#dismissed;
  }

  /** Something was heard of the id; with the record, when that came along. */
  ring(record: TaskRecord | null = this.#brought): void {
    this.#rang = true;
    this.#brought = record;
    const current = this.#current;
    if (current === null) return;
    // The end of a run is final. Whatever else came may be older than what stands there now: only reading tells.
    if (record?.nonce === current.nonce && hasEnded(record)) return current.ended(record);
    if (!this.#reading) void this.#read();
  }

  /** The safety net's look: the header alone says whether there is more to read. */
  async look(): Promise<void> {
    const current = this.#current;
    if (current === null || this.#reading) return;
    const header = await this.#context.store.readHeader(this.id).catch((error) => {
      if (isHopeless(error)) current.failed(error); // No later look would see more.
      return undefined;
    });
    if (header === undefined || this.#current !== current) return;
    if (header?.nonce !== current.nonce || !isLive(header)) return this.ring();
    if (header.state !== "running") current.onWaiting?.(header);
    // One that is scheduled has a delay to keep.
    if (header.state === "scheduled") this.#run = null;
    else await this.#doubt(current, header);
  }

  /**
   * What was seen in one place for a whole lease: its owner may have died, and with no listener nobody else takes it
   * back; or Redis has evicted the list in which it waits. Asking again helps, and leaves alone what is well.
   */
  async #doubt(current: Pending, { fence, owner }: TaskHeader): Promise<void> {
    const now = this.#context.clock.monotonic();
    const run = `${fence} ${owner}`;
    if (this.#run?.of !== run) this.#run = { of: run, from: now };
    if (now - this.#run.from <= this.#context.lease) return;
    this.#run = { of: run, from: now };
    await current.resubmit().catch((error) => {
      this.#context.log({ level: "warn", message: "A task could not be asked for again", id: this.id, error });
    });
  }

  /** One read at a time; what rings meanwhile is read after it. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#rang && this.#current !== null) {
        this.#rang = false;
        const current = this.#current;
        const record = await this.#context.store.read(this.id);
        if (this.#current !== current) continue;
        if (record === null) await this.#missing(current);
        else if (record.nonce !== current.nonce) current.failed(replaced(this.id));
        else if (hasEnded(record)) current.ended(record);
      }
    } catch (error) {
      if (isHopeless(error)) return this.#current?.failed(error);
      // The store gave up; the next look tries again, until whoever waits gives up.
      this.#context.log({ level: "warn", message: "An answer could not be read", id: this.id, error });
    } finally {
      this.#reading = false;
    }
  }

  /** A tombstone of this run means deleted; nothing at all, that Redis has lost it. */
  async #missing(current: Pending): Promise<void> {
    const header = await this.#context.store.readHeader(this.id);
    if (this.#current !== current) return;
    if (header?.state === "deleted") {
      return current.failed(new TaskCancelledError(`Cannot wait for task ${this.id}: it was deleted`));
    }
    if (header !== null) return;
    await current.resubmit().catch((error) => {
      // A Redis that has lost it may be away or read-only still (a failover): the next look asks again.
      if (error instanceof ConnectionLostError) throw error;
      current.failed(error);
    });
  }
}

/** Would the next try on this connection fail as well? */
function isHopeless(error: unknown): boolean {
  return isForbidden(error) || isElsewhere(error);
}

function replaced(id: string): TaskReplacedError {
  return new TaskReplacedError(`Cannot wait for task ${id}: a newer run of the same id replaced it`);
}

/** What a wait ends with when its queue is closed. */
export function closedError(id: string): ConnectionLostError {
  return new ConnectionLostError(`Cannot wait for task ${id} any longer: its queue was closed`, { sent: true });
}

function isLive({ state }: TaskHeader): boolean {
  return state === "scheduled" || state === "queued" || state === "running";
}

/** Is this the state of a task that is over? */
export function hasEnded(header: { readonly state: TaskHeader["state"] }): boolean {
  return header.state === "succeeded" || header.state === "failed" || header.state === "cancelled" ||
    header.state === "expired";
}
