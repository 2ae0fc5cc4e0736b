/**
 * Whatever order calls and time take, who cancels, who waits and the record agree.
 *
 * Every call to the store has two gates, on its way there and on its way back; a list of choices that fast-check makes
 * (and shrinks) says which gate opens next, or that time goes on. Messages may be lost, owners may freeze for good.
 */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { startAttempt } from "../src/attempt.ts";
import type { AttemptContext } from "../src/attempt_context.ts";
import { Calls } from "../src/calls.ts";
import { type CancelResult, cancelTask } from "../src/cancel.ts";
import { sleep } from "../src/clock.ts";
import { TaskCancelledError, TaskFailedError } from "../src/errors.ts";
import { keysOf } from "../src/keys.ts";
import { Leases } from "../src/leases.ts";
import { settingsOf } from "../src/options.ts";
import { jsonSerializer } from "../src/serializer.ts";
import { MemoryRedis } from "../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { Store } from "../src/store/store.ts";
import type { RedisTask } from "../src/task.ts";
import { Retries } from "../src/retries.ts";
import { Unreadable } from "../src/unreadable.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { drive, Gates } from "./support/gates.ts";

const LEASE = 200;
const log = () => {};

/** What one run of the system is made of. */
interface Story {
  /** What the handler does after `takes` milliseconds. */
  readonly handler: "returns" | "throws" | "hangs";
  readonly takes: number;
  /** How many attempts may fail before one counts. */
  readonly retries: number;
  /** Milliseconds until the cancel is asked for. */
  readonly cancelAt: number;
  /** Control messages are lost. */
  readonly isDeaf: boolean;
  /** The first owner freezes for good at this instant; so its lease runs out. */
  readonly freezeAt: number | null;
  readonly once: boolean;
  /** Which gate opens next; time goes on when the number is beyond the last one. */
  readonly choices: readonly number[];
}

const story: fc.Arbitrary<Story> = fc.record({
  handler: fc.constantFrom("returns", "throws", "hangs"),
  takes: fc.integer({ min: 0, max: 150 }),
  retries: fc.integer({ min: 0, max: 2 }),
  cancelAt: fc.integer({ min: 0, max: 400 }),
  isDeaf: fc.boolean(),
  freezeAt: fc.option(fc.integer({ min: 0, max: 300 })),
  once: fc.boolean(),
  choices: fc.array(fc.nat({ max: 7 }), { minLength: 20, maxLength: 150 }),
});

/** A listener without its loop: the same attempts and leases, one task at a time, and retries. */
class Owner {
  readonly #id: string;
  readonly #story: Story;
  readonly #clock: FakeClock;
  readonly #store: Store;
  readonly #leases: Leases;
  #sequence = 0;
  starts = 0;
  isStopped = false;

  constructor(id: string, story: Story, clock: FakeClock, store: Store) {
    this.#id = id;
    this.#story = story;
    this.#clock = clock;
    this.#store = this.#retrying(store);
    this.#leases = new Leases({ store: this.#store, owner: id, lease: LEASE, clock });
  }

  async run(): Promise<void> {
    const onIds = (ids: readonly string[]) => this.#story.isDeaf || this.#leases.cancelled(ids);
    await this.#store.openControl(this.#id, onIds, () => {});
    while (!this.isStopped) {
      this.#sequence += 1;
      const from = this.#clock.monotonic();
      const request = { listener: this.#id, sequence: this.#sequence, free: 1, lease: LEASE, names: ["work"] };
      const { tasks } = await this.#store.claim(request);
      for (const record of tasks) await startAttempt(record, this.#context(), from).written;
      if (tasks.length === 0) await sleep(this.#clock, 20);
    }
    this.#leases.close();
  }

  async #handler(task: RedisTask): Promise<unknown> {
    this.starts += 1;
    await sleep(this.#clock, this.#story.takes, task.signal);
    if (this.#story.handler === "hangs") return await new Promise(() => {});
    if (this.#story.handler === "throws") throw new RangeError("no");
    return "done";
  }

  #context(): AttemptContext {
    return {
      ...{ store: this.#store, owner: this.#id, clock: this.#clock, leases: this.#leases, log },
      ...{ serializer: jsonSerializer, serializers: new Map([["json", jsonSerializer]]) },
      unreadable: new Unreadable({ log, interval: 1_000 }),
      retries: new Retries({ clock: this.#clock, log }),
      handlerOf: () => (task: RedisTask) => this.#handler(task),
      attemptTimeout: 1_000,
    };
  }

  #retrying(store: Store): Store {
    const { retries } = this.#story;
    const fail: Store["fail"] = (task, failure) =>
      store.fail(task, failure.state === "failed" && this.starts <= retries ? { ...failure, retryIn: 30 } : failure);
    return new Proxy(store, {
      get: (target, key) => key === "fail" ? fail : Reflect.get(target, key) as unknown,
    });
  }
}

/** What the three who look at the task saw. */
interface Seen {
  readonly cancel: CancelResult;
  readonly waiter: unknown;
  readonly state: string;
}

async function play(story: Story): Promise<Seen> {
  const clock = new FakeClock();
  const world = new MemoryRedis();
  const store = new MemoryStore(world, keysOf("test", "task-queue"), clock);
  const gates = new Gates();
  const isFrozen = () => story.freezeAt !== null && clock.monotonic() >= story.freezeAt;
  const owners = [
    new Owner("owner0000001", story, clock, gates.before(store, isFrozen)),
    new Owner("owner0000002", story, clock, gates.before(store)),
  ];
  const settings = settingsOf({ clock, log, interval: 200, lease: LEASE });
  const calls = new Calls({ store: gates.before(store), client: "client000001", settings });
  const task = { id: "a", name: "work", params: 1, timeout: 600_000, policy: "remote", once: story.once } as const;
  const waiter = calls.call(task).catch((error) => error as unknown);
  const context = {
    store: gates.before(store),
    clock,
    events: undefined,
    closing: new AbortController().signal,
    calls,
  };
  const cancel = sleep(clock, story.cancelAt).then(() => cancelTask("a", Infinity, context));
  for (const owner of owners) void owner.run();
  const seen = await drive(Promise.all([cancel, waiter]), { gates, clock, choices: story.choices });
  const state = async () => (await store.readHeader("a"))?.state ?? "none";
  const ended = await state();
  const starts = owners.map((owner) => owner.starts);
  await drive(sleep(clock, 1_000), { gates, clock, choices: [] });
  assert.equal(await state(), ended, "what has ended stays as it is");
  assert.deepEqual(owners.map((owner) => owner.starts), starts, "nothing starts again");
  for (const owner of owners) owner.isStopped = true;
  world.close();
  return { cancel: seen[0], waiter: seen[1], state: ended };
}

/** What a caller may see of a task in this state. */
function told(waiter: unknown): string {
  if (waiter instanceof TaskCancelledError) return "cancelled";
  if (waiter === "done") return "succeeded";
  return waiter instanceof RangeError || waiter instanceof TaskFailedError ? "failed" : String(waiter);
}

describe("a cancel that races", () => {
  it("F74 F75: with finish, retry, recovery and lost messages has one winner that all see", async () => {
    const seen = new Set<string>();
    const property = fc.asyncProperty(story, async (story) => {
      const { cancel, waiter, state } = await play(story);
      const end = told(waiter);
      seen.add(`${cancel} ${end}`);
      if (state !== "deleted") assert.equal(state, end, "the record says what its caller was told");
      if (cancel === "cancelled") assert.equal(end, "cancelled");
      else if (cancel === "completed") assert.notEqual(end, "cancelled");
      else assert.equal(cancel, "unknown"); // Asked before the task was there, or after its reader took it.
    });
    await fc.assert(property, { numRuns: 150 });
    for (const both of ["cancelled cancelled", "completed succeeded", "completed failed"]) {
      assert.ok(seen.has(both), `${both} is among ${[...seen].join(", ")}`);
    }
  });
});
