/**
 * How the store calls its scripts: in lanes that share a call a turn, again while the outcome is unknown, and with
 * Redis' errors told apart.
 *
 * Previous: `redis_store.ts`. Next: `../../port/coalescer.ts`.
 *
 * @module
 */
import { type Clock, sleep } from "../../clock.ts";
import { ConnectionLostError } from "../../errors.ts";
import type { Keys } from "../../keys.ts";
import { elsewhereError, isElsewhere } from "../../port/cluster.ts";
import { forbiddenError, isForbidden } from "../../port/forbidden.ts";
import { Coalescer, type Lane, type Waiting } from "../../port/coalescer.ts";
import { type RedisPort, RedisReplyError, type Reply } from "../../port/redis.ts";
import type { Bounds } from "../ended.ts";
import type { Script } from "./script.ts";

/** A caller in doubt repeats its call for so long; no ended record is removed sooner (protocol rule 4). */
const REPEAT_FOR = 30_000;
/** Answers of a server that cannot work now and did nothing: as good as a lost connection on which nothing was sent. */
const UNAVAILABLE: ReadonlySet<string> = new Set([
  "LOADING",
  "BUSY",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "NOREPLICAS",
  "MISCONF",
  "TRYAGAIN",
]);

/** Records may be large: so many at once hold Redis for a few milliseconds at most. */
const READS_MAX = 16;

/** What the stores on one connection share. */
interface Shared {
  readonly calls: Coalescer;
  readonly lanes: Map<string, Lane>;
}

const known = new WeakMap<RedisPort, Shared>();

/** One item that is sent until it is answered. */
export interface Insistence<Answer> {
  /** Its words, so many milliseconds after it was sent first. */
  item(elapsed: number): readonly string[];
  /** What the reply means; may throw. */
  read(reply: Reply): Answer;
  /** Sent again also when it could not be sent at all. */
  readonly unsent?: boolean;
}

/** What the scripts of one store are called with. */
export interface CallSettings {
  readonly keys: Keys;
  readonly clock: Clock;
  /** Redis' time for the scripts, in epoch milliseconds; null = its own. */
  readonly time: (() => number) | null;
  readonly bounds: Bounds;
}

/** Calls scripts on one connection. */
export class ScriptCalls {
  readonly #calls: Coalescer;
  readonly #shared: Shared;
  readonly #lanes = new Map<Script, Lane>();
  /** The store's own: keys of another queue may have another slot, or be forbidden. */
  readonly #reads: Lane = { script: null, head: ["MGET"], most: READS_MAX };
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #time: (() => number) | null;
  readonly #bounds: string;

  /** Stores on the same connection share its writes. */
  constructor(port: RedisPort, { keys, clock, time, bounds }: CallSettings) {
    let shared = known.get(port);
    if (shared === undefined) known.set(port, shared = { calls: new Coalescer(port, clock), lanes: new Map() });
    this.#shared = shared;
    this.#calls = shared.calls;
    this.#keys = keys;
    this.#clock = clock;
    this.#time = time;
    this.#bounds = boundsWord(bounds);
  }

  /** Runs a script of its own call. */
  run(script: Script, words: readonly string[]): Promise<Reply> {
    return translate(this.#calls.run(script, [this.#keys.none, this.#keys.base, this.#settings(), ...words]));
  }

  /** Adds an item to the call that this turn makes of a script; rejects when this item failed by itself. */
  batch(script: Script, item: readonly string[]): Promise<Reply> {
    return new Promise((resolve, reject) => this.#add(script, item, { resolve, reject }));
  }

  /**
   * The same, and again as {@linkcode ScriptCalls.repeat} says. One promise and one object, since each task of a queue
   * makes this call. `item` hears how many milliseconds went by since the first call.
   */
  insist<Answer>(script: Script, { item, read, unsent = false }: Insistence<Answer>): Promise<Answer> {
    const from = this.#clock.monotonic();
    return new Promise((resolve, reject) => {
      const again = (error: unknown) =>
        this.#again(error, () => this.batch(script, item(this.#clock.monotonic() - from)), { from, unsent });
      this.#calls.add(this.#lane(script), item(0), new Insisted(read, again, resolve, reject));
    });
  }

  #add(script: Script, item: readonly string[], { resolve, reject }: Waiting): void {
    this.#calls.add(this.#lane(script), item, {
      resolve: (reply) => {
        const failure = failureOf(reply);
        if (failure === null) resolve(reply);
        else reject(errorOf(failure));
      },
      reject: (error) => reject(translated(error)),
    });
  }

  /** Of stores with the same keys and settings on one connection, the same. */
  #lane(script: Script): Lane {
    const settings = this.#settings();
    let lane = this.#lanes.get(script);
    if (lane !== undefined && lane.head[2] === settings) return lane;
    const key = `${script.name} ${settings} ${this.#keys.base}`;
    lane = this.#shared.lanes.get(key);
    lane ??= { script, head: [this.#keys.none, this.#keys.base, settings] };
    this.#lanes.set(script, lane);
    // With a time of its own each turn has other settings: those lanes come to an end.
    if (this.#time === null) this.#shared.lanes.set(key, lane);
    return lane;
  }

  /** Reads a string, null = there is none. What one turn reads is read by one command. */
  read(key: string): Promise<string | null> {
    return new Promise((resolve, reject) => {
      // A key of another type is none to MGET: GET says so.
      const found = (reply: Reply) => reply === null ? resolve(this.#readAlone(key)) : resolve(reply as string);
      this.#calls.add(this.#reads, [key], { resolve: found, reject: (error) => reject(translated(error)) });
    });
  }

  async #readAlone(key: string): Promise<string | null> {
    return await this.call("GET", key) as string | null;
  }

  /** Sends one command. */
  call(...command: [string, ...string[]]): Promise<Reply> {
    return translate(this.#calls.call(command));
  }

  /** Repeats a call whose outcome is unknown, word by word; with `unsent` also one that could not be sent. */
  repeat(call: (attempt: number) => Promise<Reply>, unsent = false): Promise<Reply> {
    const from = this.#clock.monotonic();
    return call(0).catch((error) => this.#again(error, call, { from, unsent }));
  }

  async #again(
    first: unknown,
    call: (attempt: number) => Promise<Reply>,
    { from, unsent }: { readonly from: number; readonly unsent: boolean },
  ): Promise<Reply> {
    let sent = false;
    let error = first;
    for (let attempt = 1;; attempt++) {
      if (!(error instanceof ConnectionLostError)) throw error;
      sent ||= error.sent;
      if (!sent && !unsent) throw error;
      if (this.#clock.monotonic() >= from + REPEAT_FOR) throw sent ? inDoubt(error) : error;
      await sleep(this.#clock, Math.min(50 * 2 ** (attempt - 1), 1000));
      try {
        return await call(attempt);
      } catch (next) {
        error = next;
      }
    }
  }

  /** The settings word (`script.ts`): empty in production with the usual bounds. */
  #settings(): string {
    if (this.#time === null) return this.#bounds;
    return String(Math.round(this.#time() * 1000)) + this.#bounds;
  }
}

/** An item on its way, see {@linkcode ScriptCalls.insist}. */
class Insisted<Answer> implements Waiting {
  readonly #read: (reply: Reply) => Answer;
  readonly #again: (error: unknown) => Promise<Reply>;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    read: (reply: Reply) => Answer,
    again: (error: unknown) => Promise<Reply>,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#read = read;
    this.#again = again;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  resolve(reply: Reply): void {
    const failure = failureOf(reply);
    if (failure === null) this.#answer(reply);
    else this.#repeat(errorOf(failure));
  }

  reject(error: unknown): void {
    this.#repeat(translated(error));
  }

  #repeat(error: unknown): void {
    this.#again(error).then((reply) => this.#answer(reply), this.#reject);
  }

  #answer(reply: Reply): void {
    let answer: Answer;
    try {
      answer = this.#read(reply);
    } catch (error) {
      return this.#reject(error);
    }
    this.#resolve(answer);
  }
}

/** Empty when all bounds are the usual ones, which the scripts know. */
function boundsWord({ deadMax, deadTtl, doneBytes }: Bounds): string {
  const words = [deadMax, deadTtl, doneBytes].map((bound) => bound === undefined ? "" : String(Math.ceil(bound)));
  return words.some((word) => word !== "") ? `,${words.join(",")}` : "";
}

/** Once anything was sent its outcome is unknown, whatever became of the repetitions. */
function inDoubt(error: ConnectionLostError): ConnectionLostError {
  return error.sent ? error : new ConnectionLostError(error.message, { sent: true, cause: error });
}

/** What a script says of an item that failed by itself: `!` and Redis' error. */
export function failureOf(reply: Reply): string | null {
  if (Array.isArray(reply)) return reply[0] === "!" ? String(reply[1]) : null;
  return typeof reply === "string" && reply.startsWith("!") ? reply.slice(1) : null;
}

function translate(reply: Promise<Reply>): Promise<Reply> {
  return reply.catch((error) => {
    throw translated(error);
  });
}

function translated(error: unknown): unknown {
  return error instanceof RedisReplyError ? errorOf(error.message) : error;
}

/** A server's error as it is thrown: one that says "not now" is a lost connection. */
export function errorOf(text: string): Error {
  const error = new RedisReplyError(text);
  const { code, message } = error;
  if (isForbidden(error)) return forbiddenError(error);
  if (isElsewhere(error)) return elsewhereError(error);
  if (!UNAVAILABLE.has(code)) return error;
  return new ConnectionLostError(`Redis cannot work now: ${message}`, { sent: false, cause: error });
}
