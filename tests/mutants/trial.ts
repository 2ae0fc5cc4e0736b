/**
 * A trial of a mutant by a program that has to pass: who fails is guilty only when the unmutated sources pass the same
 * program right after it, under the same load, and the mutant fails once more.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";

/** What to try a mutant with: first a short search (the tests next to a guard), then more tests, then a long search. */
export type Effort = "short" | "tests" | "long";

/** No program of a trial is given less, nor less than so many times what it takes unmutated. */
const LIMIT_MIN = 20_000;
const LIMIT_TIMES = 8;

/** How a program ended. */
interface Ending {
  readonly passed: boolean;
  /** It was ended, as it took too long. */
  readonly late: boolean;
  readonly ms: number;
}

/** A program, and where to run it. */
export interface Program {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Puts the mutant in place, or takes it away. */
export type Put = (isMutated: boolean) => Readonly<Record<string, string>>;

/** How long programs take unmutated, by their words. */
const usual = new Map<string, number>();

/** Is the mutant caught by this program of Bun? `put` answers with more of the environment. */
export async function isCaught(program: Program, put: Put): Promise<boolean> {
  const run = (isMutated: boolean, limit: number) =>
    runProgram({ ...program, env: { ...program.env, ...put(isMutated) } }, limit);
  const key = program.args.join(" ");
  if (!usual.has(key)) {
    const { ms } = await run(false, 600_000);
    usual.set(key, ms);
  }
  const limit = Math.max(LIMIT_MIN, LIMIT_TIMES * usual.get(key)!);
  const first = await run(true, limit);
  if (first.passed) return false;
  const control = await run(false, limit);
  if (!control.passed || control.ms * 3 > limit) {
    console.error(`unmutated, too: ${control.late ? "takes too long" : "fails"}: ${key}`);
    return false;
  }
  return first.late || !(await run(true, limit)).passed;
}

/** Runs it in a process group of its own, which ends with it: a test that was stopped leaves its servers behind. */
function runProgram({ args, cwd, env }: Program, limit: number): Promise<Ending> {
  const from = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn("bun", args, { cwd, env: { ...process.env, ...env }, stdio: "ignore", detached: true });
    let late = false;
    const stop = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      } catch {
        // All of it has ended by itself.
      }
    };
    process.once("exit", stop);
    const timer = setTimeout(() => {
      late = true;
      stop();
    }, limit);
    child.once("error", reject);
    child.once("exit", (code) => {
      clearTimeout(timer);
      process.off("exit", stop);
      stop();
      resolve({ passed: code === 0, late, ms: performance.now() - from });
    });
  });
}
