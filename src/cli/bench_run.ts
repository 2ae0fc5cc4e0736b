/**
 * What `errand bench` does: five rows, one after another, each until its tasks are done or its time is over, in a queue
 * that nobody else has. This process is client and listener at once: what it shows is errand, the client and the way to
 * Redis, on this machine.
 *
 * Every task has a deadline, so that nothing stays behind even where this process is killed.
 *
 * @module
 */
import type { RedisTask, RedisTaskQueue } from "../../mod.ts";
import { keysOf } from "../keys.ts";
import { systemRandom } from "../random.ts";
import { type CliContext, type Connection, type QueueFlags, withQueue } from "./context.ts";
import { CliError, EXIT } from "./exit_codes.ts";

/** What is handed in, and what is asked: a backlog that was not done in time is in the way of no question. */
const NAME = "bench";
const ASKED = "bench-asked";
/** 200 bytes of JSON. */
const PARAMS = { text: "x".repeat(189) };
/** After that Redis forgets what this process could not delete. */
const LIFE_MS = 300_000;
const IN_FLIGHT = 100;
/** Keys deleted by one command. */
const DELETE_AT_ONCE = 500;

/** What `errand bench` is told. */
export interface BenchFlags extends QueueFlags {
  readonly tasks: number;
  readonly duration: number;
  readonly workers: number;
}

/** One row of the table. */
interface Row {
  readonly what: string;
  readonly count: number;
  readonly ms: number;
  /** Milliseconds of each, where they were measured. */
  readonly times?: readonly number[];
}

/** A run: its queue, its limits, and the ids that it has used. */
interface Run {
  readonly queue: RedisTaskQueue;
  readonly flags: BenchFlags;
  readonly signal: AbortSignal;
  readonly ids: string[];
}

/** The command. */
export async function bench(this: CliContext, flags: BenchFlags): Promise<void> {
  const { shutdown, output } = this;
  const own = { ...flags, suffix: `${flags.suffix}-${systemRandom.id()}` };
  shutdown.configure({ message: "stopping the benchmark; its keys are deleted" });
  const ids: string[] = [];
  const doTask = (task: RedisTask<typeof PARAMS>): number => task.params.text.length;
  await withQueue(this, own, { taskFn: { [NAME]: doTask, [ASKED]: doTask } }, async (queue, redis) => {
    const run: Run = { queue, flags, signal: shutdown.signal, ids };
    try {
      output.text(`${describe(flags)}\n\n`);
      for await (const row of rows(run)) output.text(`${lineOf(row)}\n`);
    } finally {
      await clean(redis, own, ids);
    }
  });
  if (shutdown.signal.aborted) throw new CliError(EXIT.interrupted, "Stopped before all rows were measured");
}

function describe({ workers }: BenchFlags): string {
  return `errand, client and listener in one process, ${workers} workers, no-op tasks with 200 bytes of params`;
}

async function* rows(run: Run): AsyncGenerator<Row> {
  const { queue, signal } = run;
  const enqueue = (id: string) => queue.enqueue(id, NAME, PARAMS, { timeout: LIFE_MS });
  yield await timed(run, "enqueued, one after another", 1, enqueue);
  yield await timed(run, `enqueued, ${IN_FLIGHT} in flight`, IN_FLIGHT, enqueue);
  yield await drained(run);
  const stop = new AbortController();
  const listening = queue.listen(ASKED, { workers: run.flags.workers, signal: stop.signal });
  try {
    const ask = (id: string) => queue.query(id, ASKED, PARAMS, { policy: "remote", timeout: LIFE_MS, signal });
    yield await timed(run, "answered, one after another", 1, ask);
    yield await timed(run, `answered, ${IN_FLIGHT} in flight`, IN_FLIGHT, ask);
  } finally {
    stop.abort();
    await listening;
  }
}

/** Calls `work` with so many in flight until the tasks or the time are used up. */
async function timed(run: Run, what: string, width: number, work: (id: string) => Promise<unknown>): Promise<Row> {
  const { flags: { tasks, duration }, signal, ids } = run;
  const times: number[] = [];
  const from = performance.now();
  let next = 0;
  const isOver = () => next >= tasks || signal.aborted || performance.now() - from >= duration;
  const lane = async () => {
    while (!isOver()) {
      const id = `${what} ${next++}`;
      ids.push(id);
      const began = performance.now();
      await work(id);
      times.push(performance.now() - began);
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: width }, lane));
  const failed = lanes.find((lane) => lane.status === "rejected");
  if (failed !== undefined && !signal.aborted) throw failed.reason;
  return { what, count: times.length, ms: performance.now() - from, times };
}

/** Does what the rows before have left waiting, until Redis says that all have ended. */
async function drained({ queue, flags, signal }: Run): Promise<Row> {
  const stop = new AbortController();
  const onAbort = () => stop.abort();
  signal.addEventListener("abort", onAbort);
  const before = await queue.counts(NAME);
  const from = performance.now();
  const listening = queue.listen(NAME, { workers: flags.workers, signal: stop.signal });
  try {
    const isOver = async () => {
      const { queued, running } = await queue.counts(NAME);
      return queued + running === 0 || performance.now() - from >= flags.duration;
    };
    while (!stop.signal.aborted && !await isOver()) await new Promise((resolve) => setTimeout(resolve, 5));
    const ms = performance.now() - from;
    const { queued, running } = await queue.counts(NAME);
    return { what: `drained, ${flags.workers} workers`, count: before.queued - queued - running, ms };
  } finally {
    stop.abort();
    await listening;
    signal.removeEventListener("abort", onAbort);
  }
}

function lineOf({ what, count, ms, times }: Row): string {
  const rate = ms > 0 ? Math.round(count / ms * 1_000) : 0;
  const line = `  ${what.padEnd(30)} ${rate.toLocaleString("en-US").padStart(9)} /s`;
  if (times === undefined || times.length === 0) return line;
  const sorted = times.toSorted((a, b) => a - b);
  const part = (of: number) => sorted[Math.floor(sorted.length * of)]!.toFixed(2).padStart(8);
  return `${line}   p50 ${part(0.5)} ms   p99 ${part(0.99)} ms   (${count.toLocaleString("en-US")} in ${
    (ms / 1_000).toFixed(1)
  } s)`;
}

/** Deletes the run's keys; what memory holds goes with the process. */
async function clean(
  redis: Connection,
  { prefix, suffix }: { readonly prefix: string; readonly suffix: string },
  ids: readonly string[],
): Promise<void> {
  if (!("exec" in redis)) return;
  const keys = keysOf(prefix, suffix);
  const named = [keys.queue, keys.scheduled, keys.lease, keys.dead, keys.done, keys.stats, keys.bell, keys.listen];
  const all = [...ids.map((id) => keys.record(id)), ...named.flatMap((keyOf) => [keyOf(NAME), keyOf(ASKED)])];
  for (let at = 0; at < all.length; at += DELETE_AT_ONCE) {
    await redis.exec([["DEL", ...all.slice(at, at + DELETE_AT_ONCE)]]);
  }
}
