/** What every measurement needs: a fresh redis-server, the other process, Redis' own counters, percentiles. */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { RedisPort } from "../src/port/redis.ts";
import { type RedisServer, startRedis } from "../tests/support/redis_server.ts";
import { scriptArguments } from "../tests/support/run_script.ts";

/** 200 bytes of JSON, as the peers were measured with. */
export const PARAMS: { readonly text: string } = { text: "x".repeat(188) };

/** Runs `measure` with a redis-server of its own. */
export async function withRedis<T>(measure: (server: RedisServer) => Promise<T>): Promise<T> {
  const server = await startRedis();
  try {
    return await measure(server);
  } finally {
    await server.stop();
  }
}

/** Runs `measure` while `worker.ts` does its part in a process of the same runtime. */
export async function withWorker<T>(role: string, url: string, workers: number, measure: () => Promise<T>): Promise<T> {
  const script = fileURLToPath(new URL("./worker.ts", import.meta.url));
  const child = spawn(process.execPath, [...scriptArguments(), script, role, url, String(workers)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    await new Promise((resolve, reject) => {
      child.stdout!.once("data", resolve);
      child.once("exit", (code) => reject(new Error(`the worker ended with ${code} before it was ready`)));
    });
    return await measure();
  } finally {
    await end(child);
  }
}

function end(child: ChildProcess): Promise<unknown> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin!.end();
  const kill = setTimeout(() => child.kill("SIGKILL"), 5_000);
  return ended.finally(() => clearTimeout(kill));
}

/** The name of the runtime that measures. */
export function runtimeName(): string {
  if ("Deno" in globalThis) return "deno";
  return "Bun" in globalThis ? "bun" : "node";
}

/** Redis' own counters: CPU seconds, memory in bytes, commands processed. */
export async function redisCounters(port: RedisPort): Promise<{ cpu: number; memory: number; calls: number }> {
  const [cpu, memory, stats] = await port.exec([["INFO", "cpu"], ["INFO", "memory"], ["INFO", "stats"]]) as string[];
  const number = (text: string, key: string) => Number(new RegExp(`${key}:([0-9.]+)`).exec(text)![1]);
  return {
    cpu: number(cpu!, "used_cpu_user") + number(cpu!, "used_cpu_sys"),
    memory: number(memory!, "used_memory"),
    calls: number(stats!, "total_commands_processed"),
  };
}

/** The value below which the given part of the values lie. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** Calls `work` for 0…count-1 with so many in flight, and returns the milliseconds that it took. */
export async function inFlight(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<number> {
  const from = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return performance.now() - from;
}
