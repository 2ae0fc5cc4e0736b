/**
 * What the tests of the store suite share: a world for one test, and short ways to say what they ask of a store.
 *
 * @module
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { Keys } from "../../src/keys.ts";
import type { TaskRecord } from "../../src/record.ts";
import type { Bounds } from "../../src/store/ended.ts";
import type { Bell, ClaimRequest, EnqueueRequest, Ownership, Store } from "../../src/store/store.ts";

/** A store of its own for one test, with its time in the test's hand. */
export interface StoreWorld {
  readonly store: Store;
  readonly keys: Keys;
  /** Moves the store's time on. */
  advance(ms: number): Promise<void>;
  /** The ids in the list of a name. */
  hints(name: string): Promise<string[]>;
  /** Milliseconds until a key expires; null = for good, or no such key. Asked before time is moved. */
  life(key: string): Promise<number | null>;
  /** What a foreign producer does: `SET` the record, `RPUSH` the id. */
  plant(id: string, name: string, text: string): Promise<void>;
  /** Puts a text where a record stands or could stand. */
  overwrite(id: string, text: string): Promise<void>;
  /** What stands there. */
  text(id: string): Promise<string | null>;
  /** What Redis does when it makes room: a key goes. */
  evict(key: string): Promise<void>;
  close(): Promise<void>;
}

/** Opens a fresh world; with the usual bounds unless told otherwise. */
export type OpenWorld = (bounds?: Bounds) => Promise<StoreWorld>;

/** A test in a world of its own. */
export function inWorld(
  open: OpenWorld,
  behaviour: string,
  test: (world: StoreWorld) => Promise<void>,
  bounds: Bounds = {},
): void {
  it(behaviour, async () => {
    const world = await open(bounds);
    try {
      await test(world);
    } finally {
      await world.close();
    }
  });
}

export const ADA = "client-ada--";
export const BOB = "client-bob--";
export const ONE = "listener-one";
export const TWO = "listener-two";
export const LEASE = 30_000;

/** The n-th nonce of a client. */
export function nonce(client: string, n: number = 1): string {
  return client + String(n).padStart(8, "0");
}

/** An enqueue of a task "greet" that is asked for by Ada, unless said otherwise. */
export function ask(id: string, change: Partial<EnqueueRequest> = {}): EnqueueRequest {
  return {
    id,
    name: "greet",
    nonce: nonce(ADA),
    kind: "asked",
    timeout: 300_000,
    resultTtl: 300_000,
    delay: 0,
    maxAttempts: 1,
    options: "",
    params: 'json={"who":"world"}',
    ifExists: "join",
    ...change,
  };
}

/** A claim of up to ten tasks "greet" by listener one. */
export function claimOf(sequence: number, change: Partial<ClaimRequest> = {}): ClaimRequest {
  return { listener: ONE, sequence, free: 10, lease: LEASE, names: ["greet"], ...change };
}

/** Claims and answers the ids. */
export async function claimIds(store: Store, sequence: number, change: Partial<ClaimRequest> = {}): Promise<string[]> {
  return idsOf((await store.claim(claimOf(sequence, change))).tasks);
}

export function idsOf(records: readonly TaskRecord[]): string[] {
  return records.map(({ id }) => id);
}

/** The ownership that a claimed record stands for. */
export function own(record: TaskRecord): Ownership {
  const { id, name, owner, fence } = record;
  return { id, name, owner, fence };
}

/** Enqueues a task and claims it alone. */
export async function claimed(
  { store }: StoreWorld,
  id: string,
  sequence: number = 1,
  change: Partial<EnqueueRequest> = {},
): Promise<TaskRecord> {
  const request = ask(id, change);
  await store.enqueue(request);
  const { tasks } = await store.claim(claimOf(sequence, { names: [request.name] }));
  assert.equal(tasks.length, 1);
  return tasks[0]!;
}

/** Brings a task to an end. */
export async function finished(
  world: StoreWorld,
  id: string,
  state: "succeeded" | "failed" | "cancelled" | "expired",
  sequence: number = 1,
): Promise<TaskRecord> {
  const task = own(await claimed(world, id, sequence));
  if (state === "succeeded") await world.store.complete(task, "\njson=1");
  else await world.store.fail(task, { state, outcome: '\n!{"name":"Error","message":"no"}' });
  return (await world.store.read(id))!;
}

/** The state of a task's header, or null. */
export async function stateOf({ store }: StoreWorld, id: string): Promise<string | null> {
  return (await store.readHeader(id))?.state ?? null;
}

/** A token that stands at a bell now, or null. */
export async function tokenOf(world: StoreWorld, bell: Bell, name: string): Promise<string | null> {
  const waiting = bell.wait([name], 1);
  await world.advance(1);
  return await waiting;
}

/** Messages as they come. */
export class Mailbox {
  readonly received: string[] = [];
  /** The records that came along. */
  readonly records: TaskRecord[] = [];
  #wake: (() => void) | null = null;

  readonly receive = (ids: readonly string[], record: TaskRecord | null = null): void => {
    this.received.push(...ids);
    if (record !== null) this.records.push(record);
    if (ids.length === 0) this.received.push("(ping)");
    this.#wake?.();
  };

  /** Resolves when so many have come; rejects after five seconds. */
  async until(count: number): Promise<void> {
    while (this.received.length < count) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        timer = setTimeout(() => reject(new Error(`Only ${this.received.length} messages of ${count} came`)), 5_000);
      }).finally(() => clearTimeout(timer));
    }
  }
}
