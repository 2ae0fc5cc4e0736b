/** Curves as SVG, drawn by Vega-Lite without a browser. */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Plot } from "../questions/question.ts";
import { load } from "../subjects/subject.ts";
import type { Summary } from "./results.ts";

const FOLDER = fileURLToPath(new URL("../plots", import.meta.url));

interface Vega {
  parse(spec: unknown): unknown;
  readonly View: new (view: unknown, options: { readonly renderer: "none" }) => { toSVG(): Promise<string> };
}

interface VegaLite {
  compile(spec: unknown): { readonly spec: unknown };
}

/** A point of a curve: the median, and the range of the repetitions. */
function pointsOf({ figure }: Plot, summaries: readonly Summary[]) {
  return summaries.map(({ mode, subject, runtime, figures }) => {
    const { median, low, high } = figures[figure]!;
    return { queue: `${subject} (${runtime})`, x: Number(mode), y: median, low, high };
  });
}

/** Writes one plot. Both axes are logarithmic: the queues are several times apart. */
export async function draw(plot: Plot, summaries: readonly Summary[]): Promise<void> {
  const { View, parse } = await load<Vega>("vega");
  const { compile } = await load<VegaLite>("vega-lite");
  const log = { type: "log", base: 2 };
  const x = { field: "x", type: "quantitative", title: plot.x, scale: log };
  const y = { field: "y", type: "quantitative", title: plot.y, scale: { type: "log" } };
  const color = { field: "queue", type: "nominal", title: null };
  const { spec } = compile({
    ...{ $schema: "vega-lite", width: 560, height: 340, background: "white", title: plot.title },
    data: { values: pointsOf(plot, summaries) },
    layer: [
      { mark: { type: "line", point: true }, encoding: { x, y, color } },
      {
        mark: { type: "rule", opacity: 0.5 },
        encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
      },
    ],
  });
  mkdirSync(FOLDER, { recursive: true });
  const svg = await new View(parse(spec), { renderer: "none" }).toSVG();
  writeFileSync(`${FOLDER}/${plot.file}`, `${svg}\n`);
}
