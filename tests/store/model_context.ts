/**
 * What all walks have in common: their keys, their bounds, and what each is given.
 *
 * Next: `model_walk.ts`.
 *
 * @module
 */
import { type Keys, keysOf } from "../../src/keys.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import type { Bounds } from "../../src/store/ended.ts";
import type { RedisMessages } from "./model_messages.ts";

/** The keys of every walk. */
export const KEYS: Keys = keysOf("model", "q");
/** Bounds, so small that walks reach them; some walks have the usual ones. */
export const SMALL: readonly Bounds[] = [
  { deadMax: 1, deadTtl: 100_000, doneBytes: 400 },
  { deadMax: 2, deadTtl: 50_000, doneBytes: 600 },
  { deadMax: 1, doneBytes: 200 },
  {},
];

/** What a walk needs: a connection to a Redis of its own, ears, and a table of what was done. */
export interface WalkContext {
  readonly port: RedisPort;
  readonly messages: RedisMessages;
  /** Steps by command, and store calls by verb, each once a step. */
  readonly done: Map<string, number>;
}
