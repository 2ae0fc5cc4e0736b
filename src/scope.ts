/**
 * What a running handler leaves to those whom it asks in turn: its time, and its end.
 *
 * 1. The executor runs each handler inside a scope. It follows the handler through awaits, timers and `Promise.all`.
 * 2. A call that is made inside has at most the time that is left, and ends when the attempt is aborted.
 * 3. Once the handler has settled its scope is over: what it left behind (an interval, say) asks on its own account.
 *
 * Rejected: a parameter that every handler passes on. The one who forgets it waits for an answer that nobody wants.
 *
 * Previous: `executor.ts`. Next: `calls.ts`, `limits.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { AsyncLocalStorage } from "./runtime/mod.ts";
import type { Stopper } from "./stopper.ts";

const storage = new AsyncLocalStorage<Scope>();

/** What limits a {@linkcode Scope}. */
export interface ScopeLimits {
  readonly clock: Clock;
  readonly end: number;
  readonly stopper: Stopper;
}

/** The limits of one running attempt. */
export class Scope {
  /** The task whose handler runs. */
  readonly id: string;
  readonly #clock: Clock;
  readonly #end: number;
  readonly #stopper: Stopper;
  #isOver = false;

  /** Until `end`, monotonic milliseconds, `Infinity` = no limit. `stopper` says when the attempt is to stop. */
  constructor(id: string, { clock, end, stopper }: ScopeLimits) {
    this.id = id;
    this.#clock = clock;
    this.#end = end;
    this.#stopper = stopper;
  }

  /** Milliseconds that are left; below 0 when there are none. */
  get left(): number {
    return this.#end - this.#clock.monotonic();
  }

  /** Calls back when the attempt is aborted, now if it has been; returns what ends that. */
  onAbort(callback: (reason: unknown) => void): () => void {
    const own = () => {
      if (!this.#isOver) callback(this.#stopper.reason);
    };
    this.#stopper.onAbort(own);
    return () => this.#stopper.forget(own);
  }

  /** Runs a handler inside. */
  run<Task, Result>(handler: (task: Task) => Result, task: Task): Result {
    return storage.run(this, handler, task);
  }

  /** The handler has settled: nothing is limited any more. */
  close(): void {
    this.#isOver = true;
  }

  /** The scope of the handler that the present code belongs to; undefined outside. */
  static current(): Scope | undefined {
    const scope = storage.getStore();
    return scope === undefined || scope.#isOver ? undefined : scope;
  }
}
