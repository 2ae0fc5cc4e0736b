/**
 * Hears of cancels from other processes while this client runs what the queue gave to it.
 *
 * 1. The first `hold` starts a short wait: most runs are over before it ends, and cost no subscription.
 * 2. Then the control channel is opened, as often as it takes; what was missed until then, `onGap` finds out.
 * 3. When nothing is held any more it is closed, so that a script which has its answers ends by itself.
 *
 * Previous: `runner.ts`. Next: `store/store.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { whenAborted } from "./limits.ts";
import type { Random } from "./random.ts";
import { repeat } from "./repeat.ts";
import type { Store } from "./store/store.ts";

/** What a {@linkcode CancelWatch} needs. */
export interface CancelWatchContext {
  readonly store: Store;
  /** The client id. */
  readonly owner: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Cancel was asked for these ids. */
  onIds(ids: readonly string[]): void;
  /** Some may have been missed. */
  onGap(): void;
}

/** A run that is over within so many milliseconds has no subscription made for it. */
const OPEN_AFTER = 50;

/** The control channel of one client, open while something is held. */
export class CancelWatch {
  readonly #context: CancelWatchContext;
  #held = 0;
  #stop = new AbortController();

  /** Opens nothing yet. */
  constructor(context: CancelWatchContext) {
    this.#context = context;
  }

  /** Keeps it open until `run` settles. */
  hold(run: Promise<unknown>): void {
    this.#held += 1;
    if (this.#held === 1) this.#start();
    const release = () => {
      this.#held -= 1;
      if (this.#held === 0) this.#stop.abort();
    };
    run.then(release, release);
  }

  #start(): void {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const cancel = this.#context.clock.after(OPEN_AFTER, () => void this.#open(signal), { background: true });
    whenAborted(signal, cancel);
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { store, owner, clock, random, onIds, onGap } = this.#context;
    try {
      const open = () => store.openControl(owner, onIds, onGap);
      const control = await repeat(open, { clock, random, signal, again: () => true });
      whenAborted(signal, () => control.close());
      if (!signal.aborted) onGap();
    } catch {
      // Nothing is held any more; until then renewals told of cancels.
    }
  }
}
