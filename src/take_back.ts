/**
 * Taking a task back out of the queue, to run it in the process of its caller.
 *
 * Auto does so when the presence of all listeners lapsed while the task was waiting still, RemoteFirst when it was not
 * started in time. Withdraw is one atomic step of the store: a listener that was faster keeps the task.
 *
 * Previous: `remote.ts`. Next: `store/store.ts`.
 *
 * @module
 */
import type { RemoteMode } from "./policy.ts";
import type { TaskRecord } from "./record.ts";
import type { ClientContext } from "./submission.ts";

/** A task that came back: it is running, owned by this client. */
export interface TakenBack {
  readonly record: TaskRecord;
  /** Monotonic milliseconds before the call that gave it was sent. */
  readonly from: number;
}

/** One waiting task that may be taken back. */
export class TakeBack {
  /** Resolves when the task is ours; never rejects. */
  readonly taken: Promise<TakenBack>;
  readonly #context: ClientContext;
  readonly #task: { readonly id: string; readonly name: string; readonly nonce: string };
  readonly #when: RemoteMode["takeBack"];
  readonly #cancelTimer: () => void;
  #resolve: (taken: TakenBack) => void = () => {};
  #late = false;
  #trying = false;
  #stopped = false;

  /** Watches until `stop`. `startWithin`: milliseconds from now, for the mode "not started". */
  constructor(
    context: ClientContext,
    task: { readonly id: string; readonly name: string; readonly nonce: string },
    mode: { readonly when: RemoteMode["takeBack"]; readonly startWithin: number },
  ) {
    this.#context = context;
    this.#task = task;
    this.#when = mode.when;
    this.taken = new Promise((resolve) => this.#resolve = resolve);
    this.#cancelTimer = mode.when === "not started"
      ? context.settings.clock.after(mode.startWithin, () => this.#isLate(), { background: true })
      : () => {};
  }

  /** The safety net saw the task waiting still: in its queue, or for its time. */
  look(): void {
    if (this.#when === "unattended" || this.#late) void this.#try();
  }

  /** No longer. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer();
  }

  #isLate(): void {
    this.#late = true;
    void this.#try();
  }

  async #try(): Promise<void> {
    if (this.#trying || this.#stopped) return;
    this.#trying = true;
    try {
      if (this.#late || !await this.#context.store.isListened(this.#task.name)) await this.#withdraw();
    } catch (error) {
      const { id, name: taskName } = this.#task;
      const message = `Task ${id} could not be taken back; the next look tries again`;
      this.#context.settings.log({ level: "warn", message, id, taskName, error });
    } finally {
      this.#trying = false;
    }
  }

  async #withdraw(): Promise<void> {
    const { store, client: owner, settings: { clock, lease } } = this.#context;
    const { id, nonce } = this.#task;
    if (this.#stopped) return;
    const from = clock.monotonic();
    const answer = await store.withdraw({ id, nonce, owner, lease });
    if (answer.verdict === "owned") this.#resolve({ record: answer.record, from });
  }
}
