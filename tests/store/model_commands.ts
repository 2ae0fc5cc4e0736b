/**
 * What a walk over both stores may do: commands as plain data, so that fast-check can shrink them. They name no fence
 * or nonce but point into what the walk has seen so far ("the third ownership"), which stays meaningful when commands
 * before them are left out.
 *
 * Previous: `model_test.ts`. Next: `model_walk.ts`.
 *
 * @module
 */
import fc from "fast-check";

const IDS = ["a", "b:é", "c"] as const;
const NAMES = ["x", "y"] as const;
/** Clients: they submit, withdraw, read. */
export const CLIENTS = ["client-ada--", "client-bob--"] as const;
/** Listeners: they claim. */
export const LISTENERS = ["listener-one", "listener-two"] as const;

const id = fc.constantFrom("a", ...IDS);
const name = fc.constantFrom(...NAMES);
const client = fc.constantFrom(...CLIENTS);
const listener = fc.constantFrom(...LISTENERS);
/** Twice the longer one is more than the five minutes that a record outlives its deadline. */
const lease = fc.constantFrom(1_000, 1_000, 1_000, 200_000);
/** Zero takes a new nonce, another number one that was used before. */
const nonce = fc.oneof({ weight: 7, arbitrary: fc.constant(0) }, {
  weight: 3,
  arbitrary: fc.integer({ min: 1, max: 8 }),
});
/** Which of the ownerships seen so far. */
const own = fc.nat(50);
const resultTtl = fc.constantFrom(5_000, 60_000, 900_000);

const commands = {
  advance: fc.record({ ms: fc.constantFrom(1, 300, 700, 1_000, 1_000, 4_000, 61_000) }),
  enqueue: fc.record({
    id,
    name,
    client,
    nonce,
    resultTtl,
    kind: fc.constantFrom("asked", "enqueued"),
    timeout: fc.constantFrom(0, 2_000, 20_000, 400_000),
    delay: fc.constantFrom(0, 0, 0, 700),
    ifExists: fc.constantFrom("join", "join", "join", "replace", "reject"),
    own: fc.constantFrom(0, 0, 0, 1_000, 200_000),
  }),
  plant: fc.record({
    id,
    name,
    timeout: fc.constantFrom(0, 3_000),
    /** Written over whatever is there, if that neither runs nor sleeps: nothing that can be read, or a later version's record. */
    over: fc.constantFrom("", "", "", "garbage", `2${"x".repeat(150)}`),
  }),
  claim: fc.record({
    listener,
    lease,
    /** How far behind the last claim: -1 is the next one, 0 a replay, 1 a late copy. */
    back: fc.constantFrom(-1, -1, -1, -1, 0, 1),
    free: fc.constantFrom(0, 1, 2, 5),
    names: fc.constantFrom(["x"], ["y"], ["x", "y"], ["y", "x"]),
    presence: fc.constantFrom(0, 0, 0, 2_000, 90_000),
  }),
  complete: fc.record({ own }),
  /** Two ends said in one turn: on Redis they share a script call. */
  race: fc.record({ own, other: own }),
  fail: fc.record({
    own,
    state: fc.constantFrom("failed", "cancelled", "expired"),
    retryIn: fc.constantFrom(-1, 0, 500, 1_999, 2_000, 2_001, 3_000),
  }),
  release: fc.record({
    own,
    count: fc.integer({ min: 1, max: 3 }),
    twice: fc.boolean(),
    delay: fc.constantFrom(0, 0, 0, 500, 700.5, 30_000),
  }),
  renew: fc.record({
    own,
    lease,
    count: fc.integer({ min: 0, max: 3 }),
    presence: fc.constantFrom(0, 0, 2_000, 90_000),
  }),
  progress: fc.record({ own }),
  withdraw: fc.record({ id, client, nonce, lease }),
  cancel: fc.record({ id, nonce: fc.constantFrom(-1, -1, 1, 2, 3, 9), unlessJoined: fc.boolean() }),
  put: fc.record({
    id,
    name,
    client,
    nonce,
    resultTtl,
    state: fc.constantFrom("stored", "running", "succeeded", "failed"),
    timeout: fc.constantFrom(0, 5_000, 20_000),
  }),
  take: fc.record({ id, client }),
  acknowledge: fc.record({ id, client }),
  read: fc.record({ id }),
  markListened: fc.record({ name, listener, duration: fc.constantFrom(1_000, 5_000, 90_000) }),
  leave: fc.record({ listener }),
  ring: fc.record({ name }),
  dead: fc.record({
    name,
    offset: fc.constantFrom(0, 0, 1),
    limit: fc.constantFrom(1, 100),
    newestFirst: fc.boolean(),
  }),
  requeue: fc.record({ id, client, nonce }),
  remove: fc.record({ id, name, nonce: fc.constantFrom(-1, -1, 1, 2, 3) }),
  counts: fc.record({ name }),
};

type Kinds = typeof commands;
type Verb = keyof Kinds;

/** One step of a walk. */
export type Command = { [V in Verb]: { verb: V } & (Kinds[V] extends fc.Arbitrary<infer T> ? T : never) }[Verb];

/** How often each verb comes; the rest come once. */
const WEIGHTS: Partial<Record<Verb, number>> = {
  advance: 4,
  enqueue: 6,
  claim: 6,
  withdraw: 2,
  renew: 2,
  fail: 2,
  requeue: 2,
};

/** Any command. */
const command: fc.Arbitrary<Command> = fc.oneof(
  ...(Object.keys(commands) as Verb[]).map((verb) => ({
    weight: WEIGHTS[verb] ?? 1,
    arbitrary: (commands[verb] as fc.Arbitrary<object>).map((fields) => ({ verb, ...fields }) as Command),
  })),
);

const enqueued = fc.record({ id, name, client, resultTtl }).map((fields): Command & { verb: "enqueue" } => ({
  ...fields,
  verb: "enqueue",
  nonce: 0,
  kind: "asked",
  timeout: 0,
  delay: 0,
  ifExists: "join",
  own: 0,
}));
const claimed: Command = {
  verb: "claim",
  listener: "listener-one",
  lease: 1_000,
  back: -1,
  free: 5,
  names: ["x", "y"],
  presence: 0,
};

/** What random commands would hardly ever come to. */
const scenes: fc.Arbitrary<Command[]>[] = [
  // Listeners that die, until the task is given up.
  fc.integer({ min: 2, max: 5 }).map((deaths) =>
    Array.from({ length: deaths }, (): Command[] => [claimed, { verb: "advance", ms: 4_000 }]).flat()
  ),
  // A caller withdraws what it has just enqueued.
  fc.tuple(enqueued, client, lease).map(([task, client, lease]): Command[] => [
    task,
    { verb: "withdraw", id: task.id, client, nonce: 1, lease },
  ]),
  // Dead hints at the head of a list, and an enqueue that meets them.
  fc.tuple(enqueued, fc.integer({ min: 1, max: 5 }), id).map(([task, corpses, id]): Command[] => [
    ...Array.from({ length: corpses }, (): Command[] => [
      task,
      { verb: "cancel", id: task.id, nonce: -1, unlessJoined: false },
    ]).flat(),
    { ...task, id },
  ]),
  // A retry that would be due at, before or after the deadline.
  fc.tuple(enqueued, fc.constantFrom(1_999, 2_000, 2_001)).map(([task, retryIn]): Command[] => [
    { ...task, timeout: 2_000 },
    claimed,
    { verb: "fail", own: 0, state: "failed", retryIn },
  ]),
  // Dead letters, more than are kept, and what becomes of one.
  fc.tuple(enqueued, fc.array(fc.constantFrom("a", "b:é", "c"), { minLength: 1, maxLength: 4 }), command).map(
    ([task, ids, last]): Command[] => [
      ...ids.flatMap((id): Command[] => [
        { ...task, kind: "enqueued", id },
        claimed,
        { verb: "fail", own: 0, state: "failed", retryIn: -1 },
        { verb: "advance", ms: 4_000 },
      ]),
      last,
      { verb: "dead", name: task.name, offset: 0, limit: 100, newestFirst: false },
    ],
  ),
  // An answer that is read once, and a late copy of its enqueue.
  fc.tuple(enqueued, client).map(([task, client]): Command[] => [
    task,
    claimed,
    { verb: "complete", own: 0 },
    { verb: "take", id: task.id, client },
    { verb: "acknowledge", id: task.id, client },
    { ...task, nonce: 1 },
  ]),
];

/** A command, or now and then a scene. */
export const steps: fc.Arbitrary<Command[]> = fc.oneof(
  { weight: 20, arbitrary: command.map((one) => [one]) },
  ...scenes.map((arbitrary) => ({ weight: 1, arbitrary })),
);
