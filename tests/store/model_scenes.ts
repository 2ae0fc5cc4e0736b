/**
 * What random commands would hardly ever come to: short stories, mixed into the walks.
 *
 * Previous: `model_commands.ts`. Next: `model_walk.ts`.
 *
 * @module
 */
import fc from "fast-check";
import { client, type Command, command, id, lease, name, resultTtl } from "./model_commands.ts";

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

const putState = fc.constantFrom("stored", "running", "succeeded", "failed");
const timeout = fc.constantFrom(0, 2_000, 20_000);
const threeOrFour = { minLength: 3, maxLength: 4 };

function fieldsOf({ id, name, client, resultTtl }: Command & { verb: "enqueue" }) {
  return { id, name, client, resultTtl };
}

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
  // Deleted by hand after whatever end; a late copy of its enqueue, and a new one.
  fc.tuple(enqueued, fc.constantFrom("succeeded", "failed", "cancelled", "expired"), fc.integer({ min: 0, max: 1 }))
    .map(
      ([task, state, nonce]): Command[] => [
        task,
        claimed,
        { verb: "finishMany", items: [{ own: 0, state, retryIn: -1 }] },
        { verb: "remove", id: task.id, name: task.name, nonce: -1 },
        { ...task, nonce },
      ],
    ),
  // Two readers of one answer.
  fc.tuple(enqueued, client, client, fc.constantFrom(-1, 1, 2)).map(([task, taker, other, nonce]): Command[] => [
    task,
    claimed,
    { verb: "complete", own: 0 },
    { verb: "take", id: task.id, client: taker, nonce: -1 },
    { verb: "take", id: task.id, client: other, nonce },
    { verb: "acknowledge", id: task.id, client: other, nonce },
    { verb: "acknowledge", id: task.id, client: taker, nonce },
    { verb: "acknowledge", id: task.id, client: taker, nonce: -1 },
  ]),
  // A local run that is written from its beginning to its end, by its own process or another, and is read meanwhile.
  fc.tuple(
    enqueued,
    fc.array(fc.record({ state: putState, nonce: fc.constantFrom(0, 1, 1, 1), timeout }), threeOrFour),
    command,
  )
    .map(([task, writes, between]): Command[] => {
      const { id, name, client, resultTtl } = task;
      const puts = writes.map((write): Command => ({ verb: "put", id, name, client, resultTtl, ...write }));
      return [...puts.slice(0, 2), between, ...puts.slice(2)];
    }),
  // The end of an enqueued task, written again from outside.
  fc.tuple(enqueued, fc.constantFrom("succeeded", "failed", "cancelled"), putState, fc.constantFrom(0, 1), fc.boolean())
    .map(
      ([task, state, written, nonce, taken]): Command[] => [
        { ...task, kind: "enqueued" },
        claimed,
        { verb: "finishMany", items: [{ own: 0, state, retryIn: -1 }] },
        ...(taken ? [{ verb: "take", id: task.id, client: task.client, nonce: -1 } as const] : []),
        { verb: "put", ...fieldsOf(task), state: written, nonce, timeout: 5_000 },
      ],
    ),
  // A delayed task that its caller wants back, before and after it is due, more than once.
  fc.tuple(enqueued, timeout, fc.constantFrom(300, 700, 4_000), client, lease).map(
    ([task, timeout, ms, client, lease]): Command[] => [
      { ...task, timeout, delay: 700 },
      { verb: "advance", ms },
      { verb: "withdraw", id: task.id, client, nonce: 1, lease },
      { verb: "withdraw", id: task.id, client, nonce: 1, lease },
      { verb: "cancel", id: task.id, nonce: 1, unlessJoined: true },
    ],
  ),
  // Leases longer than what is left of a deadline, then shorter ones.
  fc.tuple(enqueued, fc.constantFrom(2_000, 20_000, 400_000), lease, lease).map(
    ([task, timeout, first, second]): Command[] => [
      { ...task, timeout },
      { ...claimed, lease: first },
      { verb: "renew", own: 0, lease: second, count: 1, presence: 0 },
    ],
  ),
  // An answer that is read once, and a late copy of its enqueue.
  fc.tuple(enqueued, client).map(([task, client]): Command[] => [
    task,
    claimed,
    { verb: "complete", own: 0 },
    { verb: "take", id: task.id, client, nonce: -1 },
    { verb: "acknowledge", id: task.id, client, nonce: -1 },
    { ...task, nonce: 1 },
  ]),
];

/** A command, or now and then a scene. */
export const steps: fc.Arbitrary<Command[]> = fc.oneof(
  { weight: 160, arbitrary: command.map((one) => [one]) },
  ...scenes.map((arbitrary) => ({ weight: 1, arbitrary })),
);
