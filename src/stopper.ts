/**
 * Tells one piece of work to stop, and why: an `AbortController` whose signal is made only when somebody asks for it.
 *
 * Most handlers never look at `task.signal`, and most calls are over before anything ends them. A signal with a listener
 * costs more than all else that is done for such a task in this process.
 *
 * @module
 */

/** Stops once. */
export class Stopper {
  #callbacks: Set<() => void> | undefined;
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;

  /** Was it told to stop? */
  get aborted(): boolean {
    return this.#aborted;
  }

  /** Why; undefined before. */
  get reason(): unknown {
    return this.#reason;
  }

  /** The signal that says the same. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Stops, for the first reason that is given: first those that {@linkcode Stopper.onAbort} knows, then the signal. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const callbacks = this.#callbacks;
    this.#callbacks = undefined;
    if (callbacks !== undefined) { for (const callback of callbacks) callback(); }
    this.#controller?.abort(reason);
  }

  /** Calls back when it stops, or now when it has. */
  onAbort(callback: () => void): void {
    if (this.#aborted) return callback();
    (this.#callbacks ??= new Set()).add(callback);
  }

  /** Calls this one back no more. */
  forget(callback: () => void): void {
    this.#callbacks?.delete(callback);
  }

  /** Throws the reason once it has stopped. */
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }
}
