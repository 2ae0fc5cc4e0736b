/**
 * A cancel from anywhere, and what became of it.
 *
 * 1. What waits ends at once. What runs is marked in its record, and its owner is told; whoever comes to end that run
 *    (the owner, its release, recovery) finds the mark, so that neither a lost message nor a dead owner undoes it.
 * 2. Then the header is looked at until the run is over: who was first, the cancel or the end, is known only then.
 *
 * Rejected: an answer as soon as the run was asked to stop. Its caller would believe what the handler may still undo.
 *
 * Previous: `queue.ts`. Next: `runner.ts`, `store/store.ts`.
 *
 * @module
 */
import { type Clock, sleep } from "./clock.ts";
import { ConnectionLostError } from "./errors.ts";
import type { Events } from "./events.ts";
import type { TaskHeader } from "./record.ts";
import type { CancelAnswer, Store } from "./store/store.ts";

/**
 * What became of a cancel, for good unless it is `unreachable`:
 *
 * - `cancelled`: the task never starts, or was stopped; or an earlier cancel had done that.
 * - `completed`: it ended otherwise. It succeeded, failed or expired before, or its run was faster than the cancel.
 * - `unreachable`: it runs still. The cancel stays in its record and counts at its next failure, release or recovery,
 *   but a run that succeeds in spite of it has succeeded.
 * - `unknown`: there is no such task, or it was replaced or deleted before its end could be seen.
 */
export type CancelResult = "cancelled" | "completed" | "unreachable" | "unknown";

/** Options of `cancel`. */
export interface CancelOptions {
  /** How long to wait for the end of a task that runs, in milliseconds. @default 5_000 */
  readonly timeout?: number;
}

/** What a cancel needs. */
export interface CancelContext {
  readonly store: Store;
  readonly clock: Clock;
  readonly events: Events | undefined;
  /** Ends the wait: its result is `unreachable`. */
  readonly closing: AbortSignal;
  readonly calls: {
    /** Cancels what runs in this client, in no queue: what became of each run. */
    cancelHere(id: string): Promise<readonly CancelResult[]>;
    /** A run in the queue was asked to stop; if it is this client's, it need not wait for the message. */
    cancelled(id: string): void;
  };
}

/** The default of {@linkcode CancelOptions.timeout}. */
export const CANCEL_TIMEOUT = 5_000;

/** The first look at a running task comes after so many milliseconds; each pause is half as long again… */
const LOOK_FIRST = 20;
/** …up to so many. */
const LOOK_MAX = 500;

/** Cancels all runs of an id. Rejects when Redis cannot be reached, unless there was one in this client. */
export async function cancelTask(id: string, timeout: number, context: CancelContext): Promise<CancelResult> {
  const results = [...await context.calls.cancelHere(id)];
  try {
    results.push(await cancelInQueue(id, timeout, context));
  } catch (error) {
    if (results.length === 0 || !(error instanceof ConnectionLostError)) throw error;
  }
  const order = ["unreachable", "cancelled", "completed"] as const;
  return order.find((result) => results.includes(result)) ?? "unknown";
}

async function cancelInQueue(id: string, timeout: number, context: CancelContext): Promise<CancelResult> {
  const { store, events } = context;
  while (true) {
    const task = await store.read(id);
    if (task === null) return "unknown";
    const { nonce } = task;
    const answer = await store.cancel({ id, nonce });
    if (answer.verdict === "cancelled") events?.tell("cancelled", task);
    if (answer.verdict === "asked") return await untilEnded(id, nonce, timeout, context);
    // Unknown under this nonce: another run has taken its place since it was read.
    const result = resultOf(answer);
    if (result !== "unknown" || nonce === "") return result;
  }
}

function resultOf(answer: CancelAnswer): CancelResult {
  if (answer.verdict === "cancelled") return "cancelled";
  if (answer.verdict === "ended") return answer.state === "cancelled" ? "cancelled" : "completed";
  return "unknown";
}

/** Looks until the run that was asked to stop has ended. Redis being away for a while only costs looks. */
async function untilEnded(
  id: string,
  nonce: string,
  timeout: number,
  { store, clock, closing, calls }: CancelContext,
): Promise<CancelResult> {
  const end = clock.monotonic() + timeout;
  calls.cancelled(id);
  for (let pause = LOOK_FIRST;; pause = Math.min(pause * 1.5, LOOK_MAX)) {
    const left = end - clock.monotonic();
    if (left <= 0 || closing.aborted) return "unreachable";
    await sleep(clock, Math.min(pause, left), closing);
    const header = await lookAt(id, store);
    if (header === null) return "unknown";
    if (header === undefined) continue;
    const result = endOf(header, nonce);
    if (result !== undefined) return result;
  }
}

/** The header; null when there is none, undefined when Redis could not be asked. */
async function lookAt(id: string, store: Store): Promise<TaskHeader | null | undefined> {
  try {
    return await store.readHeader(id);
  } catch (error) {
    if (error instanceof ConnectionLostError) return undefined;
    throw error;
  }
}

/** How that run ended; undefined when it has not. */
function endOf(header: TaskHeader, nonce: string): CancelResult | undefined {
  if (header.nonce !== nonce) return "unknown";
  switch (header.state) {
    case "cancelled":
      return "cancelled";
    case "succeeded":
    case "failed":
    case "expired":
      return "completed";
    case "deleted":
      // A `once` reader was faster than the look; its tombstone tells whether the task had been cancelled.
      return header.cancelAsked ? "cancelled" : "completed";
    default:
      return undefined;
  }
}
