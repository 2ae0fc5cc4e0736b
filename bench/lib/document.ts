/** Writes `bench/RESULTS.md` from all that was measured: without a journal and with one. */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Question, Settings } from "../questions/question.ts";
import type { Runtime } from "../subjects/all.ts";
import { tableOf, targetsOf, targetTable } from "./report.ts";
import type { Results, Summary } from "./results.ts";

const FILE = fileURLToPath(new URL("../RESULTS.md", import.meta.url));

function firstLine(program: string, ...args: string[]): string {
  return spawnSync(program, args, { encoding: "utf8" }).stdout?.trim().split("\n")[0] ?? "";
}

function machine(): string {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim() ?? "CPU"}, ${memory} GiB of memory, Linux; processes share the cores`;
}

function versions(summaries: readonly Summary[]): string[] {
  const redis = /v=(\S+)/.exec(firstLine("redis-server", "--version"))?.[1] ?? "";
  const runtimes = [
    ...[`Redis ${redis}`, `Bun ${firstLine("bun", "--version")}`, `Node ${firstLine("node", "--version").slice(1)}`],
    firstLine("deno", "--version").replace(/ \(.*/, "").replace("deno", "Deno"),
  ];
  const libraries = new Set(summaries.map(({ versions }) => versions).filter((text) => !text.startsWith("errand")));
  return [runtimes.join(", "), [...libraries].toSorted().join("; ")];
}

function section(question: Question, settings: Settings, plain: Results, journal: Results): string[] {
  const { name, about, plot } = question;
  const parts: string[] = [];
  const summaries = plain.summaries(question.cells({ ...settings, aof: false }));
  const journaled = journal.summaries(question.cells({ ...settings, aof: true })).filter(({ aof }) => aof);
  if (summaries.length + journaled.length === 0) return [];
  parts.push(`## ${name}`, about);
  const runtimes: readonly Runtime[] = settings.runtimes;
  for (
    const [title, some] of [[null, summaries], ["With a journal that is synced every second:", journaled]] as const
  ) {
    if (some.length === 0) continue;
    if (title !== null) parts.push(title);
    const targets = targetsOf(question, some, runtimes);
    if (targets.length > 0) parts.push(targetTable(targets));
    parts.push(tableOf(question, some));
  }
  if (plot !== undefined && summaries.length > 0) parts.push(`![${plot.title}](plots/${plot.file})`);
  return parts;
}

/** Writes the page. */
export function writeDocument(
  questions: readonly Question[],
  settings: Settings,
  { plain, journal }: { readonly plain: Results; readonly journal: Results },
): void {
  const all = questions.flatMap((question) => [
    ...plain.summaries(question.cells({ ...settings, aof: false })),
    ...journal.summaries(question.cells({ ...settings, aof: true })),
  ]);
  const most = Math.max(0, ...all.map(({ repetitions }) => repetitions));
  const [runtimes, libraries] = versions(all);
  const parts = [
    "# Measured",
    `Written by \`deno task bench\` on ${new Date().toISOString().slice(0, 10)}; [README.md](README.md) says what is ` +
    `measured and how. Medians of ${most} interleaved repetitions, the range of the first figure in brackets; costs are ` +
    "per task. Ratios count: absolute numbers are this machine's.",
    `- ${machine()}\n- ${runtimes}\n- ${libraries}`,
    ...questions.flatMap((question) => section(question, settings, plain, journal)),
  ];
  writeFileSync(FILE, `${parts.join("\n\n")}\n`);
  spawnSync("deno", ["fmt", "-q", FILE]);
}
