/**
 * The memory store: the verbs of the protocol on a {@linkcode MemoryRedis}.
 *
 * It is the embedded default (`connect("memory:")`), the ground of the simulation and the executable specification of
 * the Redis store: where their answers differ, one of them is wrong. Each verb runs as a script does on a server: in
 * the order of the calls, whole, at one instant of the clock, and never within the call itself.
 *
 * Next: `memory_script.ts` (what the verbs share), then a file for each group of verbs.
 *
 * @module
 */
import type { Clock } from "../../clock.ts";
import { ConnectionLostError } from "../../errors.ts";
import type { Keys } from "../../keys.ts";
import type { Subscription } from "../../port/redis.ts";
import { decodeRecord, type TaskHeader, type TaskRecord } from "../../record.ts";
import {
  type Bounds,
  boundsOf,
  type DeadLetters,
  type DeadPage,
  type QueueCounts,
  type RemoveAnswer,
  type RemoveRequest,
  type RequeueAnswer,
  type RequeueRequest,
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
import { MemoryBell } from "./memory_bell.ts";
import { claim, listen } from "./memory_claim.ts";
import { acknowledge, cancel, put, take } from "./memory_client.ts";
import { counts, dead, remove, requeue } from "./memory_dead.ts";
import { enqueue } from "./memory_enqueue.ts";
import { complete, fail, progress, release, renew, withdraw } from "./memory_owner.ts";
import type { MemoryRedis } from "./memory_redis.ts";
import { Script } from "./memory_script.ts";

/** A store in this process. */
export class MemoryStore implements Store {
  readonly #world: MemoryRedis;
  readonly #keys: Keys;
  readonly #clock: Clock;
  readonly #bounds: ReturnType<typeof boundsOf>;

  /** Opens the queue of these keys in a world; stores of the same world and base share their tasks. */
  constructor(world: MemoryRedis, keys: Keys, clock: Clock, bounds: Bounds = {}) {
    this.#world = world;
    this.#keys = keys;
    this.#clock = clock;
    this.#bounds = boundsOf(bounds);
  }

  enqueue(request: EnqueueRequest): Promise<EnqueueAnswer> {
    return this.#run((script) => enqueue(script, request));
  }

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#run((script) => claim(script, request));
  }

  complete(task: Ownership, outcome: string): Promise<OwnerAnswer> {
    return this.#run((script) => complete(script, task, outcome));
  }

  fail(task: Ownership, failure: Failure): Promise<OwnerAnswer> {
    return this.#run((script) => fail(script, task, failure));
  }

  release(tasks: readonly Ownership[], delay = 0): Promise<readonly OwnerAnswer[]> {
    return this.#run((script) => release(script, tasks, delay));
  }

  renew(request: RenewRequest): Promise<readonly OwnerAnswer[]> {
    return this.#run((script) => renew(script, request));
  }

  progress(task: Ownership, outcome: string): Promise<OwnerAnswer> {
    return this.#run((script) => progress(script, task, outcome));
  }

  withdraw(request: WithdrawRequest): Promise<WithdrawAnswer> {
    return this.#run((script) => withdraw(script, request));
  }

  cancel(request: CancelRequest): Promise<CancelAnswer> {
    return this.#run((script) => cancel(script, request));
  }

  put(request: PutRequest): Promise<PutAnswer> {
    return this.#run((script) => put(script, request));
  }

  read(id: string): Promise<TaskRecord | null> {
    return this.#run((script) => {
      const record = readable(script, id);
      return record?.state === "deleted" ? null : record;
    });
  }

  readHeader(id: string): Promise<TaskHeader | null> {
    return this.#run((script) => readable(script, id));
  }

  take(request: TakeRequest): Promise<TaskRecord | null> {
    return this.#run((script) => take(script, request));
  }

  acknowledge(request: TakeRequest): Promise<void> {
    return this.#run((script) => acknowledge(script, request));
  }

  isListened(name: string): Promise<boolean> {
    return this.#run((script) => script.isListened(name));
  }

  markListened(names: readonly string[], listener: string, duration: number): Promise<void> {
    return this.#run((script) => listen(script, names, listener, duration));
  }

  leave(listener: string, names: readonly string[]): Promise<void> {
    return this.#run((script) => {
      for (const name of names) {
        script.world.sorted(this.#keys.listen(name)).delete(listener);
        if (script.world.list(this.#keys.queue(name)).length > 0) script.ring(name);
      }
      script.world.delete(this.#keys.listener(listener));
    });
  }

  openInbox(client: string, onTold: OnTold, _onGap: () => void): Promise<Subscription> {
    const hear = (ids: readonly string[], record: string | null) =>
      onTold(ids, record === null ? null : decodeRecord(ids[0]!, record));
    return this.#run(() => this.#world.subscribe(this.#keys.inbox(client), hear));
  }

  pingInbox(client: string): Promise<void> {
    return this.#run(() => this.#world.publish(this.#keys.inbox(client), []));
  }

  openControl(owner: string, onIds: (ids: readonly string[]) => void, _onGap: () => void): Promise<Subscription> {
    return this.#run(() => this.#world.subscribe(this.#keys.control(owner), onIds));
  }

  openBell(): Promise<Bell> {
    return this.#run(() => new MemoryBell(this.#world, this.#keys, this.#clock));
  }

  ring(name: string): Promise<void> {
    return this.#run((script) => script.ring(name));
  }

  dead(name: string, page: DeadPage = {}): Promise<DeadLetters> {
    return this.#run((script) => dead(script, name, page));
  }

  requeue(request: RequeueRequest): Promise<RequeueAnswer> {
    return this.#run((script) => requeue(script, request));
  }

  remove(request: RemoveRequest): Promise<RemoveAnswer> {
    return this.#run((script) => remove(script, request));
  }

  counts(name: string): Promise<QueueCounts> {
    return this.#run((script) => counts(script, name));
  }

  /** Runs one script after the present call: a microtask each, so they keep their order. */
  async #run<Answer>(verb: (script: Script) => Answer): Promise<Answer> {
    await undefined;
    if (this.#world.closed) {
      throw new ConnectionLostError("Cannot reach the memory store: it was closed", { sent: false });
    }
    const script = new Script(this.#world, this.#keys, this.#clock.now(), this.#bounds);
    const answer = verb(script);
    script.conclude();
    return answer;
  }
}

/** The record of an id; throws `RangeError` where something stands that cannot be read. */
function readable(script: Script, id: string): TaskRecord | null {
  const text = script.text(id);
  return script.unreadable(id) !== null && text !== null ? decodeRecord(id, text) : script.record(id);
}
