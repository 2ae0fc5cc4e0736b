/**
 * Asks for a task through the queue and waits for its answer.
 *
 * 1. The inbox is opened and the waiter registered, so that no answer can be missed.
 * 2. Enqueue says what the task is now: accepted, joined to a run that was there, ended, or owned by this client
 *    because nobody listens.
 * 3. The waiter brings the ended record; meanwhile the task may be taken back (`take_back.ts`) and run here.
 * 4. A task that is ours runs like any claim (`runner.ts`); if its lease is lost, it is waited for again.
 *
 * Limits (deadline, signal) are those of the whole call: `gone` aborts when one is reached, and everything lets go.
 *
 * Previous: `calls.ts`. Next: `inbox.ts`, `take_back.ts`, `runner.ts`.
 *
 * @module
 */
import { ConnectionLostError, QueueFullError, TaskCancelledError, TaskConflictError } from "./errors.ts";
import type { Inbox } from "./inbox.ts";
import { andThen, isLater } from "./now_or_later.ts";
import type { RemoteMode } from "./policy.ts";
import { isForbidden } from "./port/forbidden.ts";
import type { TaskRecord } from "./record.ts";
import { RunError } from "./run_error.ts";
import { type Runner, valueOf } from "./runner.ts";
import type { Stopper } from "./stopper.ts";
import type { EnqueueAnswer } from "./store/store.ts";
import { answerOf, type ClientContext, encodeParams, requestOf, type Submission } from "./submission.ts";
import { TakeBack, type TakenBack } from "./take_back.ts";
import type { Waiter } from "./waiter.ts";

/** How a call asks. */
export interface AskMode extends RemoteMode {
  /** Milliseconds, for the mode "not started". */
  readonly startWithin: number;
  /** Hears the nonce of the run that is waited for. */
  onRun(nonce: string): void;
}

/** One call in the making. */
interface Ask {
  readonly submission: Submission;
  readonly mode: AskMode;
  readonly gone: Stopper;
  readonly waiter: Waiter;
  /** The queue took it from this call: it is there for nobody else, unless they join. */
  isOurs: boolean;
  /** Enqueues it with what is left of its time, under a nonce. */
  send(nonce: string): Promise<EnqueueAnswer>;
}

/** A task that ended elsewhere. */
interface Ended {
  readonly record: TaskRecord;
  readonly from: null;
}

/** Asks through the queue. */
export class Remote {
  readonly #context: ClientContext;
  readonly #inbox: Inbox;
  readonly #runner: Runner;

  /** Asks for nothing yet. */
  constructor(context: ClientContext, inbox: Inbox, runner: Runner) {
    this.#context = context;
    this.#inbox = inbox;
    this.#runner = runner;
  }

  /** Does one task through the queue: its result. Rejects with a `RunError`. */
  async ask(submission: Submission, mode: AskMode, gone: Stopper): Promise<unknown> {
    const { store, client: owner, settings } = this.#context;
    const encoded = encodeParams(submission, settings);
    const params = isLater(encoded) ? await encoded : encoded;
    gone.throwIfAborted();
    const own = mode.ownIfUnattended ? { ownIfUnattended: { owner, lease: settings.lease } } : {};
    const waiter = this.#inbox.expect(submission.id);
    const rest = { kind: "asked", params, ...own } as const;
    const send = (nonce: string) => store.enqueue(requestOf(submission, settings.clock, rest, nonce));
    const ask: Ask = { submission, mode, gone, waiter, send, isOurs: false };
    gone.onAbort(() => this.#leave(ask));
    try {
      if (waiter.ready !== null) await reach(waiter.ready, (error) => !isForbidden(error));
      waiter.refuseDismissed();
      gone.throwIfAborted();
      const from = settings.clock.monotonic();
      const answer = await reach(send(submission.nonce), isRefusal);
      mode.onRun(runOf(answer) ?? submission.nonce);
      return await this.#answered(ask, answer, from);
    } finally {
      waiter.close();
    }
  }

  #answered(ask: Ask, answer: EnqueueAnswer, from: number): unknown {
    const { submission, gone } = ask;
    this.#tell(submission, answer);
    ask.isOurs = answer.verdict === "accepted" || answer.verdict === "owned";
    if (gone.aborted) this.#leave(ask);
    switch (answer.verdict) {
      case "owned":
        return this.#own(ask, submission.nonce, { record: answer.record, from });
      case "ended":
        return this.#read(answer.record);
      case "accepted":
        return this.#wait(ask, submission.nonce);
      case "joined":
        return this.#wait(ask, answer.nonce);
      default:
        throw new RunError("refused", refusalOf(submission, answer));
    }
  }

  /** Its caller has gone. */
  #leave({ waiter, submission, isOurs }: Ask): void {
    waiter.close();
    if (isOurs) this.#cancelAs(submission);
  }

  async #wait(ask: Ask, nonce: string): Promise<unknown> {
    const { submission: { id, name }, mode: { takeBack: when, startWithin }, gone, waiter } = ask;
    const back = when === null ? null : new TakeBack(this.#context, { id, name, nonce }, { when, startWithin });
    if (back !== null) gone.onAbort(() => back.stop());
    const first = new Promise<Ended | TakenBack>((resolve, reject) => {
      const resubmit = async () => {
        const from = this.#context.settings.clock.monotonic();
        const answer = await ask.send(nonce);
        if (answer.verdict === "owned") resolve({ record: answer.record, from });
      };
      const ended = (record: TaskRecord) => resolve({ record, from: null });
      waiter.wait({ nonce, resubmit, onWaiting: () => back?.look(), ended, failed: reject });
      if (back !== null) void back.taken.then(resolve);
    });
    try {
      const { record, from } = await first;
      return from === null ? this.#read(record) : await this.#own(ask, nonce, { record, from });
    } finally {
      back?.stop();
    }
  }

  /** Runs what is ours. When another owns it by the end, theirs is the outcome that counts. */
  async #own(ask: Ask, nonce: string, { record, from }: TakenBack): Promise<unknown> {
    const execution = await this.#runner.own(record, from);
    if (execution.state === "abandoned") return await this.#wait(ask, nonce);
    // It ran here: no other run would do better, whatever the policy.
    if (execution.state === "failed") throw new RunError("final", execution.error);
    return valueOf(execution);
  }

  #read(record: TaskRecord): unknown {
    return andThen(answerOf(record, this.#context.settings), valueOf);
  }

  #tell(submission: Submission, { verdict }: EnqueueAnswer): void {
    const { events } = this.#context.settings;
    if (verdict === "joined") events?.tell("joined", submission);
    else if (verdict === "accepted" || verdict === "owned") events?.tell("enqueued", submission);
  }

  /** The submitter has gone: nobody needs the task, unless others have joined. Its own deadline needs no cancel. */
  #cancelAs(submission: Submission): void {
    const { store, settings: { clock, events, log } } = this.#context;
    const { id, nonce, deadline } = submission;
    if (clock.monotonic() >= deadline) return;
    store.cancel({ id, nonce, unlessJoined: true }).then(({ verdict }) => {
      if (verdict === "asked") this.#runner.cancelled([id]);
      else if (verdict === "cancelled") events?.tell("cancelled", submission);
    }, (error) => log({ level: "warn", message: `Task ${id} could not be cancelled`, id, error }));
  }
}

/** Marks the errors which prove that the queue does not have the task. */
function reach<Value>(sent: Promise<Value>, isUnreachable: (error: unknown) => boolean): Promise<Value> {
  return sent.catch((error) => {
    throw isUnreachable(error) ? new RunError("unreachable", error) : error;
  });
}

/** The run that the answer is about, when it may be another than the one handed in. */
function runOf(answer: EnqueueAnswer): string | undefined {
  if (answer.verdict === "joined") return answer.nonce;
  return answer.verdict === "ended" ? answer.record.nonce : undefined;
}

function isRefusal(error: unknown): boolean {
  return error instanceof QueueFullError || (error instanceof ConnectionLostError && !error.sent);
}

/** Why an enqueue started nothing that its caller could wait for. */
export function refusalOf(
  task: { readonly id: string; readonly name: string },
  answer: Extract<EnqueueAnswer, { verdict: "conflict" | "exists" | "deleted" }>,
): Error {
  const { id, name } = task;
  if (answer.verdict === "deleted") return new TaskCancelledError(`Cannot wait for task ${id}: it was deleted`);
  if (answer.verdict === "exists") {
    return new TaskConflictError(`Cannot enqueue task ${id}: it is ${answer.state} already`);
  }
  return new TaskConflictError(
    `Cannot enqueue task ${id} as "${name}": the id belongs to a task named "${answer.name}"; use another id`,
  );
}
