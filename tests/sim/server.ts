/**
 * The simulated Redis server: commands in, answers out, messages to whoever subscribed, and tokens to whoever waits at
 * a bell. It is one thread and has one clock, as the real one.
 *
 * @module
 */
import type { Keys } from "../../src/keys.ts";
import { type Command, RedisReplyError, type Reply } from "../../src/port/redis.ts";
import { byteLength } from "../../src/record.ts";
import { type Bounds, boundsOf } from "../../src/store/ended.ts";
import { Script } from "../../src/store/memory/memory_script.ts";
import { acknowledgeScript, appearScript, cancelScript, leaveScript } from "../../src/store/redis/caller.ts";
import { listenedScript, putScript, takeScript, withdrawScript } from "../../src/store/redis/caller.ts";
import { claimScript } from "../../src/store/redis/claim.ts";
import { deadScript, removeScript, requeueScript, ringScript } from "../../src/store/redis/dead.ts";
import { enqueueScript } from "../../src/store/redis/enqueue.ts";
import { finishScript } from "../../src/store/redis/finish.ts";
import { progressScript, releaseScript, renewScript } from "../../src/store/redis/keep.ts";
import type { EnqueueRequest } from "../../src/store/store.ts";
import { halfOf } from "./half_way.ts";
import type { Journal, ServerCall } from "./journal.ts";
import type { Plant } from "./plants.ts";
import { EPOCH, type SimProcess } from "./process.ts";
import type { Rng } from "./rng.ts";
import type { Scheduler } from "./scheduler.ts";
import { enqueueRequests, HANDLERS } from "./scripts.ts";
import { SimWorld, type Snapshot } from "./world.ts";

const SCRIPTS = [
  ...[enqueueScript, claimScript, finishScript, renewScript, progressScript, releaseScript, withdrawScript],
  ...[cancelScript, putScript, takeScript, acknowledgeScript, listenedScript, appearScript, leaveScript],
  ...[deadScript, requeueScript, removeScript, ringScript],
];
const bySource = new Map(SCRIPTS.map(({ name, source }) => [source, name]));
const bySha = new Map<string, string>();

/** Resolves when the scripts know their hashes: before that the same call could be sent in two ways. */
export async function scriptsAreReady(): Promise<void> {
  while (SCRIPTS.some(({ sha }) => sha === null)) await new Promise((resolve) => setTimeout(resolve, 1));
  for (const { name, sha } of SCRIPTS) bySha.set(sha!, name);
}

/** What a server needs. */
export interface ServerContext {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly keys: Keys;
  readonly bounds: Bounds;
  readonly journal: Journal;
  readonly plant: Plant | null;
  trace(line: string): void;
}

/** Scripts that write more than one thing. */
const WRITERS = new Set(["enqueue", "claim", "finish", "renew", "release", "withdraw", "cancel", "requeue"]);

/** Hears what is published. */
export interface Hearer {
  readonly channels: readonly string[];
  hear(message: string, channel: string): void;
}

/** The server of one simulation. */
export class SimServer {
  readonly world: SimWorld;
  readonly hearers = new Set<Hearer>();
  /** Milliseconds by which its clock has jumped ahead. */
  ahead = 0;
  /** Until when nobody can reach it. */
  downUntil = 0;
  /** Until when it has no memory for new tasks. */
  fullUntil = 0;
  /** So many of the next scripts that write stop half way. */
  stops = 0;
  /** Part of the scripts that are run twice in a row, which must have the effect of one (I14). */
  twice = 0;
  #isStopping = false;
  #isLate = false;
  readonly #context: ServerContext;
  readonly #bounds: ReturnType<typeof boundsOf>;
  readonly #waiters = new Set<() => void>();

  /** An empty server. */
  constructor(context: ServerContext) {
    this.#context = context;
    this.#bounds = boundsOf(context.bounds);
    const { journal } = context;
    this.world = new SimWorld({
      onChange: (id, before, after) => this.#isStopping || journal.changed(id, before, after),
      onMessage: (channel, ids, record) => {
        const told = ids.map((id) => `${byteLength(id)}:${id}`).join("");
        this.#publish(channel, record === null ? told : `${told}=${record}`);
      },
    });
  }

  /** Redis' time, epoch milliseconds. */
  get time(): number {
    return Math.floor(EPOCH + this.#context.scheduler.now + this.ahead);
  }

  /** Is there nobody at its address? */
  get isDown(): boolean {
    return this.#context.scheduler.now < this.downUntil;
  }

  /** Has it no memory for new tasks? */
  get isFull(): boolean {
    return this.#context.scheduler.now < this.fullUntil;
  }

  /** Runs the commands of one write; `isLate`: nobody hears the answers. */
  exec(process: SimProcess, commands: readonly Command[], isLate: boolean = false): Reply[] {
    this.#isLate = isLate;
    return commands.map((command) => this.#command(process, command));
  }

  /** Waits for a token: `wake` is called with the bell or, at the time limit, with null. Returns what ends that. */
  waitAtBell(bells: readonly string[], limit: number, wake: (bell: string | null) => void): () => void {
    const token = this.world.takeToken(bells, this.time);
    if (token !== null) {
      wake(token);
      return () => {};
    }
    const { scheduler } = this.#context;
    const end = (bell: string | null) => {
      timer.run = null;
      leave();
      this.#waiters.delete(drop);
      wake(bell);
    };
    const leave = this.world.awaitBell({ bells, wake: end });
    const timer = scheduler.at(scheduler.now + limit, () => end(null));
    const drop = () => {
      timer.run = null;
      leave();
      this.#waiters.delete(drop);
    };
    this.#waiters.add(drop);
    return drop;
  }

  /** Whoever waits at a bell is forgotten, as when the server dies. */
  forgetWaiters(): void {
    for (const drop of [...this.#waiters]) drop();
  }

  /** What stands here now. */
  snapshot(): Snapshot {
    return this.world.snapshot(this.time);
  }

  #command(process: SimProcess, command: Command): Reply {
    const [verb, ...words] = command;
    if (verb === "EVALSHA" || verb === "EVAL") return this.#eval(process, verb, words);
    const key = words[0]!;
    const text = () => this.#read(key);
    switch (verb) {
      case "GET":
        return text();
      case "MGET":
        return [key, ...words.slice(1)].map((each) => this.#read(each));
      case "GETRANGE":
        return (text() ?? "").slice(Number(words[1]), Number(words[2]) + 1);
      case "PUBLISH":
        return this.#publish(key, words[1]!);
      case "LLEN":
        return this.world.list(key, this.time).length;
      case "ZCARD":
        return this.world.sorted(key, this.time).size;
      case "HGET":
        return this.world.counters(key, this.time).get(words[1]!) ?? null;
      default:
        throw new Error(`The simulated server does not know ${verb}`);
    }
  }

  #read(key: string): string | null {
    const text = this.world.get(key, this.time);
    return this.#context.plant?.onRead?.(text) ?? text;
  }

  #publish(channel: string, message: string): number {
    if (this.#isStopping || this.#context.plant?.dropsMessage?.(channel, message)) return 0;
    let count = 0;
    for (const hearer of this.hearers) {
      if (!hearer.channels.includes(channel)) continue;
      count++;
      hearer.hear(message, channel);
    }
    return count;
  }

  #eval(process: SimProcess, verb: string, [script, , , , , ...words]: string[]): Reply {
    const name = (verb === "EVAL" ? bySource : bySha).get(script!);
    if (name === undefined) return verb === "EVAL" ? "" : new RedisReplyError("NOSCRIPT No matching script");
    const { journal, rng, trace } = this.#context;
    const call = { name, words, process, time: this.time, isLate: this.#isLate };
    journal.begins(call);
    if (this.stops > 0 && WRITERS.has(name)) return this.#stopHalfWay(call);
    let reply = this.#run(name, words);
    if (this.twice > 0 && rng.chance(this.twice)) reply = this.#again(name, words, reply);
    journal.ends(call, reply);
    trace(`${name} ${process.name} ${words[0]} ${reply}`);
    return reply;
  }

  #run(name: string, words: readonly string[]): Reply {
    const { keys, plant } = this.#context;
    const work = (words: readonly string[]) => {
      this.world.scriptTime = this.time;
      const script = new Script(this.world, keys, this.time, this.#bounds);
      const reply = plant?.answers?.(name, words, script) ?? HANDLERS[name]!(script, words, plant);
      script.conclude();
      if (!this.#isStopping) this.world.commit();
      return reply;
    };
    return name === "enqueue" && this.isFull ? this.#onFullRedis(words, work) : work(words);
  }

  /** A full Redis answers what it need not write for, and refuses the rest before anything is stored. */
  #onFullRedis(words: readonly string[], work: (words: readonly string[]) => Reply): Reply {
    const requests = enqueueRequests(words);
    const width = words.length / requests.length;
    return requests.flatMap((request, at) =>
      this.#refuses(request) ? [["f"]] : work(words.slice(at * width, (at + 1) * width)) as Reply[]
    );
  }

  #refuses({ id, nonce }: EnqueueRequest): boolean {
    const before = this.world.get(this.#context.keys.record(id), this.time);
    if (before === null || before[1] === "0") return true;
    return before.slice(79, 99) !== nonce && before[1]! >= "5";
  }

  /** What it told is not told, and its caller hears of an error. */
  #stopHalfWay(call: ServerCall): Reply {
    const { rng, plant, journal, trace } = this.#context;
    this.stops--;
    this.#isStopping = true;
    const before = this.snapshot();
    this.#run(call.name, call.words);
    const half = halfOf(before, this.snapshot(), rng, plant?.swapsWrites ?? false);
    this.#isStopping = false;
    this.world.restore(half);
    this.world.forget();
    const texts = new Map(before.map(({ key, value }) => [key, value as string]));
    for (const { key, value } of half) {
      const id = key.split("|task-result:")[1];
      if (id !== undefined) journal.changed(id, texts.get(key) ?? null, value as string, true);
    }
    journal.ends(call, null);
    trace(`${call.name} of ${call.process.name} stopped half way`);
    return new RedisReplyError("ERR the script stopped half way");
  }

  /** The same call once more, at once: nothing may change but what time alone changes. */
  #again(name: string, words: readonly string[], first: Reply): Reply {
    const { journal, rng } = this.#context;
    const before = this.#withoutBells();
    const second = this.#run(name, words);
    const after = this.#withoutBells();
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      // An end in no queue that is said twice is a new end to those who count bytes: the older entry is a dead hint.
      const isCount = name === "put" && /\|task-(?:done|stats)\|/.test(key);
      // Each enqueue drops dead hints at the head of its list, a repeated one too.
      const isTrim = name === "enqueue" && key.includes("|task-queue|") &&
        (before.get(key) ?? "").endsWith((after.get(key) ?? "[]").slice(1));
      // Where one call names an id twice, its first item meets again what its second made, as a later caller would.
      const id = /\|task-(?:result|joined):(.*)/.exec(key)?.[1];
      const isShared = name === "enqueue" && enqueueRequests(words).filter((request) => request.id === id).length > 1;
      if (isCount || isTrim || isShared || before.get(key) === after.get(key)) continue;
      journal.violate("I14 twice is once", `${name} sent twice changed ${key}`);
    }
    return rng.chance(0.5) ? second : first;
  }

  #withoutBells(): Map<string, string> {
    const entries = Object.entries(this.world.dump(this.time)).filter(([key]) => !/\|task-(?:bell|listen)/.test(key));
    return new Map(entries.map(([key, value]) => [key, JSON.stringify(value)]));
  }
}
