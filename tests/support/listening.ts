/**
 * What the tests of attempts and listeners share: tasks in a memory store, stores whose verbs misbehave, and
 * listeners with short durations.
 *
 * @module
 */
import { type Clock, systemClock } from "../../src/clock.ts";
import { keysOf } from "../../src/keys.ts";
import { Listener, type ListenerContext } from "../../src/listener.ts";
import { systemRandom } from "../../src/random.ts";
import type { TaskRecord } from "../../src/record.ts";
import { jsonSerializer } from "../../src/serializer.ts";
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../../src/store/memory/memory_store.ts";
import type { EnqueueRequest, Store } from "../../src/store/store.ts";
import { handlerFor, type TaskFns } from "../../src/task.ts";
import { until } from "./wait.ts";

/** A store in a world of its own. */
export function openMemory(clock: Clock = systemClock): { world: MemoryRedis; store: Store } {
  const world = new MemoryRedis();
  return { world, store: new MemoryStore(world, keysOf("test", "task-queue"), clock) };
}

/** The same store with some of its verbs replaced. */
export function withVerbs(store: Store, verbs: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, key) {
      const verb: unknown = Reflect.get(verbs, key) ?? Reflect.get(target, key);
      return typeof verb === "function" ? verb.bind(target) : verb;
    },
  });
}

let counter = 0;

/** Enqueues a task as a client would. */
export async function enqueue(
  store: Store,
  id: string,
  params: unknown = {},
  change: Partial<EnqueueRequest> = {},
): Promise<void> {
  counter += 1;
  await store.enqueue({
    id,
    name: "work",
    nonce: `client000000${String(counter).padStart(8, "0")}`,
    kind: "asked",
    timeout: 60_000,
    resultTtl: 60_000,
    delay: 0,
    maxAttempts: 1,
    options: "",
    params: `json=${jsonSerializer.serialize(params)}`,
    ifExists: "join",
    ...change,
  });
}

/** Resolves with the record once it is in this state. */
export function inState(store: Store, id: string, state: TaskRecord["state"]): Promise<TaskRecord> {
  return until(async () => {
    const record = await store.read(id);
    return record?.state === state ? record : null;
  }, `task ${id} is ${state}`) as Promise<TaskRecord>;
}

/** A listener of the name "work". */
export function makeListener(store: Store, taskFn: TaskFns, change: Partial<ListenerContext> = {}): Listener {
  return new Listener({
    store,
    clock: systemClock,
    random: systemRandom,
    serializers: new Map([["json", jsonSerializer]]),
    serializer: jsonSerializer,
    handlerOf: (name) => handlerFor(taskFn, name),
    log: () => {},
    names: ["work"],
    workers: 4,
    interval: 5_000,
    lease: 30_000,
    grace: 1_000,
    ...change,
  });
}

/** Runs a listener while `body` runs, then stops it and waits for its end. */
export async function listening(listener: Listener, body: () => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const ended = listener.run(stop.signal);
  try {
    await body();
  } finally {
    stop.abort();
    await ended;
  }
}

/** A promise that a test settles. */
export function deferred<Value = void>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve!: (value: Value) => void;
  const promise = new Promise<Value>((settle) => void (resolve = settle));
  return { promise, resolve };
}

/** A promise that never settles. */
export function never<Value>(): Promise<Value> {
  return new Promise(() => {});
}
