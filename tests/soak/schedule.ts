/**
 * Which faults come when: all from the seed, before anything runs.
 *
 * @module
 */
import { Dice } from "./random.ts";

/** How often each fault comes, in parts of all. */
const WEIGHTS = {
  /** kill -9 of a listener. */
  "kill listener": 22,
  "kill client": 6,
  /** SIGSTOP for longer than the lease, then SIGCONT. */
  "stop listener": 14,
  "stop client": 4,
  /** SIGTERM, as in a deploy. */
  "end listener": 12,
  "end client": 3,
  /** kill -9, then a restart with the append-only file. */
  "kill Redis": 8,
  /** To a replica that has everything. */
  "failover": 5,
  /** To a replica that was promoted while the old primary went on: what was accepted meanwhile is gone. */
  "failover, tail lost": 3,
  "network frozen": 7,
  "connections reset": 7,
  /** They die without a word. */
  "connections forgotten": 4,
  /** For longer than a reset. */
  "connections refused": 4,
  "scripts flushed": 6,
  "clients killed": 6,
  /** No memory for new tasks, noeviction. */
  "memory full": 6,
} as const;

/** A kind of fault. */
export type FaultKind = keyof typeof WEIGHTS;
/** All of them. */
export const FAULT_KINDS = Object.keys(WEIGHTS) as readonly FaultKind[];

/** One fault to come. */
export interface PlannedFault {
  /** Milliseconds after the start. */
  readonly after: number;
  readonly kind: FaultKind;
  /** How long it lasts, in milliseconds, where it lasts. */
  readonly lasts: number;
  /** Chooses whom it befalls, in [0, 1). */
  readonly whom: number;
}

/** The faults of a run of `duration` milliseconds: one every one to five seconds. */
export function planFaults(seed: number, duration: number, lease: number): PlannedFault[] {
  const dice = new Dice(seed, "faults");
  const faults: PlannedFault[] = [];
  // In a short run every kind has its chance: the first round goes through all kinds in an order of the seed.
  const first = shuffled(FAULT_KINDS, dice);
  for (let after = 2_000; after < duration; after += dice.between(1_000, 5_000)) {
    const kind = first.pop() ?? dice.weighed(WEIGHTS);
    faults.push({ after, kind, lasts: Math.round(dice.between(...durationOf(kind, lease))), whom: dice.unit() });
  }
  return faults;
}

function durationOf(kind: FaultKind, lease: number): [number, number] {
  switch (kind) {
    case "stop listener":
    case "stop client":
      return [1.5 * lease, 3 * lease];
    case "kill Redis":
      return [200, 2_500];
    case "network frozen":
      return [500, 3 * lease];
    case "connections refused":
      return [500, 3_000];
    case "failover, tail lost":
      return [200, 600];
    case "memory full":
      return [1_000, 4_000];
    default:
      return [0, 1];
  }
}

function shuffled<Item>(items: readonly Item[], dice: Dice): Item[] {
  return items.map((item) => [dice.unit(), item] as const).sort(([one], [other]) => one - other).map(([, item]) =>
    item
  );
}
