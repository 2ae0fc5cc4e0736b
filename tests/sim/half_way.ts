/**
 * A script that stops half way: Redis has no rollback, so what it wrote stays (protocol rule 2).
 *
 * The memory store's verbs run whole, so the half is made of what stood before and after: the new places, perhaps the
 * records too, and no old place is gone. That is what the order of writes promises; in the swapped order, which a plant
 * makes, the records are written and their new places are not.
 *
 * @module
 */
import type { Rng } from "./rng.ts";
import type { Snapshot } from "./world.ts";

type Entry = Snapshot[number];

const PLACE = /\|task-(?:queue|scheduled|lease)\|/;
const RECORD = /\|task-(?:result:|listener\|)/;

/** What stands when a script stops between the two. */
export function halfOf(before: Snapshot, after: Snapshot, rng: Rng, isSwapped: boolean): Snapshot {
  const withRecords = isSwapped || rng.chance(0.5);
  const half = new Map<string, Entry>(before.map((entry) => [entry.key, entry]));
  for (const entry of after) {
    const old = half.get(entry.key);
    if (PLACE.test(entry.key) && !isSwapped) half.set(entry.key, { ...entry, value: union(old?.value, entry.value) });
    else if (RECORD.test(entry.key) && withRecords) half.set(entry.key, entry);
  }
  return [...half.values()];
}

/** All that was there, and all that is new; what is new stands where it would. */
function union(old: unknown, fresh: unknown): unknown {
  const [before, after] = [(old ?? []) as unknown[], fresh as unknown[]];
  if (Array.isArray(before[0]) || Array.isArray(after[0])) {
    return [...new Map([...before as [string, number][], ...after as [string, number][]])];
  }
  const gone = before.filter((id) => !after.includes(id));
  return [...gone, ...after];
}
