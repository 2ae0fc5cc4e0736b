/**
 * Gives back what was claimed and never started: at a stop, or because it is to wait. Its attempt is not counted.
 *
 * Previous: `claim_loop.ts`. Next: `store/store.ts`.
 *
 * @module
 */
import type { Log } from "./log.ts";
import type { TaskRecord } from "./record.ts";
import type { Ownership, Store } from "./store/store.ts";

/** Releases tasks of `listener`; `delay`: not to be started for so many milliseconds. Never rejects: leases do the rest. */
export async function giveBack(
  tasks: readonly TaskRecord[],
  { store, listener, log }: { readonly store: Store; readonly listener: string; readonly log: Log },
  delay: number = 0,
): Promise<void> {
  if (tasks.length === 0) return;
  try {
    await store.release(tasks.map((task) => ownershipOf(task, listener)), delay);
  } catch (error) {
    log({ level: "warn", message: `Cannot give back ${tasks.length} tasks: they wait for their leases`, error });
  }
}

/** The ownership of a claimed task. */
export function ownershipOf({ id, name, fence }: TaskRecord, owner: string): Ownership {
  return { id, name, fence, owner };
}
