/**
 * Programs that a test starts: their output as it grows, their end, and a signal by process id.
 *
 * Whatever still runs when the test process ends is killed with it.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { until } from "./wait.ts";

const live = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of live) child.kill("SIGKILL");
});

/** What a program wrote and how it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly pid: number;
  readonly done: Promise<Ended>;
  /** Everything written so far, both streams. */
  output(): string;
  /** Resolves when the output matches; throws when it ends without, or after 20 seconds. */
  wrote(pattern: RegExp): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

/** Where a program runs. */
export interface Surroundings {
  readonly cwd: string;
  /** All of its environment. */
  readonly env: NodeJS.ProcessEnv;
}

/** Starts a program; `done` rejects when there is none of that name. */
export function startProgram(program: string, args: readonly string[], { cwd, env }: Surroundings): Running {
  const child = spawn(program, [...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  live.add(child);
  let [stdout, stderr, ended] = ["", "", false];
  child.stdout.on("data", (chunk) => stdout += String(chunk));
  child.stderr.on("data", (chunk) => stderr += String(chunk));
  const done = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      ended = true;
      live.delete(child);
      resolve({ code, stdout, stderr });
    });
  });
  const output = (): string => stdout + stderr;
  return {
    pid: child.pid ?? 0,
    done,
    output,
    kill(signal) {
      // Not `child.kill`: after it Deno reports the signal as the cause of the end, whatever the exit code was.
      if (!ended && child.pid !== undefined) process.kill(child.pid, signal);
    },
    wrote: async (pattern) => {
      const matches = (): boolean => pattern.test(output());
      await until(() => ended || matches(), `${program} ${args.join(" ")} writes ${pattern}: ${output()}`, 20_000);
      if (!matches()) throw new Error(`${program} ended without writing ${pattern}:\n${output()}`);
    },
  };
}
