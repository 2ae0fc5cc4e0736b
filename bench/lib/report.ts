/** The tables, and what was to be reached, as Markdown that is readable in a terminal too. */
import type { Column, Question, Target } from "../questions/question.ts";
import { mediansOf, type Spread, type Summary } from "./results.ts";

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n");
}

const group = (value: number, digits: number) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

function cell(spread: Spread | undefined, { digits }: Column, withRange: boolean): string {
  if (spread === undefined) return "";
  const range = `${group(spread.low, digits)}–${group(spread.high, digits)}`;
  return group(spread.median, digits) + (withRange ? ` (${range})` : "");
}

/** The median of every figure of a question; of the first its range too. */
export function tableOf({ columns }: Question, summaries: readonly Summary[]): string {
  const several = summaries.some(({ repetitions }) => repetitions > 1);
  const shown = columns.filter(({ figure }) => summaries.some(({ figures }) => figures[figure] !== undefined));
  const rows = summaries.map(({ mode, subject, runtime, figures }) => [
    ...[mode, subject, runtime],
    ...shown.map((column, at) => cell(figures[column.figure], column, several && at === 0)),
  ]);
  return table([["", "queue", "on", ...shown.map(({ title }) => title)], ...rows]);
}

function verdict({ value, bound, aim, sense }: Target): string {
  if (value === undefined) return "not measured";
  const reaches = (limit: number) => sense === "at least" ? value >= limit : value <= limit;
  if (!reaches(bound)) return "NOT MET";
  return aim !== undefined && reaches(aim) ? "met, the aim too" : "met";
}

/** What was to be reached, and whether it was. */
export function targetsOf(
  question: Question,
  summaries: readonly Summary[],
  runtimes: readonly string[],
): readonly Target[] {
  return question.targets(mediansOf(summaries), runtimes).filter(({ value }) => value !== undefined);
}

/** The table of targets. */
export function targetTable(targets: readonly Target[]): string {
  const rows = targets.map((target) => {
    const { what, runtime, value, bound, aim, sense, unit = "" } = target;
    const wanted = `${sense} ${bound}${unit}${aim === undefined ? "" : `, aim ${aim}${unit}`}`;
    return [what, runtime, `${value!.toFixed(2)}${unit}`, wanted, verdict(target)];
  });
  return table([["ratio", "on", "is", "wanted", ""], ...rows]);
}
