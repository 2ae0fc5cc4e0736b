/**
 * What a walk over both stores may do: commands as plain data, so that fast-check can shrink them. They name no fence
 * or nonce but point into what the walk has seen so far ("the third ownership"), which stays meaningful when commands
 * before them are left out.
 *
 * Previous: `model_test.ts`. Next: `model_scenes.ts`, `model_walk.ts`.
 *
 * @module
 */
import fc from "fast-check";

/** The ids of all tasks. */
export const IDS = ["a", "b:é", "c"] as const;
const NAMES = ["x", "y"] as const;
/** Clients: they submit, withdraw, read. */
export const CLIENTS = ["client-ada--", "client-bob--"] as const;
/** Listeners: they claim. */
export const LISTENERS = ["listener-one", "listener-two"] as const;

/** Kinds of keys, of which one may be evicted, or be of a wrong type. */
const KINDS =
  // deno-fmt-ignore
  ["record", "joined", "queue", "scheduled", "lease", "dead", "done", "stats", "bell", "listen", "listener"] as const;
/** One of them. */
export type KeyKind = typeof KINDS[number];

/** The id of a command. */
export const id = fc.constantFrom("a", ...IDS);
/** Its name. */
export const name = fc.constantFrom(...NAMES);
/** Its client. */
export const client = fc.constantFrom(...CLIENTS);
const listener = fc.constantFrom(...LISTENERS);
/** The record of a later version. */
const LATER = `2${"x".repeat(150)}`;
/** Headers that end too soon, or have letters where digits belong. */
const BROKEN = [
  `13${"0".repeat(98)}`,
  `12000${"0".repeat(40)}`,
  `12000${"0".repeat(94)}${"x".repeat(30)}`,
  `12000${"0".repeat(20)}${"x".repeat(90)}`,
  `12${"x".repeat(3)}${"0".repeat(106)}x`,
];
/** Twice the longer one is more than the five minutes that a record outlives its deadline. */
export const lease = fc.constantFrom(1_000, 1_000, 1_000, 200_000);
/** Zero takes a new nonce, another number one that was used before. */
const nonce = fc.oneof({ weight: 7, arbitrary: fc.constant(0) }, {
  weight: 3,
  arbitrary: fc.integer({ min: 1, max: 8 }),
});
/** Which of the ownerships seen so far. */
const own = fc.nat(50);
/** How long its result is kept. */
export const resultTtl = fc.constantFrom(5_000, 60_000, 900_000);

const enqueueFields = {
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
};
/** How an attempt ends. */
const finish = fc.record({
  own,
  state: fc.constantFrom("succeeded", "succeeded", "failed", "cancelled", "expired"),
  retryIn: fc.constantFrom(-1, 0, 500, 1_999, 2_000, 2_001, 3_000),
});

const commands = {
  advance: fc.record({ ms: fc.constantFrom(1, 300, 700, 1_000, 1_000, 4_000, 31_000, 61_000) }),
  enqueue: fc.record(enqueueFields),
  plant: fc.record({
    id,
    name,
    timeout: fc.constantFrom(0, 3_000),
    /** Written over whatever is there: nothing that can be read, or a later version's record. */
    over: fc.constantFrom("", "", "", "", "garbage", LATER, ...BROKEN),
    /** Does its id stand in the list of the name, too? */
    hinted: fc.constantFrom(true, true, true, false),
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
    timeout: fc.constantFrom(0, 2_000, 5_000, 20_000),
  }),
  take: fc.record({ id, client, nonce: fc.constantFrom(-1, -1, 1, 2, 3) }),
  acknowledge: fc.record({ id, client, nonce: fc.constantFrom(-1, -1, 1, 2, 3) }),
  read: fc.record({ id }),
  readHeader: fc.record({ id }),
  isListened: fc.record({ name }),
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
  /** A connection of each kind is opened, hears one message or token, and is closed. */
  openInbox: fc.record({ client }),
  openControl: fc.record({ listener }),
  openBell: fc.record({ names: fc.constantFrom(["x"], ["y"], ["y", "x"]) }),
  /** The same words as a call before. */
  resend: fc.record({ back: fc.constantFrom(0, 0, 1, 2, 4) }),
  /** Calls of one turn, which on Redis share a script call. */
  enqueueMany: fc.record({ items: fc.array(fc.record(enqueueFields), { minLength: 2, maxLength: 6 }) }),
  finishMany: fc.record({ items: fc.array(finish, { minLength: 2, maxLength: 6 }) }),
  progressMany: fc.record({ items: fc.array(fc.record({ own }), { minLength: 2, maxLength: 4 }) }),
  flush: fc.record({}),
  snapshot: fc.record({}),
  restore: fc.record({}),
  evict: fc.record({ kind: fc.constantFrom(...KINDS), id, name }),
  /** For so many calls a key is of a wrong type. */
  damage: fc.record({ kind: fc.constantFrom(...KINDS), id, name, calls: fc.integer({ min: 1, max: 4 }) }),
  /** For so many calls memory is full. */
  fill: fc.record({ calls: fc.integer({ min: 1, max: 6 }) }),
};

type Kinds = typeof commands;
type Verb = keyof Kinds;

/** One step of a walk. */
export type Command = { [V in Verb]: { verb: V } & (Kinds[V] extends fc.Arbitrary<infer T> ? T : never) }[Verb];

/** How often each verb comes; the rest come three times. */
const WEIGHTS: Partial<Record<Verb, number>> = {
  advance: 12,
  enqueue: 18,
  claim: 18,
  complete: 4,
  fail: 6,
  finishMany: 4,
  enqueueMany: 3,
  release: 5,
  renew: 6,
  withdraw: 5,
  cancel: 4,
  put: 4,
  remove: 4,
  leave: 4,
  take: 4,
  requeue: 6,
  resend: 5,
  read: 4,
  readHeader: 4,
  isListened: 4,
  markListened: 4,
  openInbox: 4,
  openControl: 4,
  openBell: 4,
  ring: 4,
  counts: 4,
};

/** Any command. */
export const command: fc.Arbitrary<Command> = fc.oneof(
  ...(Object.keys(commands) as Verb[]).map((verb) => ({
    weight: WEIGHTS[verb] ?? 3,
    arbitrary: (commands[verb] as fc.Arbitrary<object>).map((fields) => ({ verb, ...fields }) as Command),
  })),
);
