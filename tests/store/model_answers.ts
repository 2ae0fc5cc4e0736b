/**
 * The answers of a store during a walk, as they are compared, and the verbs that were called for them.
 *
 * @module
 */
import type { TaskRecord } from "../../src/record.ts";
import type { Ownership, Store } from "../../src/store/store.ts";
import type { Keyspace } from "./model_keyspace.ts";

/** Notes which verbs are called. */
export function counting(store: Store, verbs: Set<string>): Store {
  return new Proxy(store, {
    get(target, verb: keyof Store) {
      return (...args: unknown[]) => {
        verbs.add(verb);
        return (target[verb] as (...args: unknown[]) => unknown)(...args);
      };
    },
  });
}

/** An answer, or an error by its name and what Redis says in it. */
export async function settled(answer: Promise<unknown>): Promise<unknown> {
  return await answer.catch(({ name, message }: Error) => ({
    error: name,
    ...(name === "RedisReplyError" ? { message } : {}),
  }));
}

/** Does Redis say that a key has another type? */
export function isWrongType(answer: unknown): boolean {
  return JSON.stringify(answer ?? null).includes("WRONGTYPE");
}

/** A keyspace without life times and without who has joined: another item of a call that is refused may have. */
export function valuesOf(keyspace: Keyspace): unknown {
  return [...keyspace]
    .filter(([key]) => !key.includes("|task-joined:"))
    .map(([key, { value }]) => [key, key.includes("|task-result:") ? unjoined(value) : value]);
}

/** A record without its flag of joins. */
function unjoined(record: unknown): unknown {
  return typeof record === "string" ? record.replace(/^(1\d\d)\d/, (_, head) => `${head}0`) : record;
}

/** The ownerships that an answer, or those of one turn, brought. */
export function ownershipsIn(answer: unknown): Ownership[] {
  return [answer].flat().flatMap((one) => {
    const { record, tasks = record ? [record] : [] } = (one ?? {}) as { record?: TaskRecord; tasks?: TaskRecord[] };
    const running = tasks.filter(({ state }) => state === "running");
    return running.map(({ id, name, owner, fence }) => ({ id, name, owner, fence }));
  });
}
