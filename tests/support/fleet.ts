/**
 * Listener processes on every runtime, started and ended one by one, and what they wrote into their common diary.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { FaultListenerOptions } from "../fixtures/fault_listener.ts";
import { type Running, startProgram } from "./program.ts";
import { within } from "./wait.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** A heap of so many MiB is full soon. */
const HEAP = "--max-old-space-size=120";
const MAP = process.env.ERRAND_TEST_IMPORT_MAP;

/** How each runtime is told to run a TypeScript file. */
const COMMANDS = {
  bun: ["bun"],
  deno: ["deno", "run", "-A", "--no-check", ...(MAP ? [`--import-map=${MAP}`] : []), `--v8-flags=${HEAP}`],
  node: ["node", "--import", "tsx", HEAP],
} as const;

/** A runtime. */
export type Runtime = keyof typeof COMMANDS;
/** All of them. */
export const RUNTIMES = Object.keys(COMMANDS) as readonly Runtime[];
/** The one that runs the test. */
export const OWN_RUNTIME: Runtime = "Deno" in globalThis ? "deno" : process.versions.bun ? "bun" : "node";
/** The two others. */
export const OTHER_RUNTIMES: readonly Runtime[] = RUNTIMES.filter((runtime) => runtime !== OWN_RUNTIME);

/** Starts a TypeScript file of the repository on a runtime. */
export function startOn(runtime: Runtime, file: string, args: readonly string[]): Running {
  const [program, ...first] = COMMANDS[runtime];
  const PATH = [join(ROOT, "tools", "node_modules", ".bin"), process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH, NO_COLOR: "1", REDIS_URL: "" };
  return startProgram(program, [...first, join(ROOT, file), ...args], { cwd: ROOT, env });
}

/** A listener process. */
export interface Member extends Running {
  readonly runtime: Runtime;
}

/** One line of the diary. */
export interface DiaryLine {
  /** "start", or the type of an event. */
  readonly what: string;
  readonly id: string;
  readonly attempt: number;
  readonly fence: number;
  readonly pid: number;
}

/** What all members of a fleet are told. */
export type FleetOptions = Omit<FaultListenerOptions, "diary">;

/** A group of listener processes with one diary. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "errand-fleet-"));
  readonly #diary = join(this.#folder, "diary");
  readonly #members = new Map<number, Member>();
  /** Every process that was ever started. */
  started = 0;

  /** Starts nothing yet. */
  constructor(options: FleetOptions) {
    this.#options = options;
    writeFileSync(this.#diary, "");
  }

  /** Those that have not ended. */
  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /**
   * Starts one; `change` is what it is told otherwise than the rest. A name that ends with `@own` becomes one of its
   * runtime, `echo@bun` for example.
   */
  start(runtime: Runtime, change: Partial<FleetOptions> = {}): Member {
    const all = { ...this.#options, ...change };
    const groups = all.groups.map(({ lease, names }) => ({
      lease,
      names: names.map((name) => name.replace(/@own$/, `@${runtime}`)),
    }));
    const told: FaultListenerOptions = { ...all, groups, diary: this.#diary };
    const member = { ...startOn(runtime, "tests/fixtures/fault_listener.ts", [JSON.stringify(told)]), runtime };
    this.started += 1;
    this.#members.set(member.pid, member);
    void member.done.finally(() => this.#members.delete(member.pid));
    return member;
  }

  /** Sees to it that one runs on each runtime; resolves when all are present. */
  async fill(runtimes: readonly Runtime[]): Promise<void> {
    const runs = (runtime: Runtime) => this.members.find((member) => member.runtime === runtime);
    const members = runtimes.map((runtime) => runs(runtime) ?? this.start(runtime));
    await Promise.all(members.map((member) => member.wrote(/^present$/m)));
  }

  /** The member with this process id. */
  member(pid: number): Member {
    return this.#members.get(pid)!;
  }

  /** The diary so far; of one task, when its id is given. */
  diary(what: string, id?: string): readonly DiaryLine[] {
    return readFileSync(this.#diary, "utf8").split("\n").filter((line) => line.startsWith(`${what} `))
      .map((line) => {
        const words = line.split(" ");
        const [attempt, fence = 0] = words.slice(2, -1).map(Number);
        return { what, id: words[1]!, attempt: attempt!, fence, pid: Number(words.at(-1)) };
      })
      .filter((line) => id === undefined || line.id === id);
  }

  /** Asks all to stop; rejects when one does not end by itself, with code 0. */
  async stop(): Promise<void> {
    const ending = this.members.map(async (member) => {
      member.kill("SIGCONT");
      member.kill("SIGTERM");
      const { code } = await within(member.done, `${member.runtime} ends: ${member.output()}`, 15_000);
      if (code !== 0) throw new Error(`${member.runtime} ended with ${code}:\n${member.output()}`);
    });
    await Promise.all(ending);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
