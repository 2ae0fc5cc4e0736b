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
  drainSome: { role: "work", prepare: (driver, options) => () => drainSome(driver, options) },
  idleListener: { role: "work", prepare: idleListener },
  idleClient: { role: "ask", prepare: idleClient },
  manyTasks: { role: "work", prepare: (driver, options) => () => manyTasks(driver, options) },
  manyTimeouts: { role: "ask", prepare: (driver, options) => () => manyTimeouts(driver, options) },
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
  await inFlight(Math.min(200, options.count), 10, (i) => asked(driver, 90_000_000 + i));
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

/** Leaves the rest of a backlog: Redis' counters are per task that was done. */
async function drainSome(driver: Driver, { count, width = 100 }: PartOptions): Promise<Figures> {
  const before = (await driver.counts()).done;
  let seen = 0;
  let enough!: () => void;
  const all = new Promise<void>((resolve) => enough = resolve);
  const took = await timed(async () => {
    await driver.work(width, (index) => {
      if (++seen === count) enough();
      return resultOf(index);
    });
    await all;
  });
  await driver.stop!();
  const done = (await driver.counts()).done - before;
  must(done >= count && done < count + 1_000, `${done} tasks have ended instead of ${count}`);
  return { rate: count / took.ms * 1_000, clientCpu: took.cpu / done, count: done };
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A task was done and three intervals went by; then `count` seconds of nothing. */
async function idleListener(driver: Driver, { count, width = 100 }: PartOptions): Promise<() => Promise<Figures>> {
  await driver.work(width, resultOf);
  await asked(driver, 0);
  await pause(3_500);
  return async () => {
    const { cpu } = await timed(() => pause(count * 1_000));
    return { clientCpu: cpu / count, count };
  };
}

/** It asked, has its answer, and waits for nothing any more. */
async function idleClient(driver: Driver, { count }: PartOptions): Promise<() => Promise<Figures>> {
  await asked(driver, 1);
  await pause(3_500);
  return async () => {
    const { cpu } = await timed(() => pause(count * 1_000));
    return { clientCpu: cpu / count, count };
  };
}

/** The heap after collections of garbage, in bytes: the least of several, as collectors are lazy and calls may still end. */
async function heap(): Promise<number> {
  const { Bun, gc } = globalThis as { Bun?: { gc(force: boolean): void }; gc?: () => void };
  let least = Infinity;
  for (let round = 0; round < 8; round++) {
    await pause(300);
    if (Bun) Bun.gc(true);
    else if (gc) gc();
    else throw new Error("The runtime was started without --expose-gc");
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}

/** How much the heap grows between a fifth of the work and all of it. */
async function growth(count: number, work: (from: number, count: number) => Promise<unknown>): Promise<Figures> {
  await work(0, count / 5);
  const early = await heap();
  await work(count / 5, count - count / 5);
  const late = await heap();
  return { heapEarly: early / 1_024, heapLate: late / 1_024, growth: (late - early) / 1_024, count };
}

/** A listener and a client in one process: every task is asked for, done, answered. */
async function manyTasks(driver: Driver, { count, width = 100 }: PartOptions): Promise<Figures> {
  await driver.work(width, resultOf);
  return await growth(count, (from, count) => inFlight(count, width, (i) => asked(driver, from + i)));
}

/** Questions that nobody answers, each given up after 50 ms. */
function manyTimeouts(driver: Driver, { count }: PartOptions): Promise<Figures> {
  return growth(count, (from, count) => inFlight(count, 1_000, (i) => driver.giveUp!(from + i, 50)));
}
