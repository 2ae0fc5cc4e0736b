/**
 * The processes and temporary folders of the demo: each process is known by its pid and ended by it, each folder is
 * removed, whatever way the demo ends.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** How long a process may take to end after SIGTERM, in milliseconds. */
const END_MS = 3_000;
const OUTPUT_MAX = 64 * 1024;

/** The processes started and the folders made so far. */
export class Children {
  readonly #live = new Set<Child>();
  readonly #folders: string[] = [];
  readonly #killAll = (): void => this.killAll();

  /** Sees to it that nothing outlives this process, however it exits. */
  constructor() {
    process.on("exit", this.#killAll);
  }

  /** Starts a program. Variables in `env` are added to those of this process. */
  start(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
    const started = spawn(file, [...args], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    const child = new Child(started, () => this.#live.delete(child));
    this.#live.add(child);
    return child;
  }

  /** Starts a module of ours on the runtime that runs this process. */
  startModule(module: URL, args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
    return this.start(process.execPath, [...runtimeArgs(), pathOf(module), ...args], env);
  }

  /** Makes a temporary folder that goes when the processes do. */
  makeFolder(prefix: string): string {
    const folder = mkdtempSync(join(tmpdir(), prefix));
    this.#folders.push(folder);
    return folder;
  }

  /** Kills all that still run, at once. */
  killAll(): void {
    for (const child of this.#live) child.kill("SIGKILL");
    this.#removeFolders();
  }

  /** Ends all that still run, and waits for it. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#live].map((child) => child.end()));
    this.#removeFolders();
    process.off("exit", this.#killAll);
  }

  #removeFolders(): void {
    for (const folder of this.#folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  }
}

/** One process. */
export class Child {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #watchers = new Set<() => void>();
  #output = "";
  #ended = false;

  /** Use {@linkcode Children.start}. */
  constructor(started: ChildProcess, onEnd: () => void) {
    this.#process = started;
    started.stdout?.on("data", (chunk) => this.#hear(String(chunk)));
    started.stderr?.on("data", (chunk) => this.#hear(String(chunk)));
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        this.#ended = true;
        onEnd();
        this.#tell();
        resolve();
      };
      started.once("error", (error) => {
        this.#hear(String(error));
        end();
      });
      started.once("exit", end);
    });
  }

  /** Its process id; 0 when it could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Has it ended? */
  get ended(): boolean {
    return this.#ended;
  }

  /** The last 64 KiB that it wrote to both its streams. */
  get output(): string {
    return this.#output;
  }

  /** Sends a signal, unless it has ended. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#ended) this.#process.kill(signal);
  }

  /** Asks it to end, kills it when it does not within 3 s; resolves when it is gone. */
  async end(): Promise<void> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), END_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  /** Kills it as a crash would; resolves when it is gone. */
  async crash(): Promise<void> {
    this.kill("SIGKILL");
    await this.#exited;
  }

  /** Resolves when its output matches; rejects when it ends before, with what it wrote. */
  matches(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.test(this.#output);
        if (!found && !this.#ended) return;
        this.#watchers.delete(look);
        if (found) resolve();
        else reject(new Error(`Process ${this.pid} ended before it wrote ${pattern}: ${this.#output.trim()}`));
      };
      this.#watchers.add(look);
      look();
    });
  }

  #hear(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_MAX);
    this.#tell();
  }

  #tell(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

/** What stands before a module's path on this runtime. Node gets the flags of this process, so that tsx is there too. */
function runtimeArgs(): readonly string[] {
  if (process.versions.deno !== undefined) return ["run", "-A"];
  return process.versions.bun !== undefined ? [] : process.execArgv;
}

/** A module as the runtimes want it on their command line. */
export function pathOf(module: URL): string {
  return module.protocol === "file:" ? fileURLToPath(module) : module.href;
}
