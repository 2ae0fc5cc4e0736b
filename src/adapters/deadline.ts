/**
 * Time limits that count the event loop's own time.
 *
 * A process that computes for a minute has answers waiting in its sockets: to reject those calls would be wrong, since
 * Redis was quick. So a limit is counted in ticks, a blocked loop counts as one tick however long it lasted, and
 * before a limit strikes the loop gets one turn to read what has arrived.
 *
 * @module
 */
import { nextTurn, unrefTimer } from "../runtime/mod.ts";

const TICKS = 10;

/**
 * Calls `onOver` once after `limit` milliseconds in which this process was able to work; returns what cancels that.
 * `background`: does not keep a process alive.
 */
export function startDeadline(limit: number, onOver: () => void, options?: { background?: boolean }): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  const tick = (left: number): void => {
    timer = setTimeout(left > 1 ? tick : lastTurn, limit / TICKS, left - 1);
    if (options?.background) unrefTimer(timer);
  };
  const lastTurn = (): void => {
    nextTurn(() => {
      if (ended) return;
      ended = true;
      onOver();
    });
  };
  tick(TICKS);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** Settles as `promise` does, or rejects with `makeError()` after `limit` milliseconds (as {@linkcode startDeadline} counts them). */
export function withDeadline<Value>(
  promise: Promise<Value>,
  limit: number,
  makeError: () => Error,
  options?: { background?: boolean },
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const cancel = startDeadline(limit, () => reject(makeError()), options);
    promise.then(resolve, reject).finally(cancel);
  });
}
