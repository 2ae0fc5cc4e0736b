/**
 * Waiting for a condition instead of sleeping: tests end as soon as what they wait for is so.
 *
 * @module
 */

/** Polls `condition` (every 5 ms) until it gives a truthy value, which is returned; throws naming `what` after `deadlineMs`. */
export async function until<Value>(
  condition: () => Value | Promise<Value>,
  what: string,
  deadlineMs = 5000,
): Promise<Exclude<Awaited<Value>, false | null | undefined | 0 | "">> {
  const end = performance.now() + deadlineMs;
  while (true) {
    const value = await condition();
    if (value) return value as Exclude<Awaited<Value>, false | null | undefined | 0 | "">;
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Resolves or rejects as `promise` does; throws naming `what` when that takes more than `deadlineMs`. */
export function within<Value>(promise: Promise<Value>, what: string, deadlineMs = 5000): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Waited ${deadlineMs} ms in vain for ${what}`)), deadlineMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
