/**
 * Whether a listener consumes, proved on its own path: a check on another connection stays green while the listener's
 * own is dead, which is how workers of other queues stopped for good and nobody noticed (BullMQ #4585).
 *
 * 1. A listener that sleeps is woken by a token on a bell of its own, through the connection that it sleeps on; then it
 *    claims. An answered claim that was begun after the question is the proof.
 * 2. One that has no free worker claims nothing: an answered renewal of what it runs, sent after the question, is its proof.
 * 3. No proof within the limit: it does not consume.
 *
 * Previous: `listener.ts`. Next: `claim_loop.ts`, `leases.ts`.
 *
 * @module
 */
import type { ClaimLoop } from "./claim_loop.ts";
import type { Clock } from "./clock.ts";
import type { Leases } from "./leases.ts";
import type { Slots } from "./slots.ts";
import type { Store } from "./store/store.ts";

/** The parts of a listener that prove something. */
export interface HealthContext {
  readonly store: Store;
  /** The listener's id: the name of its own bell. */
  readonly listener: string;
  readonly clock: Clock;
  readonly slots: Slots;
  readonly leases: Leases;
  readonly loop: ClaimLoop;
}

/** Does it consume? Answers within `limit` milliseconds and never rejects. */
export function consumes(context: HealthContext, limit: number): Promise<boolean> {
  const { loop, clock } = context;
  const since = clock.monotonic();
  return new Promise((resolve) => {
    const end = (proof: boolean) => {
      forget();
      cancel();
      resolve(proof);
    };
    const forget = loop.onClaimed(since, () => end(true));
    const cancel = clock.after(limit, () => end(false));
    void isBusy(context, since).then((busy) => busy && end(true));
    // A token that cannot be sent wakes nobody: then no proof comes either.
    context.store.ring(context.listener).catch(() => {});
  });
}

/** No worker is free, and Redis has just renewed what they do. */
async function isBusy({ slots, leases }: HealthContext, since: number): Promise<boolean> {
  if (slots.free > 0) return false;
  await leases.renewNow();
  if (leases.renewedAt < since) await leases.renewNow(); // The first was under way before the question.
  return slots.free === 0 && leases.renewedAt >= since;
}
