/**
 * One caller's wait for one task, inside the inbox.
 *
 * Registered before the task is sent, it remembers a message that comes before it waits. A message makes it read the
 * record; the safety net makes it read the header first. It knows no time and no signal: whoever waits closes it.
 *
 * Previous: `inbox.ts`. Next: `store/store.ts`.
 *
 * @module
 */
import { ConnectionLostError, TaskCancelledError, TaskReplacedError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { TaskHeader, TaskRecord } from "./record.ts";
import type { Store } from "./store/store.ts";

/** What a waiter waits for. */
export interface Wait {
  /** The run that is meant; another one under the same id is a `TaskReplacedError`. */
  readonly nonce: string;
  /** The record has vanished without a trace (a flush, an eviction, a failover): asks for the task again. */
  resubmit(): Promise<void>;
  /** The safety net saw the task queued still. */
  onWaiting?(header: TaskHeader): void;
}

/** A wait that has not settled. */
interface Pending {
  readonly wait: Wait;
  resolve(record: TaskRecord): void;
  reject(reason: unknown): void;
}

/** One caller that waits for one task. */
export class Waiter {
  /** The id of the task. */
  readonly id: string;
  /** Resolves when messages arrive here; before that nothing must be sent. Rejects with `ConnectionLostError`. */
  readonly ready: Promise<void>;
  readonly #store: Store;
  readonly #log: Log;
  readonly #leave: (waiter: Waiter) => void;
  #rang = false;
  #reading = false;
  #dismissed: ConnectionLostError | null = null;
  #current: Pending | null = null;

  /** Made by the inbox. */
  constructor(
    id: string,
    context: { readonly store: Store; readonly log: Log; readonly ready: Promise<void>; leave(waiter: Waiter): void },
  ) {
    this.id = id;
    this.ready = context.ready;
    this.#store = context.store;
    this.#log = context.log;
    this.#leave = context.leave;
  }

  /**
   * Resolves with the record once the task has ended. Rejects with `TaskReplacedError`, and with `TaskCancelledError`
   * when the task was deleted. A second call takes the place of the first.
   */
  ended(wait: Wait): Promise<TaskRecord> {
    return new Promise<TaskRecord>((resolve, reject) => {
      if (this.#dismissed !== null) return reject(this.#dismissed);
      this.#current = { wait, resolve, reject };
      if (this.#rang) this.ring();
    });
  }

  /** Leaves the inbox; a pending {@linkcode ended} never settles. */
  close(): void {
    this.#current = null;
    this.#leave(this);
  }

  /** The inbox itself is closed: nothing more will be heard. */
  dismiss(): void {
    this.#dismissed = closedError(this.id);
    this.#current?.reject(this.#dismissed);
    this.close();
  }

  /** Throws when the inbox was closed meanwhile. */
  refuseDismissed(): void {
    if (this.#dismissed !== null) throw this.#dismissed;
  }

  /** Something was heard of the id. */
  ring(): void {
    this.#rang = true;
    if (this.#current !== null && !this.#reading) void this.#read();
  }

  /** The safety net's look: the header alone says whether there is more to read. */
  async look(): Promise<void> {
    const current = this.#current;
    if (current === null || this.#reading) return;
    const header = await this.#store.readHeader(this.id).catch(() => undefined);
    if (header === undefined || this.#current !== current) return;
    if (header?.nonce !== current.wait.nonce || !isLive(header)) return this.ring();
    // One that is scheduled has a delay to keep.
    if (header.state === "queued") current.wait.onWaiting?.(header);
  }

  /** One read at a time; what rings meanwhile is read after it. */
  async #read(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#rang && this.#current !== null) {
        this.#rang = false;
        await this.#readOnce(this.#current);
      }
    } catch (error) {
      // The store gave up; the next look tries again, until whoever waits gives up.
      this.#log({ level: "warn", message: "An answer could not be read", id: this.id, error });
    } finally {
      this.#reading = false;
    }
  }

  async #readOnce(current: Pending): Promise<void> {
    const record = await this.#store.read(this.id);
    if (this.#current !== current) return;
    if (record === null) return await this.#missing(current);
    if (record.nonce !== current.wait.nonce) return current.reject(replaced(this.id));
    if (hasEnded(record)) current.resolve(record);
  }

  /** A tombstone of this run means deleted; nothing at all, that Redis has lost it. */
  async #missing(current: Pending): Promise<void> {
    const header = await this.#store.readHeader(this.id);
    if (this.#current !== current) return;
    if (header?.state === "deleted") {
      return current.reject(new TaskCancelledError(`Cannot wait for task ${this.id}: it was deleted`));
    }
    if (header !== null) return;
    await current.wait.resubmit().catch((error) => current.reject(error));
  }
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
