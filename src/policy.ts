/**
 * Where a task is done: the five execution policies, as one pure function over what a place can do.
 *
 * This module decides only *what to try next*. It knows neither Redis nor time: `places` brings the ways to run, and
 * `isUnreachable` tells whether an error proves that the queue never got the task. The rule behind every line: once a
 * task may have reached the queue, it is never run here without taking it out of the queue first.
 *
 * Rejected: a class a policy. Five classes of ten lines hide that they differ in one line each.
 *
 * @module
 */

/** The ways to choose where a task is done. */
export const TaskExecutePolicy: {
  /** In this process, in no queue. */
  readonly Local: "local";
  /** By a listener. */
  readonly Remote: "remote";
  /** In this process; by a listener when that failed. */
  readonly LocalFirst: "local-first";
  /** By a listener; in this process when it was not started soon, or failed. */
  readonly RemoteFirst: "remote-first";
  /** By a listener when there is one, else in this process. */
  readonly Auto: "auto";
} = Object.freeze({
  Local: "local",
  Remote: "remote",
  LocalFirst: "local-first",
  RemoteFirst: "remote-first",
  Auto: "auto",
});

/** One of the values of {@linkcode (TaskExecutePolicy:variable)}. */
export type TaskExecutePolicy = typeof TaskExecutePolicy[keyof typeof TaskExecutePolicy];

/** How a remote run may come back to this process. */
export interface RemoteMode {
  /** Run it here, owned and leased like any claim, when nobody listens to its name. */
  readonly ownIfUnattended: boolean;
  /** Take it back and run it here: when the listeners are gone, or when it did not start in time; never = null. */
  readonly takeBack: "unattended" | "not started" | null;
}

/** What a policy can choose among. All reject when the task does not succeed. */
export interface Places<Result> {
  /** Is there a function for this name here? Without one Auto, LocalFirst and RemoteFirst mean Remote. */
  readonly canRunHere: boolean;
  /** Runs the task here, in no queue. `keep`: what is stored of it, when it can be. */
  here(keep: "every end" | "success"): Promise<Result>;
  /** Asks for the task through the queue and waits for its answer. */
  remote(mode: RemoteMode): Promise<Result>;
  /** The error proves that the queue does not have the task: it is full, or nothing could be sent. */
  isUnreachable(error: unknown): boolean;
  /** The task ran and failed: another run may do better. Not so when it expired, was cancelled, or its caller went away. */
  isFailure(error: unknown): boolean;
}

const PLAIN: RemoteMode = { ownIfUnattended: false, takeBack: null };
const AUTO: RemoteMode = { ownIfUnattended: true, takeBack: "unattended" };
const REMOTE_FIRST: RemoteMode = { ownIfUnattended: true, takeBack: "not started" };

/** Does a task by a policy. Rejects with the error of the last run. */
export function runByPolicy<Result>(policy: TaskExecutePolicy, places: Places<Result>): Promise<Result> {
  if (policy === TaskExecutePolicy.Local) return places.here("every end");
  if (policy === TaskExecutePolicy.Remote || !places.canRunHere) return places.remote(PLAIN);
  if (policy === TaskExecutePolicy.LocalFirst) return localFirst(places);
  return policy === TaskExecutePolicy.Auto ? auto(places) : remoteFirst(places);
}

async function auto<Result>(places: Places<Result>): Promise<Result> {
  try {
    return await places.remote(AUTO);
  } catch (error) {
    if (places.isUnreachable(error)) return await places.here("every end");
    throw error;
  }
}

async function remoteFirst<Result>(places: Places<Result>): Promise<Result> {
  try {
    return await places.remote(REMOTE_FIRST);
  } catch (error) {
    if (places.isUnreachable(error) || places.isFailure(error)) return await places.here("every end");
    throw error;
  }
}

async function localFirst<Result>(places: Places<Result>): Promise<Result> {
  try {
    return await places.here("success");
  } catch (failure) {
    if (!places.isFailure(failure)) throw failure;
    return await places.remote(PLAIN).catch((error) => {
      throw places.isUnreachable(error) ? failure : error;
    });
  }
}
