/**
 * Debian's Python with its redis-py, in processes of their own. Another Python may stand first on PATH without it.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DEBIAN = "/usr/bin/python3";
const PYTHON = existsSync(DEBIAN) ? DEBIAN : "python3";

const live = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of live) child.kill("SIGKILL");
});

/** A running Python file. */
export class PythonProcess {
  /** What it printed so far. */
  stdout = "";
  stderr = "";
  /** Its exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  /** Starts a file of the repository, or Python code after `-c`, with these arguments. */
  constructor(...args: string[]) {
    const child = spawn(PYTHON, args, {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PYTHONUTF8: "1" },
    });
    this.#child = child;
    live.add(child);
    child.stdout.setEncoding("utf8").on("data", (text: string) => this.stdout += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => this.stderr += text);
    this.ended = new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        live.delete(child);
        resolve(code);
      });
    });
  }

  /** Sends a signal; resolves with its exit code when the process is gone. */
  kill(signal: "SIGTERM" | "SIGKILL"): Promise<number | null> {
    if (live.has(this.#child)) process.kill(this.#child.pid!, signal);
    return this.ended;
  }
}

/** Throws, saying what to install, where Python or redis-py is missing. */
export async function needPython(): Promise<void> {
  const check = new PythonProcess("-c", "import redis");
  const code = await check.ended.catch((error: Error) => error.message);
  if (code === 0) return;
  throw new Error(
    `${PYTHON} has no redis-py (${code}): install it, for example with \`apt-get install python3-redis\``,
  );
}
