/**
 * A verdict as text.
 *
 * @module
 */
import type { Percentiles } from "./figures.ts";
import type { Verdict } from "./run.ts";

/** Violations shown of each kind. */
const SHOWN = 10;

/** For a terminal. */
export function show({ figures, violations, leaked, notMade }: Verdict): string {
  const { outcomes, faults, recovery, undisturbed, sizes } = figures;
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const rows: [string, string][] = [
    ["faults", `${total}: ${list(faults)}`],
    ...notMade.map((what): [string, string] => ["  not made", what]),
    ["tasks", `${figures.tasks} handed in, ${figures.refused} of them refused; ended: ${list(outcomes)}`],
    ["starts", `${figures.starts}, ${figures.repeats} of them repeated`],
    ["  reasons", `${figures.crashes} lost leases, ${figures.failures} failures, ${figures.releases} releases`],
    ["given up", `${figures.givenUp} after their fourth lost lease`],
    ["recovery", `${times(recovery)}`],
    ["  undisturbed", `${times(undisturbed)}`],
    ["leaked keys", leaked === undefined ? "not waited for: every key has its life time" : String(leaked)],
    ["Redis", `${(figures.redisSlope / (1 << 20)).toFixed(2)} MiB a minute`],
    ...sizes.map(({ who, rss, slope, heapSlope, sockets }): [string, string] => [
      who,
      `${rss.toFixed(0)} MiB, ${slope.toFixed(2)} a minute (heap ${heapSlope.toFixed(2)}); sockets ${
        sockets?.join(" → ") ?? "not counted"
      }`,
    ]),
    ["violations", String(violations.length)],
  ];
  const shown = new Map<string, number>();
  const lines = violations.flatMap(({ kind, what }) => {
    shown.set(kind, (shown.get(kind) ?? 0) + 1);
    return shown.get(kind)! <= SHOWN ? [`  ✗ ${kind}: ${what}`] : [];
  });
  const counts = [...shown].filter(([, count]) => count > SHOWN).map(([kind, count]) => `  ✗ ${kind}: ${count} in all`);
  return [...rows.map(([name, text]) => `${name.padEnd(20)} ${text}`), ...lines, ...counts].join("\n");
}

function list(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts).map(([name, count]) => `${count} ${name}`).join(", ");
}

function times({ count, p50, p99, max }: Percentiles): string {
  return `${count} tasks: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`;
}
