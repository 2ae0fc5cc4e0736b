/**
 * How a way to run a task tells the policy what its failure means; the caller never sees this wrapping.
 *
 * A class of its own, because the error itself proves nothing: a handler may throw a `ConnectionLostError` too.
 *
 * @module
 */

/** A run ended without success; `cause` is the error for the caller. */
export class RunError extends Error {
  /**
   * `failed`: the task ran and failed, another run may do better. `unreachable`: the queue does not have it. `final`:
   * it ended otherwise, and nothing will do better. `refused`: the id is not free for it.
   */
  readonly kind: "failed" | "unreachable" | "final" | "refused";

  /** Wraps the error for the caller. */
  constructor(kind: RunError["kind"], cause: unknown) {
    super(kind, { cause });
    this.kind = kind;
  }
}

/** The error for the caller. */
export function unwrap(error: unknown): unknown {
  return error instanceof RunError ? error.cause : error;
}
