/**
 * The first measurements: what a question costs beside the bare round trips of the same client in the same run, and
 * what enqueueing and draining cost Redis. Ratios count; absolute times drift with the machine.
 *
 *     deno run -A bench/run.ts      bun bench/run.ts      node --import tsx bench/run.ts
 *
 * `ERRAND_TEST_CLIENT` names another client than the default of the runtime.
 */
import process from "node:process";
import { RedisTaskQueue } from "../mod.ts";
import { testConnect } from "../tests/support/test_client.ts";
import { inFlight, PARAMS, percentile, redisCounters, runtimeName, withRedis, withWorker } from "./support.ts";

interface Row {
  readonly what: string;
  readonly value: string;
}

const TASKS = Number(process.env.BENCH_TASKS ?? 20_000);
const QUERIES = Number(process.env.BENCH_QUERIES ?? 2_000);

async function latencies(count: number, work: (index: number) => Promise<unknown>): Promise<number[]> {
  for (let i = 0; i < 200; i++) await work(-1 - i);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const from = performance.now();
    await work(i);
    times.push((performance.now() - from) * 1000);
  }
  return times;
}

const micros = (times: readonly number[]) =>
  `p50 ${percentile(times, 0.5).toFixed(0)} µs, p99 ${percentile(times, 0.99).toFixed(0)} µs`;

/** One question after another, beside a PING and beside a bare push and blocking pop both ways. */
function answered(): Promise<Row[]> {
  return withRedis(async (server) => {
    const port = await testConnect(server.url);
    const queue = new RedisTaskQueue(port, "bench");
    const ping = await latencies(QUERIES, () => port.exec([["PING"]]));
    const bare = await withWorker("echo", server.url, 1, async () => {
      const blocking = await port.blocking();
      const times = await latencies(QUERIES, async (i) => {
        const answer = blocking.call(["BLPOP", "echo:out", "5"], 7_000);
        await port.exec([["RPUSH", "echo:in", `${i}${PARAMS.text}`]]);
        await answer;
      });
      blocking.close();
      return times;
    });
    const rows = await withWorker("listen", server.url, 100, async () => {
      const policy = "remote";
      const one = await latencies(QUERIES, (i) => queue.query(`one${i}`, "noop", PARAMS, { policy }));
      const before = await redisCounters(port);
      const took = await inFlight(TASKS, 100, (i) => queue.query(`many${i}`, "noop", PARAMS, { policy }));
      const after = await redisCounters(port);
      const floor = percentile(bare, 0.5);
      return [
        {
          what: "query, one after another",
          value: `${micros(one)} = ${(percentile(one, 0.5) / floor).toFixed(1)} × bare`,
        },
        { what: "queries, 100 in flight", value: perSecond(TASKS, took, before, after) },
      ];
    });
    await queue.close();
    port.close();
    return [
      { what: "PING round trip", value: micros(ping) },
      { what: "bare push + blocking pop, both ways", value: micros(bare) },
      ...rows,
    ];
  });
}

type Counters = Awaited<ReturnType<typeof redisCounters>>;

function perSecond(count: number, took: number, before: Counters, after: Counters): string {
  const cpu = ((after.cpu - before.cpu) / count * 1e6).toFixed(1);
  return `${Math.round(count / took * 1000)}/s, Redis CPU ${cpu} µs and ${
    ((after.calls - before.calls) / count).toFixed(2)
  } commands a task`;
}

/** A backlog written with 100 in flight, then drained by a listener of this process. */
function drained(): Promise<Row[]> {
  return withRedis(async (server) => {
    const port = await testConnect(server.url);
    const empty = await redisCounters(port);
    let ended = 0;
    const allEnded = deferred();
    const taskFn = () => {
      if (++ended === TASKS) allEnded.resolve(undefined);
    };
    const queue = new RedisTaskQueue(port, "bench", { taskFn });
    const wrote = await inFlight(TASKS, 100, (i) => queue.enqueue(`t${i}`, "noop", PARAMS));
    const full = await redisCounters(port);
    const stop = new AbortController();
    const from = performance.now();
    const listening = queue.listen(["noop"], { workers: 100, signal: stop.signal });
    await allEnded.promise;
    stop.abort();
    await listening;
    const took = performance.now() - from;
    const done = await redisCounters(port);
    await queue.close();
    port.close();
    return [
      { what: "enqueued, 100 in flight", value: perSecond(TASKS, wrote, empty, full) },
      { what: "Redis memory", value: `${((full.memory - empty.memory) / TASKS).toFixed(0)} bytes a waiting task` },
      { what: "drained, 100 workers", value: perSecond(TASKS, took, full, done) },
    ];
  });
}

function deferred(): { promise: Promise<unknown>; resolve: (value: unknown) => void } {
  let resolve!: (value: unknown) => void;
  const promise = new Promise((done) => resolve = done);
  return { promise, resolve };
}

console.log(`errand on ${runtimeName()}, ${TASKS} tasks, 200-byte params`);
for (const row of [...await answered(), ...await drained()]) console.log(`  ${row.what.padEnd(38)} ${row.value}`);
