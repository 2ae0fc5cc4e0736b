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
  /** Most have one. */
  #first: (() => void) | undefined;
  #others: Set<() => void> | undefined;
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
    const first = this.#first;
    const others = this.#others;
    this.#first = this.#others = undefined;
    first?.();
    if (others !== undefined) { for (const callback of others) callback(); }
    this.#controller?.abort(reason);
  }

  /** Calls back when it stops, or now when it has. */
  onAbort(callback: () => void): void {
    if (this.#aborted) return callback();
    if (this.#first === undefined) this.#first = callback;
    else (this.#others ??= new Set()).add(callback);
  }

  /** Calls this one back no more. */
  forget(callback: () => void): void {
    if (this.#first === callback) this.#first = undefined;
    else this.#others?.delete(callback);
  }

  /** Throws the reason once it has stopped. */
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }
}
