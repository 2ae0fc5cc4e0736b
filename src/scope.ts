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
import { onAbort } from "./limits.ts";
import { AsyncLocalStorage } from "./runtime/mod.ts";

const storage = new AsyncLocalStorage<Scope>();

/** The limits of one running attempt. */
export class Scope {
  /** The task whose handler runs. */
  readonly id: string;
  readonly #clock: Clock;
  readonly #end: number;
  readonly #signal: AbortSignal;
  #isOver = false;

  /** Begins now; `left` is in milliseconds, `Infinity` = no limit. `signal` aborts when the attempt is to stop. */
  constructor(id: string, limits: { readonly clock: Clock; readonly left: number; readonly signal: AbortSignal }) {
    const { clock, left, signal } = limits;
    this.id = id;
    this.#clock = clock;
    this.#end = clock.monotonic() + left;
    this.#signal = signal;
  }

  /** Milliseconds that are left; below 0 when there are none. */
  get left(): number {
    return this.#end - this.#clock.monotonic();
  }

  /** Calls back when the attempt is aborted, now if it has been; returns what ends that. */
  onAbort(callback: (reason: unknown) => void): () => void {
    return onAbort(this.#signal, () => {
      if (!this.#isOver) callback(this.#signal.reason);
    });
  }

  /** Runs a handler inside. */
  run<Result>(handler: () => Result): Result {
    return storage.run(this, handler);
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
