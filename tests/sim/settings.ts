/**
 * What one seed is made of. Each seed has its own selection of verbs and faults ("swarm testing", Groce and others,
 * 2012): with all of them in every seed, rare pairs would hardly ever meet alone.
 *
 * @module
 */
import type { FaultName } from "./faults.ts";
import { FAULTS } from "./faults.ts";
import type { HandlerKind } from "./handlers.ts";
import { HANDLER_KINDS } from "./handlers.ts";
import type { Rng } from "./rng.ts";
import { VERBS } from "./verbs.ts";

/** The names of tasks. */
export const NAMES = ["a", "b", "c"] as const;

/** The settings of one seed; durations in milliseconds. */
export interface SimSettings {
  readonly ops: number;
  readonly faults: number;
  readonly verbs: readonly string[];
  readonly faultNames: readonly FaultName[];
  readonly handlers: readonly HandlerKind[];
  readonly lease: number;
  readonly interval: number;
  readonly grace: number;
  readonly workers: number;
  readonly clients: number;
  readonly listeners: number;
  /** How many ids are used again and again. */
  readonly ids: number;
  readonly backoff: number;
  /** The mean gap between two calls. */
  readonly gap: number;
  readonly twice: number;
  readonly deadMax: number;
  readonly doneBytes: number | undefined;
}

/** Chooses them. */
export function settingsOf(rng: Rng): SimSettings {
  return {
    ops: 150 + rng.int(50),
    faults: 5 + rng.int(12),
    verbs: rng.some(VERBS, rng.pick([0.25, 0.5, 0.9])),
    faultNames: rng.some(FAULTS, rng.pick([0.1, 0.3, 0.7])),
    handlers: ["ok", ...rng.some(HANDLER_KINDS, rng.pick([0.2, 0.5, 0.9]))],
    lease: rng.pick([1_000, 2_000, 5_000, 20_000]),
    interval: rng.pick([500, 1_000, 5_000]),
    grace: rng.pick([0, 500]),
    workers: rng.pick([1, 2, 4, 16]),
    clients: 1 + rng.int(3),
    listeners: 1 + rng.int(3),
    ids: rng.pick([3, 10, 40]),
    backoff: rng.pick([0, 100, 1_000]),
    gap: rng.pick([40, 150, 300]),
    twice: rng.pick([0, 0, 0.02]),
    deadMax: rng.pick([2, 100]),
    doneBytes: rng.pick([undefined, undefined, 4_000]),
  };
}
