/**
 * What goes wrong in a simulation. Each fault strikes once, at an instant of chance's choice, and heals by itself.
 *
 * @module
 */
import type { Fate } from "./network.ts";
import type { SimNode, Simulation } from "./simulation.ts";
import type { Snapshot } from "./world.ts";

/** The faults. */
export const FAULTS = [
  "crash",
  "freeze",
  "suspend",
  "wall clock",
  "redis clock",
  "partition",
  "cut",
  "bell cut",
  "lost request",
  "lost answer",
  "late copy",
  "delay",
  "gap",
  "deaf",
  "failover",
  "flush",
  "full",
  "eviction",
  "half way",
] as const;

/** The name of a fault. */
export type FaultName = (typeof FAULTS)[number];

const STRIKES: Readonly<Record<FaultName, (sim: Simulation, node: SimNode) => void>> = {
  crash: (sim, node) => sim.crash(node),
  freeze: (sim, { process }) => process.freeze(sim.settings.lease * sim.rng.between(0.2, 3), false),
  suspend: (sim, { process }) => process.freeze(sim.settings.lease * sim.rng.between(0.2, 3), true),
  "wall clock": (sim, { process }) => {
    process.wall += sim.rng.pick([-3_600_000, -5_000, -500, 500, 5_000, 3_600_000]);
    process.noteOutage("wall clock", 2 * sim.settings.lease);
  },
  "redis clock": (sim) => {
    const jump = sim.rng.pick([50, 1_000, sim.settings.lease * 2]);
    sim.server.ahead += jump;
    sim.journal.noteOutage("redis clock", 2 * sim.settings.lease);
  },
  partition: (sim, { port, process }) => {
    const duration = sim.rng.pick([300, 3_000, 12_000, 3 * sim.settings.lease]);
    const end = sim.scheduler.now + duration;
    port.partitionedUntil = Math.max(port.partitionedUntil, end);
    process.noteOutage("partition", duration + 1_000);
    for (const subscription of [...port.subscriptions]) {
      if (duration > 10_000 || sim.rng.chance(0.5)) subscription.break(end);
    }
    for (const blocking of port.blockings) if (sim.rng.chance(0.5)) blocking.break("partition");
  },
  cut: (sim, { port, process }) => {
    process.noteOutage("cut", 50);
    port.break("cut", sim.rng.pick([0, 100, 2_000]));
    for (const subscription of [...port.subscriptions]) {
      if (sim.rng.chance(0.5)) subscription.break(sim.scheduler.now + sim.rng.between(0, 2_000));
    }
  },
  "bell cut": (_, { port }) => {
    for (const blocking of port.blockings) blocking.break("cut");
  },
  "lost request": (sim, { port }) => arm(sim, port.fates, "lostRequest"),
  "lost answer": (sim, { port }) => arm(sim, port.fates, "lostAnswer"),
  "late copy": (sim, { port }) => arm(sim, port.fates, "lateCopy"),
  delay: (sim, { port, process }) => {
    const duration = sim.rng.between(500, 8_000);
    port.slowUntil = sim.scheduler.now + duration;
    process.noteOutage("delay", duration + 2_000);
  },
  gap: (sim, { port, process }) => {
    const duration = sim.rng.between(1, 5_000);
    process.noteOutage("gap", duration + 100);
    for (const subscription of [...port.subscriptions]) subscription.break(sim.scheduler.now + duration);
  },
  deaf: (sim, { port, process }) => {
    process.noteOutage("deaf", 4 * sim.settings.interval + 5_000);
    for (const subscription of port.subscriptions) subscription.isDeaf = true;
  },
  failover: (sim) => failover(sim),
  flush: (sim) => {
    sim.journal.taint(() => true, "tainted");
    sim.journal.noteOutage("flush", 2 * sim.settings.lease + 2 * sim.settings.interval);
    sim.server.world.empty();
    sim.server.world.forget();
    if (sim.rng.chance(0.5)) restart(sim);
  },
  full: (sim) => {
    sim.server.fullUntil = sim.scheduler.now + sim.rng.between(200, 10_000);
  },
  eviction: (sim) => evict(sim),
  "half way": (sim) => {
    sim.server.stops = 1 + sim.rng.int(2);
    sim.journal.noteOutage("half way", sim.settings.lease + 2_000);
  },
};

/** Lets one strike. */
export function strike(fault: FaultName, sim: Simulation, node: SimNode): void {
  STRIKES[fault](sim, node);
}

function arm(sim: Simulation, fates: Fate[], fate: Fate): void {
  for (let left = 1 + sim.rng.int(3); left > 0; left--) fates.push(fate);
}

/** A replica that had not heard of the last writes takes over. */
function failover(sim: Simulation): void {
  const { server, journal, scheduler, rng } = sim;
  const present = server.snapshot();
  const old = rng.pick(sim.snapshots) ?? [];
  const texts = new Map(old.map(({ key, value }) => [key, value]));
  journal.taint(({ id, nonce }) => {
    const key = sim.keys.record(id);
    const before = texts.get(key);
    const now = present.find((entry) => entry.key === key)?.value;
    const isThere = (text: unknown) => typeof text === "string" && text.slice(79, 99) === nonce;
    return before !== now || isThere(before) || isThere(now);
  }, "tainted");
  journal.noteOutage("failover", 2 * sim.settings.lease + 2 * sim.settings.interval + 3_000);
  server.world.restore(old as Snapshot);
  server.world.forget();
  server.downUntil = scheduler.now + rng.between(1, 3_000);
  restart(sim);
}

/** All connections break; whoever waited waits no more. */
function restart(sim: Simulation): void {
  sim.server.forgetWaiters();
  for (const { port, process } of sim.nodes) {
    if (process.dead) continue;
    port.break("the server restarts");
    for (const subscription of [...port.subscriptions]) subscription.break(sim.server.downUntil);
    for (const blocking of port.blockings) blocking.break("the server restarts");
  }
}

/** Redis makes room: keys of any kind go. */
function evict(sim: Simulation): void {
  const { server, journal, rng, keys } = sim;
  const all = Object.keys(server.world.dump(server.time));
  const gone = new Set(Array.from({ length: 1 + rng.int(3) }, () => rng.pick(all)));
  for (const key of gone) {
    if (key === undefined) continue;
    server.world.delete(key);
    const isPlace = /\|task-(?:queue|scheduled|lease)\|/.test(key);
    if (isPlace) journal.taint(({ head }) => key.endsWith(`|${head.name}`), "robbed");
    else journal.taint(({ id }) => keys.record(id) === key, "robbed");
  }
  journal.noteOutage("eviction", 3 * sim.settings.lease + 2 * sim.settings.interval);
}
