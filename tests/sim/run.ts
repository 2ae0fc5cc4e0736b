/**
 * Runs one seed, from its first event to the proof that nothing is left.
 *
 * Previous: `tools/sim.ts`, `tests/sim_test.ts`. Next: `simulation.ts`.
 *
 * @module
 */
import { nextTurn } from "../../src/runtime/mod.ts";
import type { Coverage } from "./coverage.ts";
import { allEnded, checkAllEnded, checkNothingLeft } from "./endings.ts";
import { strike } from "./faults.ts";
import type { Violation } from "./journal.ts";
import { PLANTS } from "./plants.ts";
import { scriptsAreReady } from "./server.ts";
import { NAMES } from "./settings.ts";
import { Simulation } from "./simulation.ts";

/** Options of {@linkcode runSeed}. */
export interface RunOptions {
  /** Counts which verbs met which faults. */
  readonly coverage?: Coverage;
  /** A fault that is planted on purpose, see `plants.ts`. */
  readonly plant?: string;
  /** Hears of every event. */
  readonly trace?: (line: string) => void;
}

/** What a seed was like. */
export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Stands for all that happened, in its order: the same seed gives the same. */
  readonly hash: string;
  readonly ops: number;
  readonly faults: number;
  readonly steps: number;
  /** Virtual milliseconds. */
  readonly time: number;
}

/** How long everything may take to end once all faults are over, in milliseconds. */
const SETTLE = 900_000;
/** More events than any seed needs. */
const STEPS_MAX = 300_000;

/** Runs one seed. Rejects only when the simulation itself is broken. */
export async function runSeed(seed: number, options: RunOptions = {}): Promise<SeedResult> {
  await scriptsAreReady();
  const { plant, trace } = options;
  const made = plant === undefined ? null : PLANTS[plant]!();
  const sim = new Simulation(seed, trace ? { plant: made, trace } : { plant: made });
  const faults = await live(sim, options);
  heal(sim);
  await turnsUntil(sim, () => allEnded(sim), SETTLE);
  checkAllEnded(sim);
  if (sim.journal.violations.length === 0) {
    // Each name is looked at once an interval: what is left of dead hints goes, of leases when they are over.
    await turnsUntil(sim, () => false, sim.settings.lease + 2 * sim.settings.interval + 1_000);
    for (const node of sim.live) sim.close(node);
    await turnsUntil(sim, () => allEnded(sim), 60_000);
    checkAllEnded(sim);
    checkNothingLeft(sim);
  }
  const { journal, scheduler, hash: [a, b] } = sim;
  const hash = (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0");
  const { now: time, steps } = scheduler;
  return { seed, violations: journal.violations, hash, ops: journal.ops.size, faults, steps, time };
}

/** The part in which things happen and go wrong; how often they did. */
async function live(sim: Simulation, { coverage }: RunOptions): Promise<number> {
  const { rng, scheduler, settings } = sim;
  for (let left = settings.clients; left > 0; left--) sim.spawn([]);
  for (let left = settings.listeners; left > 0; left--) sim.spawn(rng.some(NAMES, 0.7));
  let at = 0;
  for (let op = 0; op < settings.ops; op++) {
    at += rng.chance(0.4) ? rng.between(0, 3) : rng.between(0, settings.gap * 2.5);
    scheduler.at(at, () => sim.act());
  }
  const end = at;
  let struck = 0;
  for (let fault = 0; fault < settings.faults; fault++) {
    scheduler.at(rng.between(0, end), () => {
      const name = rng.pick(settings.faultNames);
      const node = rng.pick(sim.live) ?? sim.spawn([]);
      sim.trace(`fault ${name} ${node.process.name}`);
      coverage?.note(name, sim.verbsNow());
      strike(name, sim, node);
      struck++;
    });
  }
  if (settings.faultNames.includes("failover")) copyNowAndThen(sim, end);
  await turnsUntil(sim, () => scheduler.now >= end, end);
  return struck;
}

/** What a replica has when the primary dies. */
function copyNowAndThen(sim: Simulation, end: number): void {
  for (let at = 0; at < end; at += sim.rng.between(500, 4_000)) {
    sim.scheduler.at(at, () => {
      sim.snapshots.push(sim.server.snapshot());
      if (sim.snapshots.length > 3) sim.snapshots.shift();
    });
  }
}

/** Nothing goes wrong any more, and somebody listens to every name. */
function heal(sim: Simulation): void {
  for (const { port } of sim.nodes) {
    port.isHealed = true;
    port.partitionedUntil = 0;
    port.slowUntil = 0;
    port.fates.length = 0;
  }
  sim.server.fullUntil = 0;
  sim.server.stops = 0;
  sim.trace("heal");
  sim.spawn(NAMES);
}

/** Lets events happen until the condition holds or so much time has passed. Between two events all promises run dry. */
async function turnsUntil(sim: Simulation, isOver: () => boolean, limit: number): Promise<void> {
  const { scheduler } = sim;
  const end = scheduler.now + limit;
  for (let steps = 0; steps < STEPS_MAX; steps++) {
    if (steps % 64 === 0 && isOver()) return;
    if (!scheduler.step(end)) return;
    await new Promise<void>(nextTurn);
  }
  sim.journal.violate("it ends", `${STEPS_MAX} events were not enough`);
}
