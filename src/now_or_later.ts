/**
 * Values that are usually here already. JSON is ready at once and encryption is not: with a promise for both, every
 * task would pay a turn of the microtask queue for each of its values.
 *
 * @module
 */

/** A value, or the promise of one. */
export type NowOrLater<Value> = Value | Promise<Value>;

/** Must it be waited for? Foreign thenables count, as `await` would call them too. */
export function isLater<Value>(value: NowOrLater<Value>): value is Promise<Value> {
  return typeof value === "object" && value !== null && typeof (value as Promise<Value>).then === "function";
}

/** Goes on with the value: now when it is here, later when it is not. */
export function andThen<Value, Next>(
  value: NowOrLater<Value>,
  next: (value: Value) => NowOrLater<Next>,
): NowOrLater<Next> {
  return isLater(value) ? value.then(next) : next(value);
}
