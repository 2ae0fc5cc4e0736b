/**
 * Writes how far a running task is: at most ten times a second, the latest only, one write in flight.
 *
 * Nobody waits for these writes: a handler may report a thousand steps a second and is not slowed down. Their answers
 * are heard all the same, so a lost or cancelled task learns of it here sooner than by its next renewal.
 *
 * Rejected: one write a report, which made progress dearer than the tasks that reported it.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { LeaseLostError, TaskCancelledError } from "./errors.ts";
import { encodeOutcome, type FailedAttempt, type Progress } from "./outcome.ts";
import type { Stopper } from "./stopper.ts";
import type { OwnerAnswer, Ownership, Store } from "./store/store.ts";

/** Milliseconds between two writes. */
const PAUSE = 100;

/** What a {@linkcode ProgressWriter} needs. */
export interface ProgressWriterOptions {
  readonly ownership: Ownership;
  /** Aborted when the store says that the task is lost or cancelled. */
  readonly stopper: Stopper;
  readonly context: { readonly store: Store; readonly clock: Clock };
  /** What an earlier attempt reported last. */
  readonly last: Progress | null;
  /** The attempts that failed before this one. */
  readonly attempts?: readonly FailedAttempt[];
}

/** The progress of one attempt. */
export class ProgressWriter {
  readonly #options: ProgressWriterOptions;
  #last: Progress | null;
  #body = "";
  #ended = false;
  #unsent = false;
  #busy = false;
  #nextAt = -Infinity;
  #cancelTimer: (() => void) | null = null;

  /** Writes nothing before the first report. */
  constructor(options: ProgressWriterOptions) {
    this.#options = options;
    this.#last = options.last;
  }

  /** The last report, of this or an earlier attempt. */
  get last(): Progress | null {
    return this.#last;
  }

  /** Takes a report; after the end it is dropped. Throws the reason of an abort, which is how a handler learns to stop. */
  report(progress: Progress): Promise<void> {
    const { stopper } = this.#options;
    if (stopper.aborted) return Promise.reject(stopper.reason);
    if (this.#ended) return Promise.resolve();
    this.#last = progress;
    this.#unsent = true;
    this.#pump();
    return Promise.resolve();
  }

  /** Writes now, with `body` as the result so far, and waits for it. Throws `LeaseLostError` when the task is not ours any more. */
  async save(body: string): Promise<void> {
    const { stopper, ownership } = this.#options;
    stopper.throwIfAborted();
    if (this.#ended) throw new LeaseLostError(`Cannot save task ${ownership.id}: its attempt has ended`);
    this.#body = body;
    this.#unsent = false;
    this.#learn(await this.#write());
    stopper.throwIfAborted();
  }

  /** Writes no more: what is left travels with the outcome. */
  end(): void {
    this.#ended = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #pump(): void {
    if (this.#ended || !this.#unsent || this.#busy || this.#cancelTimer !== null) return;
    const { clock } = this.#options.context;
    const wait = this.#nextAt - clock.monotonic();
    if (wait <= 0) return void this.#send();
    this.#cancelTimer = clock.after(wait, () => {
      this.#cancelTimer = null;
      this.#pump();
    });
  }

  async #send(): Promise<void> {
    this.#busy = true;
    this.#unsent = false;
    this.#nextAt = this.#options.context.clock.monotonic() + PAUSE;
    try {
      this.#learn(await this.#write());
    } catch {
      // The next report, the renewal or the outcome will tell; progress alone is not worth a repetition.
    }
    this.#busy = false;
    this.#pump();
  }

  #write(): Promise<OwnerAnswer> {
    const { context, ownership, attempts } = this.#options;
    const outcome = { progress: this.#last, body: this.#body, ...attempts ? { attempts } : {} };
    return context.store.progress(ownership, encodeOutcome(outcome));
  }

  #learn(answer: OwnerAnswer): void {
    const { stopper, ownership } = this.#options;
    if (this.#ended) return;
    const stop = `Cannot finish task ${ownership.id}`;
    if (answer.verdict !== "accepted") stopper.abort(new LeaseLostError(`${stop}: its lease is lost`));
    else if (answer.cancelAsked) stopper.abort(new TaskCancelledError(`${stop}: it was cancelled`));
  }
}
