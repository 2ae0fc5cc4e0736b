/**
 * The ending of an attempt, written to the store: its result, its error, its next attempt, or nothing when it is no longer
 * ours. Only the fence decides whether it counts.
 *
 * Previous: `attempt.ts`. Next: `retries.ts`, `store/store.ts`.
 *
 * @module
 */
import type { AttemptContext } from "./attempt_context.ts";
import { LeaseLostError } from "./errors.ts";
import { endingDetails, eventOf, tellReleased } from "./events.ts";
import type { Execution } from "./executor.ts";
import { safeLog } from "./log.ts";
import { encodeOutcome, type FailedAttempt, type Progress, withAttempt } from "./outcome.ts";
import { systemRandom } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { repeat } from "./repeat.ts";
import type { OwnerAnswer, Ownership } from "./store/store.ts";

/** An outcome that the store could not take is repeated for so many milliseconds (protocol rule 4). */
const REPEAT_FOR = 30_000;

/** How an attempt ended, and the body of its outcome. */
export interface Ending {
  readonly execution: Execution;
  readonly body: string;
  /** It failed, and no other attempt would do better. */
  readonly fatal?: boolean;
  /** Given back unstarted: milliseconds for which it is left to others. */
  readonly delay?: number;
}

/** An attempt whose ending is to be written. */
export interface Write {
  readonly ownership: Ownership;
  readonly context: AttemptContext;
  /** The last that was reported. */
  readonly progress: Progress | null;
  readonly record: TaskRecord;
  /** The attempts that failed before this one. */
  readonly attempts: readonly FailedAttempt[];
  /** Milliseconds from the start of the attempt to its end, for events. */
  readonly took: number;
}

/** Sends the outcome, unless there is none; then lets the lease go and calls back, once. */
export function writeEnding(write: Write, ending: Ending, written: (answer: OwnerAnswer | null) => void): void {
  new Writing(write, ending, written).begin();
}

/** One ending on its way: one object, since each task makes one. */
class Writing {
  readonly #write: Write;
  readonly #ending: Ending;
  readonly #written: (answer: OwnerAnswer | null) => void;

  constructor(write: Write, ending: Ending, written: (answer: OwnerAnswer | null) => void) {
    this.#write = write;
    this.#ending = ending;
    this.#written = written;
  }

  begin(): void {
    const { ownership, context } = this.#write;
    const { execution, delay } = this.#ending;
    if (delay !== undefined) {
      return void giveBack(this.#write, delay).then((answer) => this.#done(answer), (error) => this.#fail(error));
    }
    if (execution.state === "abandoned") return this.#done(logLoss(this.#write, execution.reason));
    const wait = context.leases.fresh(ownership);
    if (wait !== undefined) void wait.then(() => this.send());
    else if (!context.hold?.(this)) this.send();
  }

  send(): void {
    try {
      const { send, retryIn } = sendingOf(this.#write, this.#ending);
      const first = send();
      const answered = (answer: OwnerAnswer) => {
        logEnding(this.#write, this.#ending.execution, answer, retryIn);
        this.#done(answer);
      };
      first.then(
        answered,
        () => repeatWrite(this.#write, first, send).then(answered).catch((error) => this.#fail(error)),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  #done(answer: OwnerAnswer | null): void {
    this.#write.context.leases.remove(this.#write.ownership);
    this.#written(answer);
  }

  #fail(error: unknown): void {
    const { ownership: { id, name: taskName }, context } = this.#write;
    const message = `Cannot store the outcome of task ${id}: it will run again when its lease has ended`;
    safeLog(context.log)({ level: "error", message, id, taskName, error });
    this.#done(null);
  }
}

interface Sending {
  readonly send: () => Promise<OwnerAnswer>;
  /** Milliseconds until the next attempt, if the store lets it have one. */
  readonly retryIn?: number;
}

/** The call that says how it ended; what it says is decided once, however often it is sent. */
function sendingOf(write: Write, { execution, body, fatal }: Ending): Sending {
  const { ownership, record, progress, attempts: before, context: { store, clock, retries } } = write;
  if (execution.state === "abandoned") throw new TypeError("Cannot write an ending of what is another's");
  if (execution.state === "succeeded") {
    const outcome = encodeOutcome({ progress, attempts: before, body });
    return { send: () => store.complete(ownership, outcome) };
  }
  const { state, error } = execution;
  const failed = { attempt: record.attempt, endedAt: Math.round(clock.now()), error };
  const attempts = state === "failed" ? withAttempt(before, failed) : before;
  const retryIn = state === "failed" && !fatal ? retries.next(record, error) : undefined;
  const failure = { state, outcome: encodeOutcome({ progress, attempts, body }) };
  if (retryIn === undefined) return { send: () => store.fail(ownership, failure) };
  return { send: () => store.fail(ownership, { ...failure, retryIn }), retryIn };
}

/** Leaves a task that cannot be read here to others: its attempt does not count. */
async function giveBack(write: Write, delay: number): Promise<OwnerAnswer> {
  const { ownership, context } = write;
  const release = async () => (await context.store.release([ownership], delay))[0]!;
  const answer = await repeatWrite(write, release(), release);
  tellReleased(context.events, [ownership], [answer]);
  return answer;
}

/** Lost leases are what wears a listener out: whoever runs it should see them. Tasks given back at a stop are not lost. */
function logLoss({ ownership, context, record, took }: Write, reason: Error): null {
  if (!(reason instanceof LeaseLostError)) return null;
  const { id, name: taskName } = ownership;
  safeLog(context.log)({ level: "warn", message: reason.message, id, taskName });
  context.events?.tell("lost", record, { attempt: record.attempt, duration: took, error: reason });
  return null;
}

/**
 * Under its fence an outcome may be sent at any time and any number of times, and Redis may refuse for a moment what it
 * takes later. Only a mistake of ours stays one. `first` was sent already.
 */
function repeatWrite(
  { ownership, context }: Write,
  first: Promise<OwnerAnswer>,
  send: () => Promise<OwnerAnswer>,
): Promise<OwnerAnswer> {
  const { clock, random = systemRandom, closed: signal } = context;
  const end = clock.monotonic() + REPEAT_FOR;
  const again = (error: unknown, tries: number) => {
    if (error instanceof TypeError || clock.monotonic() >= end) return false;
    if (tries === 1) logRepeat(ownership, context, error);
    return true;
  };
  let next: Promise<OwnerAnswer> | null = first;
  const call = () => {
    const sent = next ?? send();
    next = null;
    return sent;
  };
  return repeat(call, signal ? { clock, random, again, signal } : { clock, random, again });
}

function logRepeat({ id, name: taskName }: Ownership, context: AttemptContext, error: unknown): void {
  const message = `Cannot store the outcome of task ${id} yet: trying again`;
  safeLog(context.log)({ level: "warn", message, id, taskName, error });
}

function logEnding(write: Write, execution: Execution, answer: OwnerAnswer, retryIn: number | undefined): void {
  const { ownership: { id, name: taskName }, context, record, took } = write;
  if (context.events === undefined && execution.state === "succeeded" && answer.verdict === "accepted") return;
  const type = eventOf(answer);
  const isRetried = type === "retried" && retryIn !== undefined;
  const details = context.events && endingDetails(execution, record.attempt, took);
  context.events?.tell(type, record, isRetried ? { ...details, retryIn } : details);
  const log = safeLog(context.log);
  if (answer.verdict === "lost" || answer.verdict === "gone") {
    const error = new LeaseLostError(`Cannot keep the outcome of task ${id}: it is ${answer.verdict}`);
    log({ level: "warn", message: error.message, id, taskName });
  } else if (execution.state !== "succeeded" && execution.state !== "abandoned") {
    // Whoever asked gets the error itself; of an enqueued task nobody else hears.
    const level = record.kind === "asked" || isRetried || execution.state === "cancelled" ? "info" : "warn";
    const next = isRetried ? ` in attempt ${record.attempt}; the next one is in ${Math.round(retryIn)} ms` : "";
    log({ level, message: `Task ${id} (${taskName}) ${execution.state}${next}`, id, taskName, error: execution.error });
  }
}
