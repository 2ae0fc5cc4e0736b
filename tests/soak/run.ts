/**
 * One soak from start to verdict: servers, processes, faults, calm, the last looks, what is left over.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import process from "node:process";

import { until } from "../support/wait.ts";
import { Arena, type Slot } from "./arena.ts";
import { checkTasks, ERRAND_RULES, type Rules, type Violation } from "./check.ts";
import { loadDriver, type ProcessOptions, type System } from "./driver.ts";
import { checkFigures, type Figures, figuresOf } from "./figures.ts";
import { Journal, readJournals } from "./journal.ts";
import { Observer } from "./observer.ts";
import { planFaults } from "./schedule.ts";
import { type Servers, startServers } from "./servers.ts";
import type { Mix } from "./work.ts";

/** What to soak. */
export interface SoakOptions {
  readonly system: System;
  readonly seed: number;
  /** How long faults come, in milliseconds. */
  readonly duration: number;
  readonly mix: Mix;
  readonly folder: string;
  readonly slots: readonly Slot[];
  readonly rules: Omit<Rules, "mix">;
}

/** What came of it. */
export interface Verdict {
  readonly figures: Figures;
  readonly violations: readonly Violation[];
  /** Keys left when all life times were over; undefined when that was not waited for. */
  readonly leaked: number | undefined;
  /** Faults that could not be made: no harm, but no proof either. */
  readonly notMade: readonly string[];
}

/** Milliseconds. */
export const LEASE = 2_000;
const INTERVAL = 500;
/** Longer than anybody here may be late: who waits asks again for what is gone, as promised, and it runs once more. */
const KEEP = 120_000;
/** Tasks a second of each client. */
const RATE = 14;
const WORKERS = 16;
/** Within so many milliseconds after the last fault everything has ended. */
const DRAIN_LIMIT = 90_000;
/** Life times are waited for in runs of at least so many milliseconds; in shorter ones they are looked at only. */
const TTL_FROM = 120_000;

/** What each system is held to. */
export const RULES: Readonly<Record<System, Omit<Rules, "mix">>> = {
  errand: ERRAND_RULES,
  bullmq: { crashesMax: 4, hasFences: false, countsCrashes: true },
  "bee-queue": { crashesMax: Infinity, hasFences: false, countsCrashes: false },
};

/** Who takes part, unless told otherwise. */
export const MIXED: readonly Slot[] = [
  { role: "listener", runtime: "node", steady: true },
  { role: "listener", runtime: "bun", steady: false },
  { role: "listener", runtime: "deno", steady: false },
  { role: "listener", runtime: "bun", steady: false },
  { role: "client", runtime: "deno", steady: true },
  { role: "client", runtime: "bun", steady: false },
];

/** Runs one soak. */
export async function soak(options: SoakOptions): Promise<Verdict> {
  const { system, seed, duration, mix, folder, rules } = options;
  mkdirSync(folder, { recursive: true });
  const servers = await startServers();
  try {
    const journal = new Journal(folder, process.pid);
    const told = { system, folder, mix, lease: LEASE, interval: INTERVAL, keep: KEEP, workers: WORKERS, rate: RATE };
    const arena = new Arena(servers, journal, { ...told, url: servers.network.url }, seed);
    const rest = await live(options, servers, arena, { ...told, url: servers.aside.url, ids: "" }, journal);
    const leaked = system === "errand" ? await leftOver(servers, duration) : { count: undefined, findings: [] };
    const entries = readJournals(folder);
    const figures = figuresOf(entries);
    const planned = planFaults(seed, duration, LEASE).length;
    if (arena.notMade.length > planned / 4) {
      arena.troubles.push(`of ${planned} faults ${arena.notMade.length} could not be made`);
    }
    const violations = [
      ...checkTasks(entries, { ...rules, mix }),
      ...checkFigures(figures, LEASE, duration / 60_000),
      ...arena.troubles.map((what) => ({ kind: "process", what }) as const),
      ...[...rest, ...leaked.findings].map((what) => ({ kind: "left over", what }) as const),
    ];
    return { figures, violations, leaked: leaked.count, notMade: arena.notMade };
  } finally {
    await servers.stop();
  }
}

/** From the first process to the last; what did not come to its end. */
async function live(
  { seed, duration, slots, system, folder }: SoakOptions,
  servers: Servers,
  arena: Arena,
  told: ProcessOptions,
  journal: Journal,
): Promise<string[]> {
  const client = await (await loadDriver(system)).connect(told);
  const observer = new Observer(client, { journal, folder, measure: () => servers.size() });
  observer.start();
  arena.start(slots);
  await arena.torment(planFaults(seed, duration, LEASE), duration);
  const findings: string[] = [];
  await until(() => client.left().then((left) => left === 0, () => false), "all tasks have ended", DRAIN_LIMIT)
    .catch(async (error) => findings.push(`${error}: ${await client.left().catch(String)} left`));
  await observer.finish();
  if (observer.trouble !== "") findings.push(`the last look failed: ${observer.trouble}`);
  await arena.stop("listener");
  await client.close();
  return findings;
}

/** Keys that will stay for ever; after a long run, keys that are there after the last life time. */
async function leftOver(
  servers: Servers,
  duration: number,
): Promise<{ count: number | undefined; findings: string[] }> {
  const findings: string[] = [];
  const keys = (await servers.cli("KEYS", "soak|*")).split("\n").filter((key) => key !== "");
  for (const key of keys) {
    const left = Number(await servers.cli("PTTL", key));
    if (left === -1 || left > 4 * KEEP) findings.push(`${key} would stay for ${left} ms`);
  }
  if (duration < TTL_FROM) return { count: undefined, findings };
  const isEmpty = async () => (await servers.cli("DBSIZE")) === "0";
  const limit = KEEP + 30_000;
  await until(isEmpty, "all keys are gone", limit).catch(() => {});
  const rest = (await servers.cli("KEYS", "*")).split("\n").filter((key) => key !== "");
  return { count: rest.length, findings: [...findings, ...rest.map((key) => `${key} is there after ${limit} ms`)] };
}
