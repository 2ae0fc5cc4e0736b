/**
 * Events: what became of tasks, for whoever counts or traces them.
 *
 * A client says what it does itself, once its store has agreed: it hands a task in, starts it, ends it, gives it back.
 * What scripts do by themselves (recovery, expiry of a task that waits) happens in nobody's process and is no event.
 * Without a hook there is no {@linkcode Events}, no event is made, and callers pay for one comparison.
 *
 * Previous: `queue.ts`, `attempt.ts`, `runner.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import type { Execution } from "./executor.ts";
import type { Log } from "./log.ts";
import type { OwnerAnswer } from "./store/store.ts";

/**
 * What happened to a task.
 *
 * `enqueued`: it was accepted by the queue. `joined`: another run of its id was there and is waited for. `started`: an
 * attempt begins here. `succeeded`, `failed`, `cancelled`, `expired`: it ended. `retried`: the attempt failed and
 * another one will follow. `released`: it was given back to the queue, uncounted. `lost`: the attempt no longer counts,
 * because another owner has the task or its record is gone.
 */
export type TaskEventType =
  | "enqueued"
  | "joined"
  | "started"
  | "succeeded"
  | "retried"
  | "failed"
  | "cancelled"
  | "expired"
  | "released"
  | "lost";

/** One transition of a task, made by this process. */
export interface TaskEvent {
  /** What happened. */
  readonly type: TaskEventType;
  /** The id of the task. */
  readonly id: string;
  /** Its name. */
  readonly taskName: string;
  /** When it happened, epoch milliseconds by this machine's clock. */
  readonly at: number;
  /** Which attempt, from 1; absent before the first. */
  readonly attempt?: number;
  /** How long that attempt took, in milliseconds. */
  readonly duration?: number;
  /** Milliseconds until the next attempt. */
  readonly retryIn?: number;
  /** Why it did not succeed. */
  readonly error?: Error;
}

/**
 * Hears of transitions. It is called in the middle of the work, so it must be quick; what it throws is logged once and
 * harms nobody.
 */
export type OnEvent = (event: TaskEvent) => void;

/** What an event says beside its type, its task and its time. */
export type EventDetails = Pick<TaskEvent, "attempt" | "duration" | "retryIn" | "error">;

/** Tells a hook. */
export class Events {
  readonly #hook: OnEvent;
  readonly #clock: Clock;
  readonly #log: Log;
  #complained = false;

  /** Tells nothing yet. */
  constructor(hook: OnEvent, context: { readonly clock: Clock; readonly log: Log }) {
    this.#hook = hook;
    this.#clock = context.clock;
    this.#log = context.log;
  }

  /** Tells of one transition. Never throws. */
  tell(type: TaskEventType, task: { readonly id: string; readonly name: string }, details?: EventDetails): void {
    const { id, name: taskName } = task;
    try {
      const told: unknown = this.#hook({ type, id, taskName, at: this.#clock.now(), ...details });
      // An async function is a hook too.
      if (told instanceof Promise) told.catch((error) => this.#complain(error));
    } catch (error) {
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    this.#log({ level: "warn", message: "onEvent threw; events go on, and this is not said again", error });
  }
}

/** What tells a hook; undefined when there is none. Throws `TypeError` for what is no function. */
export function eventsFor(
  hook: OnEvent | undefined,
  context: { readonly clock: Clock; readonly log: Log },
): Events | undefined {
  if (hook === undefined) return undefined;
  if (typeof hook === "function") return new Events(hook, context);
  throw new TypeError(`Cannot use ${String(hook)} as onEvent: it is a function that is called with each event`);
}

/** The event that an owner's answer stands for: what the store says of the task after an attempt. */
export function eventOf(answer: OwnerAnswer, isReleased: boolean = false): TaskEventType {
  if (answer.verdict === "lost" || answer.verdict === "gone") return "lost";
  switch (answer.state) {
    case "succeeded":
    case "failed":
    case "cancelled":
    case "expired":
      return answer.state;
    case "scheduled":
    case "queued":
      return isReleased ? "released" : "retried";
    default:
      return "lost";
  }
}

/** What the event of an attempt's end says. */
export function endingDetails(execution: Execution, attempt: number, duration: number): EventDetails {
  return "error" in execution ? { attempt, duration, error: execution.error } : { attempt, duration };
}

/** Tells what became of tasks that were given back. */
export function tellReleased(
  events: Events | undefined,
  tasks: readonly { readonly id: string; readonly name: string }[],
  answers: readonly OwnerAnswer[],
): void {
  if (events === undefined) return;
  for (const [at, answer] of answers.entries()) {
    const task = tasks[at];
    if (task !== undefined) events.tell(eventOf(answer, true), task);
  }
}
