/** What a measured process does: fill, enqueue, drain, serve, ask. Each checks that what it measured did happen. */
import process from "node:process";
import { type Driver, resultOf, type Role } from "../subjects/subject.ts";
import { inFlight, percentile } from "./time.ts";

/** What a part measured: numbers by name. */
export type Figures = Readonly<Record<string, number>>;

/** The options of a part. */
export interface PartOptions {
  readonly count: number;
  /** Numbers of tasks begin here. @default 0 */
  readonly from?: number;
  /** Workers, or calls in flight. */
  readonly width?: number;
  readonly mode?: "one by one" | "in flight" | "bulk";
}

/** One part: it prepares without being measured, and gives back what is measured. */
export interface Part {
  readonly role: Role;
  prepare(driver: Driver, options: PartOptions): Promise<() => Promise<Figures>> | (() => Promise<Figures>);
}

/** The parts by name. */
export const PARTS: Readonly<Record<string, Part>> = {
  fill: { role: "produce", prepare: (driver, options) => () => fill(driver, options) },
  enqueue: { role: "produce", prepare: (driver, options) => () => enqueue(driver, options) },
  drain: { role: "work", prepare: (driver, options) => () => drain(driver, options) },
  serve: { role: "serve", prepare: serve },
  ask: { role: "ask", prepare: prepareAsk },
};

/** How many are handed in by one call of the library's bulk. */
const BULK = 1_000;

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`The measurement is void: ${what}`);
}

async function timed(work: () => Promise<unknown>): Promise<{ ms: number; cpu: number }> {
  const cpu = process.cpuUsage();
  const from = performance.now();
  await work();
  const ms = performance.now() - from;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpu: user + system };
}

async function bulk(driver: Driver, from: number, count: number): Promise<void> {
  for (let done = 0; done < count; done += BULK) {
    await driver.enqueueMany(from + done, Math.min(BULK, count - done));
  }
}

async function fill(driver: Driver, { count, from = 0 }: PartOptions): Promise<Figures> {
  const before = (await driver.counts()).waiting;
  await bulk(driver, from, count);
  const { waiting } = await driver.counts();
  must(waiting - before === count, `${waiting - before} tasks wait instead of ${count}`);
  return { count };
}

async function enqueue(driver: Driver, { count, from = 0, width = 100, mode }: PartOptions): Promise<Figures> {
  const before = (await driver.counts()).waiting;
  const took = await timed(async () => {
    if (mode === "bulk") await bulk(driver, from, count);
    else await inFlight(count, mode === "one by one" ? 1 : width, (i) => driver.enqueue(from + i));
  });
  const { waiting } = await driver.counts();
  must(waiting - before === count, `${waiting - before} tasks wait instead of ${count}`);
  return { rate: count / took.ms * 1_000, clientCpu: took.cpu / count };
}

/** From the start of the worker until Redis says that all have ended. */
async function drain(driver: Driver, { count, width = 100 }: PartOptions): Promise<Figures> {
  const before = (await driver.counts()).done;
  const seen = new Set<number>();
  let finished!: () => void;
  const all = new Promise<void>((resolve) => finished = resolve);
  const took = await timed(async () => {
    await driver.work(width, (index) => {
      seen.add(index);
      if (seen.size === count) finished();
      return resultOf(index);
    });
    await all;
    while ((await driver.counts()).done - before < count) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  for (const index of [...seen].filter((_, at) => at % Math.ceil(count / 200) === 0)) {
    const result = driver.result ? await driver.result(index) : resultOf(index);
    must(result === resultOf(index), `task ${index} has the result ${JSON.stringify(result)}`);
  }
  return { rate: count / took.ms * 1_000, clientCpu: took.cpu / count };
}

async function serve(driver: Driver, { width = 100 }: PartOptions): Promise<() => Promise<Figures>> {
  await driver.work(width, resultOf);
  return () => Promise.resolve({});
}

/** A few are asked before, so that connections are made and code is compiled. */
async function prepareAsk(driver: Driver, options: PartOptions): Promise<() => Promise<Figures>> {
  await inFlight(200, 10, (i) => asked(driver, 90_000_000 + i));
  return () => ask(driver, options);
}

async function asked(driver: Driver, index: number): Promise<void> {
  const result = await driver.ask!(index);
  must(result === resultOf(index), `the answer to ${index} is ${JSON.stringify(result)}`);
}

async function ask(driver: Driver, { count, width = 1 }: PartOptions): Promise<Figures> {
  const times: number[] = [];
  const took = await timed(() =>
    inFlight(count, width, async (i) => {
      const from = performance.now();
      await asked(driver, i);
      times.push(performance.now() - from);
    })
  );
  return {
    ...{ rate: count / took.ms * 1_000, clientCpu: took.cpu / count },
    ...{ p50: percentile(times, 0.5), p99: percentile(times, 0.99) },
  };
}
