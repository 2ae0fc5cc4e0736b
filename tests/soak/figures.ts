/**
 * The figures of a soak: what happened, how fast it was made good, and whether anything grows.
 *
 * @module
 */
import type { Violation } from "./check.ts";
import { type History, historyOf, type Of } from "./history.ts";
import type { Entry, Outcome, SizeEntry } from "./journal.ts";

/** What a soak comes to. */
export interface Figures {
  readonly tasks: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly starts: number;
  readonly repeats: number;
  /** Lost leases, by the records. */
  readonly crashes: number;
  readonly failures: number;
  readonly releases: number;
  /** Not accepted, and said so. */
  readonly refused: number;
  /** Failed because their lease was lost too often. */
  readonly givenUp: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Milliseconds from the kill or stop of a listener to the next start of each of its tasks. */
  readonly recovery: Percentiles;
  /** The same, where no other fault came between and the task had not been lost before. */
  readonly undisturbed: Percentiles;
  readonly sizes: readonly Growth[];
  /** Redis: bytes a minute. */
  readonly redisSlope: number;
}

/** Milliseconds. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** A process that lived through the whole run. */
export interface Growth {
  readonly who: string;
  /** MiB, at the end. */
  readonly rss: number;
  /** MiB a minute, after the first quarter. */
  readonly slope: number;
  /** MiB a minute of the heap, as it is after a collection. */
  readonly heapSlope: number;
  /** Open sockets early and at the end; absent where nobody can count them. */
  readonly sockets?: readonly [number, number];
}

const MIB = 1 << 20;
/** A slope of less than so many minutes says nothing. */
const SLOPE_MINUTES = 5;
/** MiB a minute that no heap may grow by. */
const HEAP_SLOPE_MAX = 1;
/** More sockets than early on. */
const SOCKETS_MORE = 2;

/** Counts. */
export function figuresOf(entries: readonly Entry[]): Figures {
  const history = historyOf(entries);
  const tasks = [...history.tasks.values()];
  const ended = tasks.flatMap(({ seen }) => seen.filter(({ look }) => look === 1));
  const count = (outcome: Outcome) => ended.filter((end) => end.outcome === outcome).length;
  const sum = (of: (task: (typeof tasks)[number]) => number) => tasks.reduce((total, task) => total + of(task), 0);
  const isEnd = (how: string) => sum(({ ends }) => ends.filter((end) => end.how === how).length);
  const recoveries = recoveriesOf(history);
  return {
    tasks: tasks.length,
    outcomes: {
      succeeded: count("succeeded"),
      failed: count("failed"),
      cancelled: count("cancelled"),
      expired: count("expired"),
    },
    starts: sum(({ starts }) => starts.length),
    repeats: sum(({ starts }) => Math.max(0, starts.length - 1)),
    crashes: ended.reduce((total, { crashes }) => total + crashes, 0),
    failures: isEnd("threw"),
    releases: isEnd("released"),
    refused: sum(({ errors }) => Number(errors.some(({ what }) => what === "refused"))),
    givenUp: ended.filter(({ outcome, value }) => outcome === "failed" && !value.includes("planned: ")).length,
    faults: countKinds(history.faults),
    recovery: percentiles(recoveries.map(({ ms }) => ms)),
    undisturbed: percentiles(recoveries.filter(({ isDisturbed }) => !isDisturbed).map(({ ms }) => ms)),
    sizes: growthOf(entries, history),
    redisSlope: slope(entries.filter((entry): entry is Of<"redis"> => entry.what === "redis"), ({ memory }) => memory),
  };
}

/** What the figures forbid: recovery that is slow without a cause, sockets and heaps that grow. */
export function checkFigures({ undisturbed, sizes }: Figures, lease: number, minutes: number): Violation[] {
  const found: Violation[] = [];
  const limit = lease + 5_000;
  if (undisturbed.max > limit) {
    found.push({ kind: "process", what: `a task of a dead listener waited ${undisturbed.max} ms, more than ${limit}` });
  }
  for (const { who, sockets, heapSlope } of sizes) {
    if (sockets && sockets[1] > sockets[0] + SOCKETS_MORE) {
      found.push({ kind: "growing", what: `${who}: ${sockets[0]} sockets early, ${sockets[1]} at the end` });
    }
    if (minutes >= SLOPE_MINUTES && heapSlope > HEAP_SLOPE_MAX) {
      found.push({ kind: "growing", what: `${who}: its heap grows by ${heapSlope.toFixed(2)} MiB a minute` });
    }
  }
  return found;
}

interface Recovery {
  readonly ms: number;
  readonly isDisturbed: boolean;
}

function recoveriesOf({ tasks, faults }: History): Recovery[] {
  const losses = faults.filter(({ kind }) => kind === "kill listener" || kind === "stop listener");
  const recoveries: Recovery[] = [];
  for (const { starts, ends } of tasks.values()) {
    for (const [at, start] of starts.entries()) {
      const next = starts[at + 1];
      const end = ends.find(({ from, fence, attempt }) =>
        from === start.from && fence === start.fence && attempt === start.attempt
      );
      const loss = losses.find(({ pid, since }) =>
        pid === start.from && since >= start.at && (end === undefined || end.at > since)
      );
      if (loss === undefined || next === undefined || next.at < loss.since || next.from === start.from) continue;
      const others = faults.filter((fault) =>
        fault !== loss && fault.since < next.at && Math.max(fault.until, fault.since) > loss.since - 1_000
      );
      recoveries.push({ ms: next.at - loss.since, isDisturbed: at > 0 || others.length > 0 });
    }
  }
  return recoveries;
}

function growthOf(entries: readonly Entry[], { processes }: History): Growth[] {
  const calm = entries.find(({ what }) => what === "calm")?.at ?? Infinity;
  return [...processes.values()].filter(({ steady }) => steady).map(({ pid, role, runtime }) => {
    const sizes = entries.filter((entry): entry is Entry<SizeEntry> =>
      entry.what === "size" && entry.from === pid && entry.at <= calm
    );
    return {
      who: `${role} on ${runtime}`,
      rss: (sizes.at(-1)?.rss ?? 0) / MIB,
      slope: slope(sizes, ({ rss }) => rss) / MIB,
      heapSlope: slope(sizes, ({ heap }) => heap) / MIB,
      ...socketsOf(sizes),
    };
  });
}

/** The most of a few early looks and of the last ones: in between some connections may just be broken. */
function socketsOf(sizes: readonly Entry<SizeEntry>[]): Pick<Growth, "sockets"> {
  const most = (looks: readonly Entry<SizeEntry>[]) => Math.max(...looks.map(({ sockets }) => sockets ?? NaN));
  const [early, late] = [most(sizes.slice(0, 6)), most(sizes.slice(-3))];
  return Number.isFinite(early) && Number.isFinite(late) ? { sockets: [early, late] } : {};
}

/** By least squares, a minute, after the first quarter. 0 of too few. */
export function slope<Sample extends { readonly at: number }>(
  samples: readonly Sample[],
  of: (sample: Sample) => number,
): number {
  const late = samples.slice(Math.floor(samples.length / 4));
  if (late.length < 3) return 0;
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [xs, ys] = [late.map(({ at }) => at / 60_000), late.map(of)];
  const [mx, my] = [mean(xs), mean(ys)];
  const above = xs.reduce((sum, x, at) => sum + (x - mx) * (ys[at]! - my), 0);
  return above / xs.reduce((sum, x) => sum + (x - mx) ** 2, 0);
}

/** Percentiles of milliseconds; zeros of none. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

function countKinds(faults: readonly Of<"fault">[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
