/**
 * A call: one task that somebody waits for, from what was asked to its result, by a policy and within limits.
 *
 * Previous: `queue.ts`. Next: `policy.ts`, `remote.ts`, `runner.ts`.
 *
 * @module
 */
import type { CancelResult } from "./cancel.ts";
import { checkDuration } from "./checks.ts";
import { Inbox } from "./inbox.ts";
import { within } from "./limits.ts";
import { resultTtlFor } from "./options.ts";
import { type Places, type RemoteMode, runByPolicy, TaskExecutePolicy } from "./policy.ts";
import { digits } from "./record.ts";
import { Remote } from "./remote.ts";
import { optionsWith } from "./retries.ts";
import type { Backoff } from "./retry.ts";
import { RunError, unwrap } from "./run_error.ts";
import { missingHandler, Runner } from "./runner.ts";
import { Scope } from "./scope.ts";
import type { Stopper } from "./stopper.ts";
import type { RedisTask } from "./task.ts";
import type { ClientContext, Submission } from "./submission.ts";
import { settledWithin } from "./until.ts";

/** What is asked for. */
export interface CallRequest {
  readonly id: string;
  readonly name: string;
  readonly params: unknown;
  /** Milliseconds; `Infinity` = none. */
  readonly timeout: number;
  readonly policy: TaskExecutePolicy;
  readonly once?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly startWithin?: number | undefined;
  readonly resultTtl?: number | undefined;
  readonly maxAttempts?: number | undefined;
  readonly backoff?: Backoff | undefined;
}

/** The run that a call gets its answer from: its own, or one that it joined. */
interface Run {
  nonce: string;
}

/** A caller that has its answer does not wait longer than this, in milliseconds, for the record to go. */
const FORGET_WAIT = 1_000;

/** All calls of one client. */
export class Calls {
  readonly #context: ClientContext;
  readonly #inbox: Inbox;
  readonly #runner: Runner;
  readonly #remote: Remote;
  /** Of a task that brings none of its own. */
  readonly #options: string;
  #count = 0;

  /** Calls nothing yet. */
  constructor(context: ClientContext) {
    const { store, client, settings: { clock, interval, lease, log } } = context;
    this.#context = context;
    this.#options = optionsWith(context.settings.backoff);
    this.#inbox = new Inbox({ store, client, clock, interval, lease, log });
    this.#runner = new Runner(context);
    this.#remote = new Remote(context, this.#inbox, this.#runner);
  }

  /**
   * The result of a task. Rejects with the error of the task, of its limits, or of the connection. Made in a handler,
   * it has no more time than the handler has, and ends with it. Throws what makes it no call at all.
   */
  call(asked: CallRequest): Promise<unknown> {
    const outer = Scope.current();
    const timeout = Math.min(asked.timeout, outer?.left ?? Infinity);
    const request = timeout === asked.timeout ? asked : { ...asked, timeout };
    const { id, policy, signal, once } = request;
    const submission = this.submit(request);
    const run: Run = { nonce: submission.nonce };
    if (policy === TaskExecutePolicy.Local && this.#runner.handlerOf(request.name) === undefined) {
      throw missingHandler(request);
    }
    const parts = { context: this.#context, runner: this.#runner, remote: this.#remote, submission, request, run };
    const answer = within(
      { id, deadline: submission.deadline, signal, outer, isOuterDeadline: timeout < asked.timeout },
      this.#context.settings.clock,
      (gone) => runByPolicy(policy, new CallPlaces(parts, gone, () => this.nextNonce())),
      once ? undefined : unwrap,
    );
    return once ? this.#once(answer, id, run) : answer;
  }

  /** The record goes when the answer is here. */
  async #once(answer: Promise<unknown>, id: string, run: Run): Promise<unknown> {
    try {
      const value = await answer;
      await this.#forget(id, run.nonce);
      return value;
    } catch (error) {
      const answered = error instanceof RunError && (error.kind === "failed" || error.kind === "final");
      if (answered) await this.#forget(id, run.nonce);
      throw unwrap(error);
    }
  }

  /** Does a task that the caller holds: its result, which the task has afterwards, as it has its error. */
  async execute<Params, Result>(
    task: RedisTask<Params, Result>,
    options: Omit<CallRequest, "id" | "name" | "params" | "policy" | "timeout"> & { readonly timeout?: number },
    policy: TaskExecutePolicy,
  ): Promise<Result> {
    const { id, name, params, expiry } = task;
    const { timeout: usual, clock } = this.#context.settings;
    const left = expiry === Infinity ? usual : expiry - clock.now();
    const timeout = checkDuration("timeout", Math.max(0, options.timeout ?? left), { infinite: true });
    try {
      task.result = await this.call({ ...options, id, name, params, timeout, policy }) as Result;
      task.state = "succeeded";
      return task.result;
    } catch (error) {
      if (error instanceof Error) task.error = error;
      throw error;
    }
  }

  /** A task to hand in, under a nonce of its own. */
  submit(
    task: Omit<CallRequest, "policy" | "once" | "signal" | "startWithin"> & { readonly nonce?: string },
  ): Submission {
    const { settings } = this.#context;
    const { id, name, params, timeout, nonce = this.nextNonce(), maxAttempts = settings.maxAttempts } = task;
    const deadline = settings.clock.monotonic() + timeout;
    const resultTtl = resultTtlFor(settings, task.resultTtl, timeout);
    const options = task.backoff === undefined ? this.#options : optionsWith(task.backoff);
    return { id, name, params, nonce, deadline, resultTtl, maxAttempts, options };
  }

  /** Cancels what runs here, in no queue, under an id: what became of each run. */
  async cancelHere(id: string): Promise<CancelResult[]> {
    const executions = await this.#runner.cancelHere(id);
    return executions.map(({ state }) => state === "cancelled" ? state : "completed");
  }

  /** The queue was asked to cancel an id: what it gave to this client hears of it at once. */
  cancelled(id: string): void {
    this.#runner.cancelled([id]);
  }

  /** Ends all waits, and gives back what the queue gave to this client. */
  async close(): Promise<void> {
    this.#inbox.close();
    await this.#runner.close();
  }

  /** The answer is here, nobody else needs the record; one that others have joined stays, and so does another run. */
  async #forget(id: string, nonce: string): Promise<void> {
    const { store, client: reader, settings: { clock } } = this.#context;
    const forgotten = store.take({ id, reader, nonce }).then((taken) =>
      taken && store.acknowledge({ id, reader, nonce })
    );
    await settledWithin(forgotten, FORGET_WAIT, clock);
  }

  /** Names one more submission of this client. */
  nextNonce(): string {
    this.#count = (this.#count + 1) % 100_000_000;
    return this.#context.client + digits(this.#count, 8);
  }
}

interface CallParts {
  readonly context: ClientContext;
  readonly runner: Runner;
  readonly remote: Remote;
  readonly submission: Submission;
  readonly request: CallRequest;
  readonly run: Run;
}

/** Where one call may be done. */
class CallPlaces implements Places<unknown> {
  readonly #parts: CallParts;
  readonly #gone: Stopper;
  readonly #nextNonce: () => string;

  constructor(parts: CallParts, gone: Stopper, nextNonce: () => string) {
    this.#parts = parts;
    this.#gone = gone;
    this.#nextNonce = nextNonce;
  }

  get canRunHere(): boolean {
    const { runner, submission } = this.#parts;
    return runner.handlerOf(submission.name) !== undefined;
  }

  here(keep: "every end" | "success"): Promise<unknown> {
    const { runner, submission, run } = this.#parts;
    run.nonce = this.#nextNonce();
    return runner.here({ ...submission, nonce: run.nonce }, keep, this.#gone);
  }

  remote({ ownIfUnattended, takeBack }: RemoteMode): Promise<unknown> {
    const { context, remote, submission, request, run } = this.#parts;
    const startWithin = request.startWithin ?? Math.min(context.settings.interval, request.timeout / 2);
    const onRun = (nonce: string) => void (run.nonce = nonce);
    return remote.ask(submission, { ownIfUnattended, takeBack, startWithin, onRun }, this.#gone);
  }

  isUnreachable(error: unknown): boolean {
    return error instanceof RunError && error.kind === "unreachable";
  }

  isFailure(error: unknown): boolean {
    return error instanceof RunError && error.kind === "failed";
  }
}
