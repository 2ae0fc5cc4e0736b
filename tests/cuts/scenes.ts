/**
 * What is cut: every verb of the store that sends something, in a situation in which it has an effect.
 *
 * A verb that the store repeats must be answered whatever is cut. Of the others it is said who repeats them: their callers
 * do the same again (`again`), or nobody does, since the call is a hint.
 *
 * @module
 */
import type { ClaimAnswer, OwnerAnswer, Ownership, PutRequest, Store } from "../../src/store/store.ts";
import { ADA, ask, BOB, claimOf, LEASE, nonce, ONE, own, TWO } from "../conformance/store_kit.ts";
import type { World } from "./world.ts";

/** One call to be cut. */
export interface Scene {
  readonly name: string;
  /** `store`: the store repeats it. `caller`: who calls it does. `nobody`: it is lost, or not. */
  readonly repeatedBy: "store" | "caller" | "nobody";
  /** What stands in Redis before; past the proxy. What it returns is given to `call`. */
  prepare(world: World): Promise<unknown>;
  /** The call, through the proxy; what it resolves with must be the same whatever was cut. */
  call(store: Store, prepared: never): Promise<unknown>;
}

type Of<Prepared> = (store: Store, prepared: Prepared) => Promise<unknown>;

function scene<Prepared>(
  name: string,
  repeatedBy: Scene["repeatedBy"],
  prepare: (world: World) => Promise<Prepared>,
  call: Of<Prepared>,
): Scene {
  return { name, repeatedBy, prepare, call: call as Scene["call"] };
}

const nothing = () => Promise.resolve();

async function queued({ direct }: World, ...ids: string[]): Promise<void> {
  for (const id of ids) await direct.enqueue(ask(id));
}

/** Runs them: one joined by Bob, so that there is somebody to tell. */
async function running(world: World, ...ids: string[]): Promise<Ownership[]> {
  await queued(world, ...ids);
  await world.direct.enqueue(ask(ids[0]!, { nonce: nonce(BOB) }));
  return (await world.direct.claim(claimOf(1))).tasks.map(own);
}

/** Failed for good; only those are dead letters that nobody asked for. */
async function dead(world: World, ...ids: string[]): Promise<void> {
  for (const id of ids) await world.direct.enqueue(ask(id, { kind: "enqueued" }));
  for (const task of (await world.direct.claim(claimOf(1))).tasks.map(own)) {
    await world.direct.fail(task, { state: "failed", outcome: '\n!{"name":"Error","message":"no"}' });
  }
}

async function succeeded(world: World): Promise<void> {
  await world.direct.enqueue(ask("a"));
  const [task] = (await world.direct.claim(claimOf(1))).tasks;
  await world.direct.complete(own(task!), "\njson=1");
}

function localTask(id: string): PutRequest {
  const { delay: _d, maxAttempts: _m, ifExists: _i, ...task } = ask(id);
  return { ...task, kind: "local", state: "running", owner: ADA, outcome: "" };
}

/** A second call may say that it was done before. */
function stateAfter({ verdict, state, cancelAsked }: OwnerAnswer): unknown {
  return [verdict === "kept" ? "accepted" : verdict, state, cancelAsked];
}

/** A replay brings the same tasks, and need not say what else there is. */
function tasksOf({ tasks }: ClaimAnswer): unknown {
  return tasks;
}

/** Something of everything that a claim does: presence, a lost lease, a due task, waiting ones. */
async function manyThings(world: World): Promise<void> {
  const now = world.time;
  world.time = now - 60_000;
  await queued(world, "lost");
  await world.direct.claim(claimOf(1, { listener: TWO, lease: 1_000 }));
  await world.direct.enqueue(ask("due", { delay: 1_000 }));
  world.time = now;
  await queued(world, "a", "b", "c");
}

const presence = { names: ["greet", "part"], duration: 15_000 };

const ENQUEUES: readonly Scene[] = [
  scene("enqueue", "store", nothing, (store) => store.enqueue(ask("a"))),
  scene("enqueue, delayed", "store", nothing, (store) => store.enqueue(ask("a", { delay: 60_000 }))),
  scene(
    "enqueue, joined",
    "store",
    (world) => queued(world, "a"),
    (store) => store.enqueue(ask("a", { nonce: nonce(BOB) })),
  ),
  scene(
    "enqueue, replaced",
    "store",
    succeeded,
    (store) => store.enqueue(ask("a", { nonce: nonce(BOB), ifExists: "replace" })),
  ),
  scene("enqueue, ended before", "store", succeeded, (store) => store.enqueue(ask("a", { nonce: nonce(BOB) }))),
  scene(
    "enqueue, owned",
    "store",
    nothing,
    (store) => store.enqueue(ask("a", { ownIfUnattended: { owner: ADA, lease: LEASE } })),
  ),
  scene(
    "withdraw",
    "store",
    (world) => queued(world, "a"),
    (store) => store.withdraw({ id: "a", nonce: nonce(ADA), owner: ADA, lease: LEASE }),
  ),
  scene("put", "store", nothing, (store) => store.put(localTask("a"))),
];

const OWNERS: readonly Scene[] = [
  scene("claim", "caller", manyThings, async (store) => tasksOf(await store.claim(claimOf(1, { free: 4, presence })))),
  scene(
    "complete",
    "store",
    (world) => running(world, "a", "b"),
    async (store, [task]) => stateAfter(await store.complete(task!, '\njson={"done":true}')),
  ),
  scene(
    "fail",
    "store",
    (world) => running(world, "a", "b"),
    async (store, [task]) => stateAfter(await store.fail(task!, { state: "failed", outcome: "\n!{}" })),
  ),
  scene(
    "fail, with a retry",
    "store",
    (world) => running(world, "a", "b"),
    async (store, [task]) => stateAfter(await store.fail(task!, { state: "failed", outcome: "\n!{}", retryIn: 5_000 })),
  ),
  scene(
    "release",
    "store",
    (world) => running(world, "a", "b"),
    async (store, tasks) => (await store.release(tasks)).map(stateAfter),
  ),
  scene(
    "renew",
    "caller",
    (world) => running(world, "a", "b"),
    (store, tasks) => store.renew({ owner: ONE, lease: 2 * LEASE, tasks, presence }),
  ),
  scene(
    "progress",
    "caller",
    (world) => running(world, "a"),
    (store, [task]) => store.progress(task!, '{"progress":[1,2,1]}\n'),
  ),
  scene("mark listened", "caller", nothing, (store) => store.markListened(["greet", "part"], ONE, 15_000)),
  scene("leave", "caller", async (world) => {
    await running(world, "a");
    await world.direct.markListened(["greet"], ONE, 15_000);
  }, (store) => store.leave(ONE, ["greet", "part"])),
  scene("ring", "nobody", nothing, (store) => store.ring("greet")),
];

const CLIENTS: readonly Scene[] = [
  // Whatever the call finds when it comes again: what it wanted is so.
  scene("cancel, waiting", "store", (world) => queued(world, "a"), async (store) => {
    const answer = await store.cancel({ id: "a" });
    return answer.verdict === "ended" && answer.state === "cancelled" ? { verdict: "cancelled" } : answer;
  }),
  scene("cancel, running", "store", (world) => running(world, "a"), (store) => store.cancel({ id: "a" })),
  scene("read", "caller", succeeded, (store) => store.read("a")),
  scene("read header", "caller", succeeded, (store) => store.readHeader("a")),
  scene("take", "store", succeeded, (store) => store.take({ id: "a", reader: BOB })),
  scene("acknowledge", "caller", async (world) => {
    await succeeded(world);
    await world.direct.take({ id: "a", reader: BOB });
  }, (store) => store.acknowledge({ id: "a", reader: BOB, nonce: nonce(ADA) })),
  scene(
    "is listened",
    "caller",
    (world) => world.direct.markListened(["greet"], ONE, 15_000),
    (store) => store.isListened("greet"),
  ),
  scene("ping inbox", "caller", nothing, (store) => store.pingInbox(ADA)),
];

const KEEPERS: readonly Scene[] = [
  scene("dead", "store", (world) => dead(world, "a", "b"), (store) => store.dead("greet")),
  scene("requeue", "store", (world) => dead(world, "a", "b"), async (store) => {
    const { verdict } = await store.requeue({ id: "a", nonce: nonce(BOB) });
    return verdict === "kept" ? "requeued" : verdict;
  }),
  scene("remove", "store", (world) => dead(world, "a", "b"), async (store) => {
    const { verdict } = await store.remove({ id: "a" });
    return verdict === "kept" ? "removed" : verdict;
  }),
  scene("counts", "caller", (world) => dead(world, "a", "b"), (store) => store.counts("greet")),
];

/** Six calls that leave in one write: a cut is in the middle of one of them, and before or behind the others. */
const TOGETHER: Scene = scene("six in one write", "store", async (world) => {
  return await running(world, "a", "b", "c");
}, async (store, [one, two]) => {
  return await Promise.all([
    store.enqueue(ask("e")),
    store.complete(one!, "\njson=1").then(stateAfter),
    store.fail(two!, { state: "expired", outcome: "\n!{}" }).then(stateAfter),
    store.cancel({ id: "c", nonce: nonce(ADA) }),
    store.put(localTask("d")),
    store.enqueue(ask("f")),
  ]);
});

/** All but those that need a connection of their own. */
export const SCENES: readonly Scene[] = [...ENQUEUES, ...OWNERS, ...CLIENTS, ...KEEPERS, TOGETHER];
