/**
 * From a command of a walk to a call that any store can be given.
 *
 * @module
 */
import type { Ownership, PutRequest, RenewRequest, Store, TakeRequest } from "../../src/store/store.ts";
import type { Command } from "./model_commands.ts";

/** A call, to be made once on each store. */
export type Call = (store: Store) => Promise<unknown>;
/** What a walk has seen, for commands to point into. */
export interface Seen {
  readonly nonces: string[];
  readonly owned: Ownership[];
  readonly sequences: Map<string, number>;
  readonly calls: Call[];
  counter: number;
}
const FAULTS = ["plant", "flush", "evict", "snapshot", "restore", "damage", "fill"] as const;
/** The commands that change what a store holds behind its back. */
export type FaultCommand = Extract<Command, { verb: typeof FAULTS[number] }>;
/** The commands that are calls of a store. */
export type CallCommand = Exclude<Command, { verb: "advance" } | FaultCommand>;
type Of<V extends Command["verb"]> = Extract<Command, { verb: V }>;

const NAMES = ["x", "y"];

/** Is it one of those? */
export function isFault(command: Command): command is FaultCommand {
  return (FAULTS as readonly string[]).includes(command.verb);
}

/** The call that a command means now; null when what it points to does not exist yet. */
export function callOf(command: CallCommand, seen: Seen, hasToken: (name: string) => boolean): Call | null {
  switch (command.verb) {
    case "resend":
      return seen.calls.at(-1 - command.back) ?? null;
    case "openInbox":
    case "openControl":
    case "openBell":
      return opening(command, hasToken);
    case "enqueueMany":
    case "finishMany":
    case "progressMany":
      return inOneTurn(command, seen);
    case "enqueue":
      return enqueue(command, seen);
    case "claim":
      return claim(command, seen);
    case "put":
      return put(command, seen);
    case "complete":
    case "fail":
    case "progress":
    case "release":
    case "renew":
      return ownersCall(command, seen);
    case "withdraw": {
      const request = { id: command.id, nonce: nonceOf(command, seen), owner: command.client, lease: command.lease };
      return (store) => store.withdraw(request);
    }
    case "requeue": {
      const request = { id: command.id, nonce: nonceOf(command, seen) };
      return (store) => store.requeue(request);
    }
    case "remove":
    case "dead":
    case "counts":
    case "ring":
      return keepersCall(command, seen);
    default:
      return clientsCall(command, seen);
  }
}

function keepersCall(command: Of<"remove" | "dead" | "counts" | "ring">, seen: Seen): Call {
  switch (command.verb) {
    case "remove": {
      const nonce = command.nonce < 0 ? undefined : seen.nonces.at(-command.nonce);
      const request = { id: command.id, name: command.name, ...(nonce ? { nonce } : {}) };
      return (store) => store.remove(request);
    }
    case "dead": {
      const { name, verb: _, ...page } = command;
      return (store) => store.dead(name, page);
    }
    case "counts":
      return (store) => store.counts(command.name);
    case "ring":
      return (store) => store.ring(command.name);
  }
}

/** Zero makes a new nonce. */
function nonceOf({ client, nonce }: { client: string; nonce: number }, seen: Seen): string {
  const used = seen.nonces.at(-nonce);
  if (nonce > 0 && used !== undefined) return used;
  const made = client + String(++seen.counter).padStart(8, "0");
  seen.nonces.push(made);
  return made;
}

/** Opens what hears, lets it hear once, closes it. */
function opening(command: Of<"openInbox" | "openControl" | "openBell">, hasToken: (name: string) => boolean): Call {
  switch (command.verb) {
    case "openInbox":
      return async (store) => {
        let hear = (_: readonly string[]) => {};
        const heard = new Promise<readonly string[]>((resolve) => hear = resolve);
        const inbox = await store.openInbox(command.client, (ids) => hear(ids), () => {});
        await store.pingInbox(command.client);
        const ids = await heard;
        inbox.close();
        return ids;
      };
    case "openControl":
      return async (store) => (await store.openControl(command.listener, () => {}, () => {})).close();
    case "openBell": {
      const rings = command.names.some(hasToken);
      return async (store) => {
        const bell = await store.openBell();
        const waiting = bell.wait(command.names, 60_000);
        if (!rings) await bell.cancel();
        const name = await waiting.finally(() => bell.close());
        return name;
      };
    }
  }
}

/** Calls of one verb, made in one turn; each has an answer of its own, or an error. */
function inOneTurn(command: Of<"enqueueMany" | "finishMany" | "progressMany">, seen: Seen): Call | null {
  const calls = command.items.map((item) => {
    if (command.verb === "enqueueMany") {
      return enqueue({ verb: "enqueue", ...item as Of<"enqueueMany">["items"][0] }, seen);
    }
    if (command.verb === "progressMany") return ownersCall({ verb: "progress", ...item }, seen);
    const { own, state, retryIn } = item as Of<"finishMany">["items"][0];
    if (state === "succeeded") return ownersCall({ verb: "complete", own }, seen);
    return ownersCall({ verb: "fail", own, state: state as "failed", retryIn }, seen);
  }).filter((call) => call !== null);
  if (calls.length === 0) return null;
  const nameOf = ({ name }: Error) => ({ error: name });
  return (store) => Promise.all(calls.map((call) => call(store).catch(nameOf)));
}

function enqueue(command: Of<"enqueue">, seen: Seen): Call {
  const { verb: _, client, nonce: __, own, kind, ifExists, ...rest } = command;
  const request = {
    ...rest,
    kind: kind as "asked" | "enqueued",
    ifExists: ifExists as "join" | "replace" | "reject",
    nonce: nonceOf(command, seen),
    maxAttempts: 3,
    options: "",
    params: "json=1",
    ...(own > 0 ? { ownIfUnattended: { owner: client, lease: own } } : {}),
  };
  return (store) => store.enqueue(request);
}

function claim(command: Of<"claim">, seen: Seen): Call | null {
  const { listener, lease, back, free, names, presence } = command;
  const sequence = (seen.sequences.get(listener) ?? 0) - back;
  if (sequence < 1) return null;
  if (back < 0) seen.sequences.set(listener, sequence);
  const request = { listener, sequence, free, lease, names };
  const present = presence > 0 ? { presence: { names: NAMES, duration: presence } } : {};
  return (store) => store.claim({ ...request, ...present });
}

function put(command: Of<"put">, seen: Seen): Call {
  const { id, name, client, state, timeout, resultTtl } = command;
  const request: PutRequest = {
    id,
    name,
    nonce: nonceOf(command, seen),
    kind: state === "stored" ? "enqueued" : "local",
    state: state as PutRequest["state"],
    owner: client,
    timeout,
    resultTtl,
    options: "",
    params: "json=2",
    outcome: state === "succeeded" ? "\njson=3" : "",
  };
  return (store) => store.put(request);
}

function ownersCall(
  command: Of<"complete" | "fail" | "progress" | "release" | "renew">,
  seen: Seen,
): Call | null {
  const { owned } = seen;
  const task = owned.at(-1 - command.own % Math.max(1, owned.length));
  if (task === undefined) return null;
  switch (command.verb) {
    case "complete":
      return (store) => store.complete(task, `\njson=${task.fence}`);
    case "fail": {
      const { state, retryIn } = command;
      const failure = { state: state as "failed", outcome: "\n!{}", ...(retryIn < 0 ? {} : { retryIn }) };
      return (store) => store.fail(task, failure);
    }
    case "progress":
      return (store) => store.progress(task, `{"progress":[${owned.length},100,1]}\n`);
    case "release": {
      const tasks = group(task, command.count, owned);
      return (store) => store.release(command.twice ? [...tasks, task] : tasks, command.delay);
    }
    case "renew": {
      const { lease, presence, count } = command;
      const request: RenewRequest = { owner: task.owner, lease, tasks: group(task, count, owned) };
      const present = presence > 0 ? { presence: { names: NAMES, duration: presence } } : {};
      return (store) => store.renew({ ...request, ...present });
    }
  }
}

/** At most `count` different tasks of one owner, the given one first. */
function group(task: Ownership, count: number, owned: readonly Ownership[]): Ownership[] {
  const byId = new Map<string, Ownership>([[task.id, task]]);
  for (const other of owned.toReversed()) {
    if (other.owner === task.owner && !byId.has(other.id)) byId.set(other.id, other);
  }
  return [...byId.values()].slice(0, count);
}

function clientsCall(
  command: Of<"cancel" | "take" | "acknowledge" | "read" | "readHeader" | "isListened" | "markListened" | "leave">,
  seen: Seen,
): Call {
  switch (command.verb) {
    case "cancel": {
      const nonce = command.nonce < 0 ? undefined : seen.nonces.at(-command.nonce);
      const request = { id: command.id, unlessJoined: command.unlessJoined, ...(nonce ? { nonce } : {}) };
      return (store) => store.cancel(request);
    }
    case "take": {
      const request = reading(command, seen);
      return (store) => store.take(request);
    }
    case "acknowledge": {
      const request = reading(command, seen);
      return (store) => store.acknowledge(request);
    }
    case "read":
      return (store) => store.read(command.id);
    case "readHeader":
      return async (store) => headerOf(await store.readHeader(command.id));
    case "isListened":
      return (store) => store.isListened(command.name);
    case "markListened":
      return (store) => store.markListened([command.name], command.listener, command.duration);
    case "leave":
      return (store) => store.leave(command.listener, NAMES);
  }
}

function reading({ id, client, nonce }: Of<"take" | "acknowledge">, seen: Seen): TakeRequest {
  const run = nonce < 0 ? undefined : seen.nonces.at(-nonce);
  return { id, reader: client, ...(run === undefined ? {} : { nonce: run }) };
}

/** Of a header only what every store has to answer: it may be part of a whole record. */
function headerOf(header: Awaited<ReturnType<Store["readHeader"]>>): unknown {
  return header && { state: header.state, nonce: header.nonce, fence: header.fence, deadline: header.deadline };
}
