/**
 * How a command ends before its time.
 *
 * 1. The first SIGINT or SIGTERM aborts `signal`: the command stops gracefully and returns its exit code.
 * 2. The second runs what `urgent` says (give running tasks back), for one second at most, and exits with 130.
 * 3. An unhandled rejection or uncaught exception is logged and stops the command as (1) does, with exit code 70: the
 *    process is in a state that nobody foresaw, but its tasks need not wait for their leases. If even that hangs, the
 *    urgent stop follows.
 *
 * @module
 */
import process from "node:process";
import { EXIT, type ExitCode } from "./exit_codes.ts";
import { describeFully, type Output } from "./output.ts";

const URGENT_MS = 1_000;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;
const FAULTS = ["unhandledRejection", "uncaughtException"] as const;

/** What a command does when it has to end; see the module comment. */
export class Shutdown {
  readonly #output: Output;
  readonly #controller = new AbortController();
  readonly #onSignal = (): void => this.#interrupt();
  readonly #onFault = (error: unknown): void => this.#fault(error);
  #urgent: () => Promise<void> | void = () => {};
  #drain = 10_000;
  #message = "stopping; once more to stop at once";
  #faulted = false;

  /** Starts to watch signals and faults of this process. */
  constructor(output: Output) {
    this.#output = output;
    for (const name of SIGNALS) process.on(name, this.#onSignal);
    for (const name of FAULTS) process.on(name, this.#onFault);
  }

  /** Aborts at the first signal or fault. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Did an unhandled rejection or an uncaught exception occur? */
  get faulted(): boolean {
    return this.#faulted;
  }

  /** Sets what a graceful stop says, how long it may take after a fault (milliseconds), and what the urgent stop does. */
  configure(options: { message?: string; drain?: number; urgent?: () => Promise<void> | void }): void {
    this.#message = options.message ?? this.#message;
    this.#drain = options.drain ?? this.#drain;
    this.#urgent = options.urgent ?? this.#urgent;
  }

  /** Stops gracefully for another reason than a signal. */
  stop(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Rejects when the signal aborts before the promise settles. */
  async race<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this;
    let stop = (): void => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop);
    });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Stops watching: signals act as the runtime would have them. */
  dispose(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
    for (const name of FAULTS) process.off(name, this.#onFault);
  }

  #interrupt(): void {
    if (this.signal.aborted) {
      void this.#exitUrgently(EXIT.interrupted);
      return;
    }
    this.#output.note(this.#message);
    this.stop(new DOMException("interrupted", "AbortError"));
  }

  #fault(error: unknown): void {
    this.#output.note(`unhandled: ${describeFully(error)}`);
    if (this.#faulted) return;
    this.#faulted = true;
    this.#controller.abort(new DOMException("stopped by an unhandled error", "AbortError"));
    setTimeout(() => void this.#exitUrgently(EXIT.fault), this.#drain);
  }

  async #exitUrgently(code: ExitCode): Promise<void> {
    this.#output.note("stopping at once");
    setTimeout(() => process.exit(code), URGENT_MS);
    try {
      await this.#urgent();
    } catch (error) {
      this.#output.note(describeFully(error));
    }
    process.exit(code);
  }
}
