/**
 * Every error class that a caller of errand may want to catch. Misuse of the API is a built-in `TypeError` or
 * `RangeError`; what is here are conditions of running systems.
 *
 * @module
 */

/** The state a task is in, as its record says. */
export type TaskState =
  | "stored"
  | "scheduled"
  | "queued"
  | "running"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "expired";

/** A task was not done before its `expiry`. */
export class TaskTimeoutError extends Error {
  /** Always "TaskTimeoutError". */
  override readonly name: string = "TaskTimeoutError";
}

/** A task was cancelled before it could succeed. */
export class TaskCancelledError extends Error {
  /** Always "TaskCancelledError". */
  override readonly name: string = "TaskCancelledError";
}

/** A task failed without an error of its own to rethrow, for example because its listeners kept dying. */
export class TaskFailedError extends Error {
  /** Always "TaskFailedError". */
  override readonly name: string = "TaskFailedError";
}

/**
 * Thrown by a handler: do not try this task again, whatever its `maxAttempts`. Not for errors that another attempt may
 * not meet.
 */
export class FatalTaskError extends Error {
  /** Always "FatalTaskError". */
  override readonly name: string = "FatalTaskError";
}

/** The id is in use by a task with another name, or exists already and the call asked to reject that. */
export class TaskConflictError extends Error {
  /** Always "TaskConflictError". */
  override readonly name: string = "TaskConflictError";
}

/** The run that a caller waited for was replaced by a newer one under the same id. */
export class TaskReplacedError extends Error {
  /** Always "TaskReplacedError". */
  override readonly name: string = "TaskReplacedError";
}

/** The lease of a running task ended: another listener may own it now, so nothing more of this attempt is kept. */
export class LeaseLostError extends Error {
  /** Always "LeaseLostError". */
  override readonly name: string = "LeaseLostError";
}

/** A listener is stopping and its grace is over: the task is given back to the queue. Seen as `task.signal.reason`. */
export class ListenerStoppedError extends Error {
  /** Always "ListenerStoppedError". */
  override readonly name: string = "ListenerStoppedError";
}

/** Redis has no memory left and refused a new task. Nothing was stored. */
export class QueueFullError extends Error {
  /** Always "QueueFullError". */
  override readonly name: string = "QueueFullError";
}

/** A value could not be turned into text, or text could not be read back. */
export class SerializationError extends Error {
  /** Always "SerializationError". */
  override readonly name: string = "SerializationError";
}

/** Redis could not be reached, refused the credentials, or did not answer in time. */
export class ConnectionLostError extends Error {
  /** Always "ConnectionLostError". */
  override readonly name: string = "ConnectionLostError";
  /** `false`: nothing was sent. `true`: it may have been executed; errand repeats such calls by itself. */
  readonly sent: boolean;

  /** Creates the error; `sent` tells whether the command may have reached Redis. */
  constructor(message: string, options: ErrorOptions & { sent: boolean }) {
    super(message, options);
    this.sent = options.sent;
  }
}
