/**
 * One walk over both stores: each command goes to the memory store and to the Redis store at the same instant of a
 * clock in the test's hand; answers, messages and the whole keyspace with its life times have to be equal after it.
 *
 * Previous: `model_commands.ts`. Next: `model_call.ts`, `model_faults.ts`, `model_keyspace.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { RedisPort } from "../../src/port/redis.ts";
import type { Bounds } from "../../src/store/ended.ts";
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../../src/store/memory/memory_store.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import type { ClaimAnswer, Store } from "../../src/store/store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { counting, isWrongType, ownershipsIn, settled, valuesOf } from "./model_answers.ts";
import { type Call, type CallCommand, callOf, type FaultCommand, isFault, type Seen } from "./model_call.ts";
import { type Command, IDS } from "./model_commands.ts";
import { KEYS, SMALL, type WalkContext } from "./model_context.ts";
import {
  AIDS,
  type Damage,
  damage,
  evict,
  findBroken,
  flush,
  limitMemory,
  mend,
  plant,
  restore,
  type Snapshot,
} from "./model_faults.ts";
import { hasDeadEntry, hasLate, withoutDeadEntries, withoutDeadHints } from "./model_hints.ts";
import {
  age,
  type Dump,
  DUMP_COMMAND,
  type Keyspace,
  Lag,
  memoryKeyspace,
  readDump,
  timeOf,
  writeMemory,
} from "./model_keyspace.ts";
import { compareShared, hearMemory } from "./model_messages.ts";

/** No key of the memory store has less than so many milliseconds left: Redis, a little behind, might have lost it. */
const NEARLY_GONE = 300;
const MANY: readonly string[] = ["enqueueMany", "finishMany", "progressMany"];

/** Walks through the commands on an empty database; throws at the first difference. */
export async function walk(context: WalkContext, commands: readonly Command[]): Promise<void> {
  const one = await Walk.begin(context, SMALL[commands.length % SMALL.length]!);
  try {
    for (const command of commands) await one.step(command);
  } finally {
    await one.end();
  }
}

class Walk {
  readonly keys = KEYS;
  readonly port: RedisPort;
  readonly world = new MemoryRedis();
  readonly #context: WalkContext;
  readonly #clock = new FakeClock(Date.now());
  readonly #memory: Store;
  readonly #redis: Store;
  readonly #seen: Seen = { nonces: [], owned: [], sequences: new Map(), calls: [], counter: 0 };
  readonly #verbs = new Set<string>();
  readonly #lag = new Lag();
  #told: () => string[] = () => [];
  /** Ids whose records were lost or overwritten while they stood somewhere: the entries there are dead hints now. */
  readonly #uprooted = new Set<string>();
  readonly #isRooted = (id: string) => !this.#uprooted.has(id);
  readonly #many = new WeakSet<Call>();
  #snapshot: Snapshot | null = null;
  #damage: Damage | null = null;
  #fullFor = 0;

  private constructor(context: WalkContext, bounds: Bounds) {
    this.#context = context;
    this.port = context.port;
    this.#memory = new MemoryStore(this.world, KEYS, this.#clock, bounds);
    const redis = new RedisStore(this.port, KEYS, { time: () => this.#clock.now(), bounds });
    this.#redis = counting(redis, this.#verbs);
  }

  static async begin(context: WalkContext, bounds: Bounds): Promise<Walk> {
    const one = new Walk(context, bounds);
    one.#told = await hearMemory(one.#memory as MemoryStore, KEYS);
    one.#lag.forget(await timeOf(one.port));
    await flush(one);
    await context.messages.take();
    return one;
  }

  async end(): Promise<void> {
    if (this.#fullFor > 0) await limitMemory(this.port, 0);
    this.world.close();
  }

  now(): number {
    return this.#clock.now();
  }

  async step(command: Command): Promise<void> {
    if (!await this.#do(command)) return;
    for (const verb of this.#verbs.add(`(${command.verb})`)) {
      this.#context.done.set(verb, (this.#context.done.get(verb) ?? 0) + 1);
    }
    this.#verbs.clear();
  }

  /** False when the command means nothing now. */
  async #do(command: Command): Promise<boolean> {
    if (command.verb === "advance") {
      await this.#advance(command.ms);
      return true;
    }
    if (!isFault(command)) return await this.#call(command);
    // One fault of the state at a time: the memory store has to follow.
    if (this.#damage !== null || this.#fullFor > 0) return false;
    return await this.#fault(command);
  }

  async #advance(ms: number): Promise<void> {
    const isNear = ({ left }: { left: number | null }) => left !== null && left <= NEARLY_GONE;
    let passed = ms;
    await this.#clock.advance(ms);
    while ([...this.#expected().values()].some(isNear)) {
      await this.#clock.advance(NEARLY_GONE);
      passed += NEARLY_GONE;
    }
    if (this.#damage === null) this.#lag.forget(await timeOf(this.port));
    await age(this.port, passed, this.#damage === null ? this.#expected() : new Map());
    await this.#compare();
  }

  async #fault(command: FaultCommand) {
    await this.#advance(1); // What is lost with its fence does not come back with the same one.
    if (command.verb === "plant" || command.verb === "evict") this.#uprooted.add(command.id);
    if (command.verb === "damage") IDS.forEach((id) => this.#uprooted.add(id));
    if (command.verb === "flush") {
      this.#uprooted.clear();
      await flush(this);
    } else if (command.verb === "evict") await evict(this, command);
    else if (command.verb === "plant") await plant(this, command);
    else if (command.verb === "snapshot") {
      this.#snapshot = { keyspace: this.#expected(), at: this.now(), uprooted: [...this.#uprooted] };
    } else if (command.verb === "restore") {
      if (this.#snapshot === null) return false;
      this.#lag.forget(await timeOf(this.port));
      await restore(this, this.#snapshot);
      this.#uprooted.clear();
      this.#snapshot.uprooted.forEach((id) => this.#uprooted.add(id));
    } else if (command.verb === "fill") {
      this.#fullFor = command.calls;
      await limitMemory(this.port, 1);
    } else {
      const brokenBefore = findBroken(KEYS, this.#expected(), "");
      this.#damage = { key: await damage(this, command), kind: command.kind, calls: command.calls, brokenBefore };
      return true;
    }
    await this.#compare();
    return true;
  }

  async #call(command: CallCommand): Promise<boolean> {
    const call = callOf(command, this.#seen, (name) => this.#expected().has(KEYS.bell(name)));
    if (call === null) return false;
    // Whether a bell has a token is known before it is waited for.
    if (command.verb !== "resend" && command.verb !== "openBell") this.#seen.calls.push(call);
    if (MANY.includes(command.verb)) this.#many.add(call);
    const isMany = this.#many.has(call);
    // Between the calls of one turn the memory store looks at the head of the list, Redis only after them.
    if (isMany && hasLate(KEYS, this.#expected(), this.now())) return false;
    if (this.#damage !== null) await this.#callDamaged(call, this.#damage, isMany);
    else if (this.#fullFor > 0) await this.#callFull(call);
    else {
      const actual = await this.#both(call);
      if (isMany) await this.#compareMany();
      else await this.#compare();
      this.#seen.owned.push(...ownershipsIn(actual));
    }
    return true;
  }

  async #both(call: Call): Promise<unknown> {
    const [actual, expected] = [await settled(call(this.#redis)), await settled(call(this.#memory))];
    const same = await this.#dueAsIn(expected, actual);
    assert.deepEqual(same, expected, "the answers differ (actual: Redis, expected: memory)");
    return actual;
  }

  /** Redis may tell when a dead entry is due that memory has removed, as it does not look for old places. */
  async #dueAsIn(expected: unknown, actual: unknown): Promise<unknown> {
    const [there, here] = [expected, actual].map((answer) => (answer as Partial<ClaimAnswer> | null)?.nextIn);
    if (here === there || typeof here !== "number") return actual;
    const isDead = hasDeadEntry(KEYS, (await this.#look()).keyspace, this.#isRooted, this.now() + here);
    return isDead ? { ...actual as ClaimAnswer, nextIn: there } : actual;
  }

  /** While memory is full a new task is refused and nothing is written; all else goes on as ever. */
  async #callFull(call: Call): Promise<void> {
    const before = (await this.#look()).keyspace;
    const actual = await settled(call(this.#redis));
    const isRefused = JSON.stringify(actual ?? null).includes('"QueueFullError"');
    if (isRefused) {
      const after = (await this.#look()).keyspace;
      assert.deepEqual(valuesOf(after), valuesOf(before), "a refused call has written something");
    } else {
      const expected = await settled(call(this.#memory));
      // Who joins a task cannot be noted, and a later item of the same call reads that.
      const same = (answer: unknown) => JSON.stringify(answer ?? null).replaceAll('"joined":true', '"joined":false');
      const due = await this.#dueAsIn(expected, actual);
      assert.deepEqual(JSON.parse(same(due)), JSON.parse(same(expected)), "the answers on a full Redis differ");
      if (!this.#verbs.has("enqueue")) await this.#compare();
      this.#seen.owned.push(...ownershipsIn(actual));
    }
    if (--this.#fullFor === 0) await limitMemory(this.port, 0);
    await this.#follow();
  }

  /** A call beside a key of a wrong type. */
  async #callDamaged(call: Call, damage: Damage, isMany: boolean): Promise<void> {
    const actual = await settled(call(this.#redis));
    if (AIDS.includes(damage.kind) && !isWrongType(actual)) {
      await this.#compareAided(call, actual, damage, isMany);
    }
    this.#seen.owned.push(...ownershipsIn(actual));
    const { keyspace } = await this.#look();
    const broken = findBroken(KEYS, keyspace, damage.key).filter((one) => !damage.brokenBefore.includes(one));
    assert.deepEqual(broken, [], "a key of a wrong type has broken other tasks");
    if (--damage.calls === 0) {
      this.#damage = null;
      await mend(this.port, keyspace, damage.key);
    }
    await this.#follow(this.#damage?.key);
  }

  async #compareAided(call: Call, actual: unknown, damage: Damage, isMany: boolean): Promise<void> {
    const expected = await settled(call(this.#memory));
    const same = await this.#dueAsIn(expected, actual);
    assert.deepEqual(same, expected, `the answers beside a ${damage.kind} key of a wrong type differ`);
    const dump = await this.#look();
    const isAid = (key: string) => AIDS.some((kind) => key.startsWith((KEYS[kind] as (name: string) => string)("")));
    if (isMany) return;
    const [found, held] = [dump.keyspace, this.#expected()].map((one) => this.#withoutDead(one));
    this.#lag.compare({ ...dump, keyspace: found! }, held!, isAid);
  }

  /** The memory store takes over what Redis holds. */
  async #follow(without?: string): Promise<void> {
    const dump = await this.#look();
    if (without !== undefined) dump.keyspace.delete(without);
    writeMemory(this.world, KEYS, dump.keyspace, this.now());
    this.#lag.forget(dump.from);
    await this.#context.messages.take();
    this.#told();
  }

  async #compare(): Promise<void> {
    if (this.#damage !== null) return;
    const dump = await this.#look();
    const heard = await this.#context.messages.take();
    assert.deepEqual(heard, this.#told(), "the messages differ (actual: Redis, expected: memory)");
    if (this.#uprooted.size === 0) return this.#lag.compare(dump, this.#expected());
    const [actual, expected] = [dump.keyspace, this.#expected()].map((one) => this.#withoutDead(one));
    this.#lag.compare({ ...dump, keyspace: actual! }, expected!);
    await this.#follow();
  }

  /** Calls that share a script call may leave other dead hints and tokens, and a list of ended tasks cut elsewhere. */
  async #compareMany(): Promise<void> {
    const dump = await this.#look();
    const heard = await this.#context.messages.take();
    compareShared(heard, this.#told());
    const bounded = (key: string) => key.startsWith(KEYS.done("")) || key.startsWith(KEYS.stats(""));
    const [actual, expected] = [dump.keyspace, this.#expected()].map((one) =>
      this.#withoutDead(withoutDeadHints(KEYS, one))
    );
    this.#lag.compare({ ...dump, keyspace: actual! }, expected!, bounded);
    await this.#follow();
  }

  /** Redis does not look for the old place of what it cannot read; memory does. */
  #withoutDead(keyspace: Keyspace): Keyspace {
    return withoutDeadEntries(KEYS, keyspace, this.#isRooted);
  }

  #expected(): Keyspace {
    return memoryKeyspace(this.world, this.now());
  }

  async #look(): Promise<Dump> {
    return readDump((await this.port.exec([DUMP_COMMAND]))[0] ?? null);
  }
}
