/**
 * Makes the cuts: some of the positions of each trial, or all, several worlds at a time since most of the time is waiting.
 *
 * @module
 */
import type { ClientName } from "../../src/adapters/connect.ts";
import { within } from "../support/wait.ts";
import type { Cut } from "./cut_proxy.ts";
import { type Finding, lost, type Outcome, type Run, type Trial } from "./trial.ts";
import { World } from "./world.ts";

/** How long any call may take, in milliseconds. */
export const LIMIT = 6_000;
/** Between its first and its last so many bytes, the text of a script is cut every {@linkcode TEXT_STEP} bytes only. */
const TEXT_ENDS = 512;
const TEXT_STEP = 16;
/** Cuts that one world makes before it takes the next part. */
const PART = 100;

/** What became of the cuts of one trial. */
export interface Row {
  readonly name: string;
  /** Bytes of request and answer. */
  readonly bytes: readonly [request: number, answer: number];
  cuts: number;
  lost: number;
  twice: number;
  hung: number;
  /** Connections that outlived their owners. */
  left: number;
  /** Milliseconds of the slowest call. */
  slowest: number;
  /** The first findings, each with its cut. */
  readonly findings: string[];
}

/** What is to be cut. */
export interface CutOptions {
  readonly client: ClientName;
  readonly trials: readonly Trial[];
  /** Which of all cuts of a trial are made. */
  readonly choose: (all: readonly Cut[]) => readonly Cut[];
  /** Cut every byte in the middle of a script's text too. */
  readonly whole?: boolean;
  /** Worlds at a time. */
  readonly lanes: number;
  /** Called when the last cut of a trial was made. */
  readonly onRow?: (row: Row) => void;
}

interface Part {
  readonly trial: Trial;
  readonly row: Row;
  readonly cuts: readonly Cut[];
}

/** Makes the cuts, and resolves with one row a trial. */
export async function makeCuts(options: CutOptions): Promise<Row[]> {
  const parts = await plan(options);
  const rows = [...new Set(parts.map(({ row }) => row))];
  const open = new Map(rows.map((row) => [row, parts.filter((part) => part.row === row).length]));
  const waiting = [...parts];
  const lane = async (): Promise<void> => {
    const cutter = new Cutter(options.client);
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      await cutter.work(part);
      open.set(part.row, open.get(part.row)! - 1);
      if (open.get(part.row) === 0) options.onRow?.(part.row);
    }
    rows[0]!.left += await cutter.close();
  };
  await Promise.all(Array.from({ length: Math.min(options.lanes, parts.length) }, lane));
  return rows;
}

/** Measures each trial uncut, and divides its cuts. */
async function plan({ client, trials, choose, whole = false }: CutOptions): Promise<Part[]> {
  const world = await World.open(client);
  const parts: Part[] = [];
  for (const trial of trials) {
    const bytes = await measure(world, trial);
    const row: Row = {
      name: trial.name,
      bytes,
      cuts: 0,
      lost: 0,
      twice: 0,
      hung: 0,
      left: 0,
      slowest: 0,
      findings: [],
    };
    const cuts = choose(allCuts(bytes, trial.hows ?? ["reset", "end"], whole));
    for (let at = 0; at < cuts.length; at += PART) parts.push({ trial, row, cuts: cuts.slice(at, at + PART) });
  }
  await world.close();
  return parts;
}

async function measure(world: World, trial: Trial): Promise<Row["bytes"]> {
  const run = await trial.open(world);
  await world.refresh();
  await run.prepare();
  world.proxy.count();
  await run.call();
  const { request, answer } = world.proxy.passed;
  await run.judge({ value: undefined }, false);
  await run.close();
  return [request, answer];
}

/** Every byte of both directions; the ways to cut take turns. */
function allCuts([request, answer]: Row["bytes"], hows: readonly Cut["how"][], whole: boolean): Cut[] {
  const cuts: Cut[] = [];
  const add = (direction: Cut["direction"], after: number) =>
    cuts.push({ direction, after, how: hows[cuts.length % hows.length]! });
  const isMiddle = (after: number) => request > 10 * TEXT_ENDS && after > TEXT_ENDS && after < request - TEXT_ENDS;
  for (let after = 0; request > 0 && after <= request; after++) {
    if (whole || !isMiddle(after) || after % TEXT_STEP === 0) add("request", after);
  }
  for (let after = 0; answer > 0 && after <= answer; after++) add("answer", after);
  return cuts;
}

/** One world after the other: one in which a call hung is thrown away. */
class Cutter {
  readonly #client: ClientName;
  #world: World | undefined;
  #left = 0;

  constructor(client: ClientName) {
    this.#client = client;
  }

  async work({ trial, row, cuts }: Part): Promise<void> {
    let run: Run | undefined;
    for (const cut of cuts) {
      const world = this.#world ??= await World.open(this.#client);
      run ??= await trial.open(world);
      const finding = await makeCut(world, run, { cut, row });
      if (finding) note(row, cut, finding);
      if (finding?.kind !== "hung") continue;
      await this.close();
      run = undefined;
    }
    if (!run || !this.#world) return;
    row.left += Math.max(0, await this.#world.leftovers(run.connections));
    await run.close();
    row.left += Math.max(0, await this.#world.leftovers());
  }

  async close(): Promise<number> {
    const world = this.#world;
    this.#world = undefined;
    if (world) this.#left += await world.close();
    return this.#left;
  }
}

async function makeCut(world: World, run: Run, { cut, row }: { cut: Cut; row: Row }): Promise<Finding | undefined> {
  const ready = world.refresh().then(() => run.prepare());
  const trouble = await within(ready, "the next cut", LIMIT).then(() => undefined, String);
  if (trouble !== undefined) return { kind: "hung", text: `the connection did not come back: ${trouble}` };
  world.proxy.count(cut);
  const from = performance.now();
  const call = run.call().then((value): Outcome => ({ value }), (error): Outcome => ({ error }));
  const outcome = await within(call, "the end of the call", LIMIT).catch(() => undefined);
  row.slowest = Math.max(row.slowest, performance.now() - from);
  const wasCut = world.proxy.isDone;
  world.proxy.count();
  if (wasCut) row.cuts++;
  if (outcome === undefined) return { kind: "hung", text: `no end within ${LIMIT} ms` };
  const judged = run.judge(outcome, wasCut).catch((error): Finding => lost(`afterwards ${String(error)}`));
  const hung: Finding = { kind: "hung", text: "what came after it did not end" };
  return await within(judged, "the judgement", 5 * LIMIT).catch(() => hung);
}

function note(row: Row, cut: Cut, { kind, text }: Finding): void {
  row[kind]++;
  if (row.findings.length < 5) {
    row.findings.push(`${kind}, ${cut.how} after byte ${cut.after} of the ${cut.direction}: ${text}`);
  }
}
