/**
 * The store on Redis: each verb is a script beside its wrapper; this file sends them.
 *
 * Verbs of many tasks (enqueue, complete, fail, progress) share one script call a turn; a call whose outcome is
 * unknown is repeated as it is, for at most 30 s, because every script gives the same answer to the same words.
 *
 * Previous: `../store.ts`. Next: `enqueue.ts`, `claim.ts`, `finish.ts`, `keep.ts`, `caller.ts`, `script_calls.ts`.
 *
 * @module
 */
import { type Clock, systemClock } from "../../clock.ts";
import { QueueFullError, type TaskState } from "../../errors.ts";
import type { Keys } from "../../keys.ts";
import type { RedisPort, Reply, Subscription } from "../../port/redis.ts";
import { decodeHeader, HEADER_LENGTH, type TaskHeader, type TaskRecord } from "../../record.ts";
import type {
  Bounds,
  DeadLetters,
  DeadPage,
  QueueCounts,
  RemoveAnswer,
  RemoveRequest,
  RequeueAnswer,
  RequeueRequest,
} from "../ended.ts";
import type {
  Bell,
  CancelAnswer,
  CancelRequest,
  ClaimAnswer,
  ClaimRequest,
  EnqueueAnswer,
  EnqueueRequest,
  Failure,
  OnTold,
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
import { endedRecord, ownerAnswer, readTold, recordOf, stateOf } from "./answers.ts";
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
import {
  deadAnswer,
  deadScript,
  deadWords,
  removeAnswer,
  removeScript,
  removeWords,
  requeueAnswer,
  requeueScript,
  ringScript,
} from "./dead.ts";
import { enqueueAnswer, enqueueItem, enqueueScript } from "./enqueue.ts";
import { completeItem, failItem, finishScript } from "./finish.ts";
import { progressScript, releaseScript, releaseWords, renewScript, renewWords } from "./keep.ts";
import { RedisBell } from "./redis_bell.ts";
import { errorOf, failureOf, ScriptCalls } from "./script_calls.ts";

/** The verbs of the protocol on a Redis connection. */
export class RedisStore implements Store {
  readonly #port: RedisPort;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #calls: ScriptCalls;

  /** `time`: what the scripts take as Redis' time, in epoch milliseconds; Redis' own by default. */
  constructor(port: RedisPort, keys: Keys, options: { clock?: Clock; time?: () => number; bounds?: Bounds } = {}) {
    const { clock = systemClock, time = null, bounds = {} } = options;
    this.#port = port;
    this.#keys = keys;
    this.#clock = clock;
    this.#calls = new ScriptCalls(port, { keys, clock, time, bounds });
  }

  enqueue(request: EnqueueRequest): Promise<EnqueueAnswer> {
    const { id, timeout } = request;
    const item = (elapsed: number) =>
      enqueueItem(elapsed === 0 || timeout === 0 ? request : { ...request, timeout: Math.max(1, timeout - elapsed) });
    const read = (reply: Reply) => {
      const answer = enqueueAnswer(id, reply);
      if (answer !== null) return answer;
      throw new QueueFullError(`Cannot enqueue task ${JSON.stringify(id)}: Redis has no memory left`);
    };
    return this.#calls.insist(enqueueScript, { item, read });
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return claimAnswer(await this.#calls.run(claimScript, claimWords(request)));
  }

  complete(task: Ownership, outcome: string): Promise<OwnerAnswer> {
    return this.#calls.insist(finishScript, {
      item: () => completeItem(task, outcome),
      read: readOwnerAnswer,
      unsent: true,
    });
  }

  fail(task: Ownership, failure: Failure): Promise<OwnerAnswer> {
    return this.#calls.insist(finishScript, {
      item: () => failItem(task, failure),
      read: readOwnerAnswer,
      unsent: true,
    });
  }

  async release(tasks: readonly Ownership[], delay = 0): Promise<readonly OwnerAnswer[]> {
    const answers: OwnerAnswer[] = [];
    // From the last chunk to the first, as each goes to the head of its queue.
    for (let end = tasks.length; end > 0; end -= 128) {
      const words = releaseWords(tasks.slice(Math.max(0, end - 128), end), delay);
      const reply = await this.#calls.repeat(() => this.#calls.run(releaseScript, words), true) as string[];
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
      const reply = await this.#calls.run(renewScript, renewWords(part)) as string[];
      answers.push(...reply.map(ownerAnswer));
    }
    return answers;
  }

  async progress(task: Ownership, outcome: string): Promise<OwnerAnswer> {
    return ownerAnswer(await this.#calls.batch(progressScript, [task.id, task.owner, task.fence, outcome]) as string);
  }

  async withdraw(request: WithdrawRequest): Promise<WithdrawAnswer> {
    const words = [request.id, request.nonce, request.owner, String(request.lease)];
    const [verdict, text] = await this.#calls.repeat(() => this.#calls.run(withdrawScript, words)) as [string, string];
    return verdict === "o"
      ? { verdict: "owned", record: recordOf(request.id, text) }
      : { verdict: "refused", state: stateOf(text) };
  }

  async cancel(request: CancelRequest): Promise<CancelAnswer> {
    const words = [request.id, request.nonce ?? "", request.unlessJoined ? "1" : "0"];
    const [verdict, state] = await this.#calls.repeat(() => this.#calls.run(cancelScript, words)) as [string, string?];
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
    const [verdict, state] = await this.#calls.repeat(() => this.#calls.run(putScript, putWords(request))) as [
      string,
      string,
    ];
    return { verdict: verdict === "w" ? "written" : "conflict", state: stateOf(state) };
  }

  async read(id: string): Promise<TaskRecord | null> {
    const text = await this.#calls.read(this.#keys.record(id));
    if (text === null) return null;
    const record = recordOf(id, text);
    return record.state === "deleted" ? null : record;
  }

  async readHeader(id: string): Promise<TaskHeader | null> {
    const text = await this.#calls.call("GETRANGE", this.#keys.record(id), "0", String(HEADER_LENGTH - 1)) as string;
    if (text === "") return null;
    return text.startsWith("{") ? recordOf(id, text) : decodeHeader(text);
  }

  async take(request: TakeRequest): Promise<TaskRecord | null> {
    const text = await this.#calls.repeat(() =>
      this.#calls.run(takeScript, [request.id, request.reader, request.nonce ?? ""])
    ) as
      | string
      | null;
    return text === null ? null : recordOf(request.id, text);
  }

  async acknowledge(request: TakeRequest): Promise<void> {
    await this.#calls.run(acknowledgeScript, [request.id, request.reader, request.nonce ?? ""]);
  }

  async isListened(name: string): Promise<boolean> {
    return Number(await this.#calls.run(listenedScript, [name])) > 0;
  }

  async markListened(names: readonly string[], listener: string, duration: number): Promise<void> {
    await this.#calls.run(appearScript, [listener, String(duration), ...names]);
  }

  async leave(listener: string, names: readonly string[]): Promise<void> {
    await this.#calls.run(leaveScript, [listener, ...names]);
  }

  openInbox(client: string, onTold: OnTold, onGap: () => void): Promise<Subscription> {
    const hear = (message: string) => {
      const { ids, record } = readTold(message);
      onTold(ids, record === null ? null : endedRecord(ids[0]!, record));
    };
    return this.#port.subscribe([this.#keys.inbox(client)], hear, onGap);
  }

  async pingInbox(client: string): Promise<void> {
    await this.#calls.call("PUBLISH", this.#keys.inbox(client), "");
  }

  openControl(owner: string, onIds: (ids: readonly string[]) => void, onGap: () => void): Promise<Subscription> {
    return this.#port.subscribe([this.#keys.control(owner)], (message) => onIds(readTold(message).ids), onGap);
  }

  async openBell(): Promise<Bell> {
    return new RedisBell(await this.#port.blocking(), this.#keys);
  }
  async ring(name: string): Promise<void> {
    await this.#calls.run(ringScript, [name]);
  }

  async dead(name: string, page: DeadPage = {}): Promise<DeadLetters> {
    return deadAnswer(await this.#calls.repeat(() => this.#calls.run(deadScript, deadWords(name, page))));
  }

  async requeue({ id, nonce }: RequeueRequest): Promise<RequeueAnswer> {
    return requeueAnswer(await this.#calls.repeat(() => this.#calls.run(requeueScript, [id, nonce])));
  }

  async remove(request: RemoveRequest): Promise<RemoveAnswer> {
    return removeAnswer(await this.#calls.repeat(() => this.#calls.run(removeScript, removeWords(request))));
  }

  async counts(name: string): Promise<QueueCounts> {
    const { queue, scheduled, lease, dead, done, stats } = this.#keys;
    const numbers = await Promise.all([
      this.#calls.call("LLEN", queue(name)),
      this.#calls.call("ZCARD", scheduled(name)),
      this.#calls.call("ZCARD", lease(name)),
      this.#calls.call("ZCARD", dead(name)),
      this.#calls.call("LLEN", done(name)),
      this.#calls.call("HGET", stats(name), "doneBytes"),
    ]);
    const [queued, scheduledCount, running, deadCount, doneCount, doneBytes] = numbers.map(Number) as number[];
    return { queued, scheduled: scheduledCount, running, dead: deadCount, done: doneCount, doneBytes } as QueueCounts;
  }
}

function readOwnerAnswer(reply: Reply): OwnerAnswer {
  return ownerAnswer(reply as string);
}
