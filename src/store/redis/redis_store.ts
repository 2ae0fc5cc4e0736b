/**
 * The store on Redis: each verb is a script beside its wrapper; this file sends them.
 *
 * Verbs of many tasks (enqueue, complete, fail, progress) share one script call a turn; a call whose outcome is
 * unknown is repeated as it is, for at most 30 s, because every script gives the same answer to the same words.
 *
 * Previous: `../store.ts`. Next: `enqueue.ts`, `claim.ts`, `finish.ts`, `keep.ts`, `caller.ts`.
 *
 * @module
 */
import { type Clock, sleep, systemClock } from "../../clock.ts";
import { ConnectionLostError, QueueFullError } from "../../errors.ts";
import type { Keys } from "../../keys.ts";
import { Coalescer } from "../../port/coalescer.ts";
import { type RedisPort, RedisReplyError, type Reply, type Subscription } from "../../port/redis.ts";
import { decodeHeader, HEADER_LENGTH, type TaskHeader, type TaskRecord } from "../../record.ts";
import type {
  Bell,
  CancelAnswer,
  CancelRequest,
  ClaimAnswer,
  ClaimRequest,
  EnqueueAnswer,
  EnqueueRequest,
  Failure,
  OwnerAnswer,
  Ownership,
  PutAnswer,
  PutRequest,
  RenewRequest,
  Store,
  TakeRequest,
  WithdrawAnswer,
  WithdrawRequest,
} from "../store.ts";
import type { TaskState } from "../../errors.ts";
import { ownerAnswer, readIds, recordOf, stateOf } from "./answers.ts";
import {
  acknowledgeScript,
  appearScript,
  cancelScript,
  leaveScript,
  listenedScript,
  putScript,
  putWords,
  takeScript,
  withdrawScript,
} from "./caller.ts";
import { claimAnswer, claimScript, claimWords } from "./claim.ts";
import { enqueueAnswer, enqueueItem, enqueueScript } from "./enqueue.ts";
import { completeItem, failItem, finishScript } from "./finish.ts";
import { progressScript, releaseScript, releaseWords, renewScript, renewWords } from "./keep.ts";
import { RedisBell } from "./redis_bell.ts";
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

const coalescers = new WeakMap<RedisPort, Coalescer>();

/** The verbs of the protocol on a Redis connection. */
export class RedisStore implements Store {
  readonly #port: RedisPort;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #time: (() => number) | null;
  readonly #calls: Coalescer;

  /** `time`: what the scripts take as Redis' time, in epoch milliseconds; Redis' own by default. */
  constructor(port: RedisPort, keys: Keys, options: { clock?: Clock; time?: () => number } = {}) {
    this.#port = port;
    this.#keys = keys;
    this.#clock = options.clock ?? systemClock;
    this.#time = options.time ?? null;
    let calls = coalescers.get(port);
    if (calls === undefined) coalescers.set(port, calls = new Coalescer(port, this.#clock));
    this.#calls = calls;
  }

  async enqueue(request: EnqueueRequest): Promise<EnqueueAnswer> {
    const from = this.#clock.monotonic();
    const left = () => Math.max(1, request.timeout - (this.#clock.monotonic() - from));
    const item = (attempt: number) =>
      enqueueItem(attempt === 0 || request.timeout === 0 ? request : { ...request, timeout: left() });
    const reply = await this.#repeat((attempt) => this.#batch(enqueueScript, item(attempt)));
    const answer = enqueueAnswer(request.id, reply);
    if (answer !== null) return answer;
    throw new QueueFullError(`Cannot enqueue task ${JSON.stringify(request.id)}: Redis has no memory left`);
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return claimAnswer(await this.#run(claimScript, claimWords(request)));
  }

  async complete(task: Ownership, outcome: string): Promise<OwnerAnswer> {
    const item = completeItem(task, outcome);
    return ownerAnswer(await this.#repeat(() => this.#batch(finishScript, item), true) as string);
  }

  async fail(task: Ownership, failure: Failure): Promise<OwnerAnswer> {
    const item = failItem(task, failure);
    return ownerAnswer(await this.#repeat(() => this.#batch(finishScript, item), true) as string);
  }

  async release(tasks: readonly Ownership[]): Promise<readonly OwnerAnswer[]> {
    const answers: OwnerAnswer[] = [];
    // From the last chunk to the first, as each goes to the head of its queue.
    for (let end = tasks.length; end > 0; end -= 128) {
      const words = releaseWords(tasks.slice(Math.max(0, end - 128), end));
      const reply = await this.#repeat(() => this.#run(releaseScript, words), true) as string[];
      const failure = reply.map(failureOf).find((text) => text !== null);
      if (failure) throw errorOf(failure);
      answers.unshift(...reply.map(ownerAnswer));
    }
    return answers;
  }

  async renew(request: RenewRequest): Promise<readonly OwnerAnswer[]> {
    const answers: OwnerAnswer[] = [];
    for (let at = 0; at === 0 || at < request.tasks.length; at += 128) {
      const part = {
        ...request,
        tasks: request.tasks.slice(at, at + 128),
        presence: at === 0 ? request.presence : undefined,
      };
      const reply = await this.#run(renewScript, renewWords(part)) as string[];
      answers.push(...reply.map(ownerAnswer));
    }
    return answers;
  }

  async progress(task: Ownership, outcome: string): Promise<OwnerAnswer> {
    return ownerAnswer(await this.#batch(progressScript, [task.id, task.owner, task.fence, outcome]) as string);
  }

  async withdraw(request: WithdrawRequest): Promise<WithdrawAnswer> {
    const words = [request.id, request.nonce, request.owner, String(request.lease)];
    const [verdict, text] = await this.#repeat(() => this.#run(withdrawScript, words)) as [string, string];
    return verdict === "o"
      ? { verdict: "owned", record: recordOf(request.id, text) }
      : { verdict: "refused", state: stateOf(text) };
  }

  async cancel(request: CancelRequest): Promise<CancelAnswer> {
    const words = [request.id, request.nonce ?? "", request.unlessJoined ? "1" : "0"];
    const [verdict, state] = await this.#repeat(() => this.#run(cancelScript, words)) as [string, string?];
    switch (verdict) {
      case "c":
        return { verdict: "cancelled" };
      case "a":
        return { verdict: "asked" };
      case "e":
        return { verdict: "ended", state: stateOf(state!) as TaskState };
      case "j":
        return { verdict: "joined" };
      default:
        return { verdict: "unknown" };
    }
  }

  async put(request: PutRequest): Promise<PutAnswer> {
    const [verdict, state] = await this.#repeat(() => this.#run(putScript, putWords(request))) as [string, string];
    return { verdict: verdict === "w" ? "written" : "conflict", state: stateOf(state) };
  }

  async read(id: string): Promise<TaskRecord | null> {
    const text = await this.#call("GET", this.#keys.record(id)) as string | null;
    if (text === null) return null;
    const record = recordOf(id, text);
    return record.state === "deleted" ? null : record;
  }

  async readHeader(id: string): Promise<TaskHeader | null> {
    const text = await this.#call("GETRANGE", this.#keys.record(id), "0", String(HEADER_LENGTH - 1)) as string;
    if (text === "") return null;
    return text.startsWith("{") ? recordOf(id, text) : decodeHeader(text);
  }

  async take(request: TakeRequest): Promise<TaskRecord | null> {
    const text = await this.#repeat(() => this.#run(takeScript, [request.id, request.reader, request.nonce ?? ""])) as
      | string
      | null;
    return text === null ? null : recordOf(request.id, text);
  }

  async acknowledge(request: { readonly id: string; readonly reader: string }): Promise<void> {
    await this.#run(acknowledgeScript, [request.id, request.reader]);
  }

  async isListened(name: string): Promise<boolean> {
    return Number(await this.#run(listenedScript, [name])) > 0;
  }

  async markListened(names: readonly string[], listener: string, duration: number): Promise<void> {
    await this.#run(appearScript, [listener, String(duration), ...names]);
  }

  async leave(listener: string, names: readonly string[]): Promise<void> {
    await this.#run(leaveScript, [listener, ...names]);
  }

  openInbox(client: string, onIds: (ids: readonly string[]) => void, onGap: () => void): Promise<Subscription> {
    return this.#port.subscribe([this.#keys.inbox(client)], (message) => onIds(readIds(message)), onGap);
  }

  async pingInbox(client: string): Promise<void> {
    await this.#call("PUBLISH", this.#keys.inbox(client), "");
  }

  openControl(owner: string, onIds: (ids: readonly string[]) => void, onGap: () => void): Promise<Subscription> {
    return this.#port.subscribe([this.#keys.control(owner)], (message) => onIds(readIds(message)), onGap);
  }

  async openBell(): Promise<Bell> {
    return new RedisBell(await this.#port.blocking(), this.#keys);
  }

  #words(words: readonly string[]): string[] {
    return [this.#keys.none, this.#keys.base, this.#now(), ...words];
  }

  #now(): string {
    return this.#time === null ? "" : String(Math.round(this.#time() * 1000));
  }

  async #batch(script: Script, item: readonly string[]): Promise<Reply> {
    const now = this.#now();
    const lane = `${script.name} ${now} ${this.#keys.base}`;
    const reply = await translate(this.#calls.batch(lane, script, [this.#keys.none, this.#keys.base, now], item));
    const failure = failureOf(reply);
    if (failure !== null) throw errorOf(failure);
    return reply;
  }

  #run(script: Script, words: readonly string[]): Promise<Reply> {
    return translate(this.#calls.run(script, this.#words(words)));
  }

  #call(...command: [string, ...string[]]): Promise<Reply> {
    return translate(this.#calls.call(command));
  }

  /** Repeats a call whose outcome is unknown, word by word; with `unsent` also one that could not be sent. */
  async #repeat(call: (attempt: number) => Promise<Reply>, unsent = false): Promise<Reply> {
    const until = this.#clock.monotonic() + REPEAT_FOR;
    let sent = false;
    for (let attempt = 0;; attempt++) {
      try {
        return await call(attempt);
      } catch (error) {
        if (!(error instanceof ConnectionLostError)) throw error;
        sent ||= error.sent;
        if (!sent && !unsent) throw error;
        if (this.#clock.monotonic() >= until) throw sent ? inDoubt(error) : error;
        await sleep(this.#clock, Math.min(50 * 2 ** attempt, 1000));
      }
    }
  }
}

/** Once anything was sent its outcome is unknown, whatever became of the repetitions. */
function inDoubt(error: ConnectionLostError): ConnectionLostError {
  return error.sent ? error : new ConnectionLostError(error.message, { sent: true, cause: error });
}

/** What a script says of an item that failed by itself: `!` and Redis' error. */
function failureOf(reply: Reply): string | null {
  if (Array.isArray(reply)) return reply[0] === "!" ? String(reply[1]) : null;
  return typeof reply === "string" && reply.startsWith("!") ? reply.slice(1) : null;
}

async function translate(reply: Promise<Reply>): Promise<Reply> {
  try {
    return await reply;
  } catch (error) {
    throw error instanceof RedisReplyError ? errorOf(error.message) : error;
  }
}

function errorOf(text: string): Error {
  const error = new RedisReplyError(text);
  if (!UNAVAILABLE.has(error.code)) return error;
  return new ConnectionLostError(`Redis cannot work now: ${error.message}`, { sent: false, cause: error });
}
