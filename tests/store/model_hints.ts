/**
 * Hints that no record agrees with: where both stores may leave different ones, they are left out of the comparison.
 *
 * @module
 */
import type { Keys } from "../../src/keys.ts";
import { decodeRecord } from "../../src/record.ts";
import type { Keyspace } from "./model_keyspace.ts";

/** Without the hints in lists that no record agrees with, each other one once, and with one token a bell. */
export function withoutDeadHints(keys: Keys, keyspace: Keyspace): Keyspace {
  const entries = [...keyspace].map(([key, entry]) => {
    if (key.startsWith(keys.bell(""))) return [key, { ...entry, value: ["1"] }] as const;
    if (!key.startsWith(keys.queue(""))) return [key, entry] as const;
    const name = key.slice(keys.queue("").length);
    const hints = (entry.value as string[]).filter((id) => agrees(keys, keyspace, id, "queued", name));
    return [key, { ...entry, value: [...new Set(hints)].toSorted() }] as const;
  });
  return new Map(entries.filter(isSomething));
}

/** Without the entries of sorted sets, and the sets of joiners, that no record agrees with, but for those of ids that are `isRooted`. */
export function withoutDeadEntries(keys: Keys, keyspace: Keyspace, isRooted: (id: string) => boolean): Keyspace {
  const places = [[keys.lease(""), "running"], [keys.scheduled(""), "scheduled"]] as const;
  const isLeftover = (key: string) => {
    const id = key.slice(keys.joined("").length);
    return key.startsWith(keys.joined("")) && !isRooted(id) &&
      !/^1..1/.test(String(keyspace.get(keys.record(id))?.value));
  };
  const entries = [...keyspace].filter(([key]) => !isLeftover(key)).map(([key, entry]) => {
    const [start, state] = places.find(([start]) => key.startsWith(start)) ?? ["", ""];
    if (start === "") return [key, entry] as const;
    const name = key.slice(start.length);
    const value = (entry.value as [string, number][]).filter(([id]) =>
      isRooted(id) || agrees(keys, keyspace, id, state, name)
    );
    return [key, { ...entry, value }] as const;
  });
  return new Map(entries.filter(isSomething));
}

/** Does an entry of those stand there for this instant (epoch milliseconds)? */
export function hasDeadEntry(keys: Keys, keyspace: Keyspace, isRooted: (id: string) => boolean, at: number): boolean {
  const isPlace = (key: string) => key.startsWith(keys.lease("")) || key.startsWith(keys.scheduled(""));
  const count = (space: Keyspace) =>
    [...space].filter(([key]) => isPlace(key)).flatMap(([, { value }]) => value as [string, number][])
      .filter(([, score]) => score === at).length;
  return count(keyspace) > count(withoutDeadEntries(keys, keyspace, isRooted));
}

/** What cannot be read agrees with every hint: it has still to be set aside, or given its header. */
function agrees(keys: Keys, keyspace: Keyspace, id: string, state: string, name: string): boolean {
  const text = keyspace.get(keys.record(id))?.value;
  if (typeof text !== "string" || !/^1[0-8].{3}\d{35}.{59}\d{15}/.test(text)) return typeof text === "string";
  const record = decodeRecord(id, text);
  return record.state === state && record.name === name;
}

function isSomething([, { value }]: readonly [string, { readonly value: unknown }]): boolean {
  return !Array.isArray(value) || value.length > 0;
}

/** Does a task wait whose deadline is over? */
export function hasLate(keys: Keys, keyspace: Keyspace, now: number): boolean {
  return [...keyspace].some(([key, { value }]) => {
    const [, deadline] = /^12.{54}(\d{13})/.exec(String(value)) ?? [];
    return key.startsWith(keys.record("")) && Number(deadline) > 0 && Number(deadline) <= now;
  });
}
