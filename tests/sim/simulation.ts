/**
 * One simulation: processes of the production client and listener, a network and a Redis, under one queue of events.
 *
 * Previous: `run.ts`. Next: `process.ts`, `network.ts`, `server.ts`, `journal.ts`.
 *
 * @module
 */
import { keysOf } from "../../src/keys.ts";
import type { Listening } from "../../src/listening.ts";
import { RedisTaskQueue } from "../../src/queue.ts";
import type { RedisTask } from "../../src/task.ts";
import { checkSettled } from "./endings.ts";
import { handle, type SimParams } from "./handlers.ts";
import { Journal, livesIn, type OpLog } from "./journal.ts";
import { SimPort } from "./network.ts";
import type { Plant } from "./plants.ts";
import { SimProcess } from "./process.ts";
import { Rng } from "./rng.ts";
import { Scheduler } from "./scheduler.ts";
import { SimServer } from "./server.ts";
import { NAMES, settingsOf, type SimSettings } from "./settings.ts";
import { callOf, type UserCall } from "./verbs.ts";
import type { Snapshot } from "./world.ts";

/** One process with its queue. */
export interface SimNode {
  readonly process: SimProcess;
  readonly port: SimPort;
  readonly queue: RedisTaskQueue;
  readonly listening: Listening[];
}

/** What a simulation is given. */
export interface SimulationOptions {
  readonly plant?: Plant | null;
  /** Hears of every event. */
  readonly trace?: (line: string) => void;
}

/** So much of each line goes into the hash. */
const HASHED = 120;

/** One simulation. */
export class Simulation {
  readonly settings: SimSettings;
  readonly rng: Rng;
  readonly scheduler = new Scheduler();
  readonly keys = keysOf("sim", "q");
  readonly journal: Journal;
  readonly server: SimServer;
  readonly nodes: SimNode[] = [];
  readonly snapshots: Snapshot[] = [];
  /** Two numbers that stand for all that happened, in its order. */
  readonly hash: [number, number] = [0x811c9dc5, 0x1234567];
  #count = 0;
  #starts = 0;
  readonly #localStarts = new Map<number, number>();
  readonly #options: SimulationOptions;

  /** Everything that happens follows from the seed. */
  constructor(seed: number, options: SimulationOptions) {
    this.rng = new Rng(seed);
    this.settings = settingsOf(this.rng);
    this.#options = options;
    const { keys, scheduler, settings: { lease, deadMax, doneBytes } } = this;
    this.journal = new Journal({ keys, lease, scheduler });
    this.server = new SimServer({
      ...{ scheduler, rng: new Rng(seed, 1), keys, journal: this.journal, plant: options.plant ?? null },
      bounds: { deadMax, deadTtl: 60_000, doneBytes },
      trace: (line) => this.trace(line),
    });
    this.journal.world = this.server.world;
    this.server.twice = this.settings.twice;
  }

  /** Something happened. */
  trace(line: string): void {
    this.#options.trace?.(`${this.scheduler.now.toFixed(3)} ${line}`);
    let [a, b] = this.hash;
    a = Math.imul(a ^ Math.floor(this.scheduler.now * 1_000), 0x01000193);
    const end = Math.min(line.length, HASHED);
    for (let at = 0; at < end; at++) {
      const code = line.charCodeAt(at);
      a = Math.imul(a ^ code, 0x01000193);
      b = Math.imul(b + code, 0x9e3779b1) ^ (b >>> 13);
    }
    this.hash[0] = a;
    this.hash[1] = b;
  }

  /** Starts a process; with names it listens to them. */
  spawn(names: readonly string[]): SimNode {
    const { settings, scheduler, server } = this;
    const rng = new Rng(this.rng.int(2 ** 31), 2 + this.nodes.length);
    const process = new SimProcess(`p${this.nodes.length}`, scheduler, rng);
    const port = new SimPort({ scheduler, rng, server, process });
    const taskFn = (task: RedisTask<SimParams>) => handle(this, node, task);
    const queue = new RedisTaskQueue(port, "sim", {
      ...{ suffix: "q", timeout: 20_000, interval: settings.interval, lease: settings.lease, taskFn: taskFn as never },
      ...{ attemptTimeout: 15_000, backoff: settings.backoff, clock: process.clock, random: process.random },
      ...{ deadMax: settings.deadMax, deadTtl: 60_000, log: () => {} },
      ...(settings.doneBytes === undefined ? {} : { doneBytes: settings.doneBytes }),
    });
    const node: SimNode = { process, port, queue, listening: [] };
    this.nodes.push(node);
    this.journal.processes.push(process);
    if (names.length > 0) this.#listen(node, names);
    return node;
  }

  /** Those that run and were not told to stop. */
  get live(): SimNode[] {
    return this.nodes.filter(({ process }) => !process.dead && process.closedAt === Infinity);
  }

  /** An id with its name; seldom with another. */
  task(): { readonly id: string; readonly name: string } {
    const { rng, settings } = this;
    const number = rng.chance(0.3) ? 1_000 + this.#count : rng.int(settings.ids);
    const name = rng.chance(0.03) ? rng.pick(NAMES) : NAMES[number % NAMES.length]!;
    return { id: `t${number}`, name };
  }

  /** Some user does something. */
  act(): void {
    const node = this.rng.pick(this.live.filter(({ process }) => !process.frozen)) ?? this.spawn([]);
    const verb = this.rng.pick(this.settings.verbs);
    this.#call(verb, node, (params) => callOf(verb, this, node, params));
  }

  /** A handler asks for another task. */
  nested(node: SimNode, task: RedisTask<SimParams>): Promise<unknown> {
    const policy = this.rng.pick(["auto", "remote", "local", "remote-first"] as const);
    return this.#call("nested query", node, ({ n, ms }) => ({
      ...{ id: `${task.id}/n`, limit: 6_000 },
      run: (queue) =>
        queue.query(`${task.id}/n`, this.rng.pick(NAMES), { n, kind: "slow", ms }, { policy, timeout: 5_000 }),
    }));
  }

  /** A handler starts: what it will return. */
  handlerStarts(node: SimNode, { id, fence, params }: RedisTask<SimParams>): string {
    const { journal } = this;
    const key = `${id} ${fence}`;
    const token = `v:${id}:${fence}:${++this.#starts};`;
    journal.madeBy.set(token, node.process);
    this.trace(`start ${node.process.name} ${token}`);
    if (fence === 0) {
      const starts = (this.#localStarts.get(params.n) ?? 0) + 1;
      this.#localStarts.set(params.n, starts);
      if (starts > 1) {
        journal.violate("I7 starts are counted", `call ${params.n} of ${id} ran ${starts} times in no queue`);
      }
      return token;
    }
    if (journal.started.has(key)) journal.violate("I7 starts are counted", `${id} started twice under fence ${fence}`);
    journal.started.add(key);
    const owner = journal.granted.get(key);
    if (owner === undefined || journal.processOf(owner) !== node.process) {
      journal.violate("I7 starts are counted", `${node.process.name} started ${id} under fence ${fence} of another`);
    }
    return token;
  }

  /** A process ends without a word; another may take its place. */
  crash(node: SimNode): void {
    node.process.crash();
    node.port.abandon();
    for (const op of this.journal.ops.values()) if (op.process === node.process) op.isSettled = true;
    this.#replace(node);
  }

  /** A process is told to end. */
  shutdown(node: SimNode): UserCall {
    const atOnce = this.rng.chance(0.3);
    node.process.closedAt = this.scheduler.now;
    this.#replace(node);
    const limit = this.settings.grace + 8_000;
    const run = async () => {
      const ends = Promise.all(node.listening);
      await node.queue.close({ atOnce });
      await ends;
    };
    return { id: "", limit, run };
  }

  /** Makes a call and follows it. */
  close(node: SimNode): void {
    void this.#call("shutdown", node, () => this.shutdown(node)).catch(() => {});
  }

  #call(verb: string, node: SimNode, make: (params: SimParams) => UserCall): Promise<unknown> {
    const { rng, settings, journal, scheduler } = this;
    const n = ++this.#count;
    const params: SimParams = { n, kind: rng.pick(settings.handlers), ms: rng.pick([1, 50, 400, 3_000]) };
    const call = make(params);
    const op: OpLog = {
      ...{ number: n, verb, id: call.id, process: node.process, at: scheduler.now, limit: call.limit, nonce: "" },
      ...{ from: node.process.clock.monotonic(), isSettled: false },
    };
    journal.ops.set(n, op);
    this.trace(`call ${n} ${verb} ${node.process.name} ${call.id} ${params.kind}`);
    const made = Promise.resolve().then(() => call.run(node.queue));
    made.then(
      (value) => this.#settled(op, call, { value }),
      (error) => this.#settled(op, call, { error }),
    );
    return made;
  }

  #settled(op: OpLog, call: UserCall, outcome: { readonly value?: unknown; readonly error?: unknown }): void {
    this.trace(`end ${op.number} ${"error" in outcome ? outcome.error : outcome.value}`);
    op.isSettled = true;
    checkSettled(this, op, call, outcome);
  }

  #listen(node: SimNode, names: readonly string[]): void {
    const { workers, grace } = this.settings;
    const listening = node.queue.listen(names, { workers, grace });
    node.listening.push(listening);
    listening.catch((error) => this.journal.violate("listeners stay", `${node.process.name}: ${error}`));
  }

  /** Another process comes up after a while, or does not. */
  #replace(node: SimNode): void {
    const { scheduler, rng } = this;
    if (!rng.chance(0.8)) return;
    const names = node.listening.length > 0 ? rng.some(NAMES, 0.7) : [];
    scheduler.at(scheduler.now + rng.between(0, 3_000), () => void this.spawn(names));
  }

  /** What a fault that strikes now may harm. */
  verbsNow(): Set<string> {
    const verbs = new Set<string>();
    for (const { isSettled, verb } of this.journal.ops.values()) if (!isSettled) verbs.add(verb);
    for (const run of this.journal.present.values()) {
      if (!livesIn(run)) continue;
      verbs.add(run.verb);
      verbs.add(`handler ${/"kind":"(\w+)"/.exec(run.head.body)?.[1]}`);
    }
    return verbs;
  }
}
