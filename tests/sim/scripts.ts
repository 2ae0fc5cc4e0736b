/**
 * What the simulated Redis does when a script is called: the words that the production wrappers wrote are read, the
 * memory store's verb does the work, and the answer is written as the Lua script writes it.
 *
 * So the whole Redis store is exercised (its words, its batches, its repetitions), all but the Lua itself, which
 * `tests/store/model_test.ts` holds to the memory store.
 *
 * @module
 */
import type { Reply } from "../../src/port/redis.ts";
import { encodeRecord, STATES, type TaskKind } from "../../src/record.ts";
import { claim, listen } from "../../src/store/memory/memory_claim.ts";
import { acknowledge, cancel, put, take } from "../../src/store/memory/memory_client.ts";
import { dead, remove, requeue } from "../../src/store/memory/memory_dead.ts";
import { enqueue } from "../../src/store/memory/memory_enqueue.ts";
import { complete, fail, progress, release, renew, withdraw } from "../../src/store/memory/memory_owner.ts";
import type { Script } from "../../src/store/memory/memory_script.ts";
import type {
  EnqueueAnswer,
  EnqueueRequest,
  Failure,
  IfExists,
  OwnerAnswer,
  Ownership,
  PutRequest,
} from "../../src/store/store.ts";
import type { Plant } from "./plants.ts";
import type { SimWorld } from "./world.ts";

/** One call of a script: the words after base and settings. */
export type ScriptHandler = (script: Script, words: readonly string[], plant: Plant | null) => Reply;

/** Items of one call are told one by one. */
function eachItem<Item>(script: Script, items: readonly Item[], work: (item: Item) => Reply): Reply[] {
  return items.map((item) => {
    const reply = work(item);
    (script.world as SimWorld).commit();
    return reply;
  });
}

/** Digit of a state in answers; `-` = there is no record. */
function digitOf(state: string | null): string {
  return state === null ? "-" : String(STATES.indexOf(state as (typeof STATES)[number]));
}

function ownerText({ verdict, state, cancelAsked }: OwnerAnswer): string {
  return verdict === "gone" ? "g--" : verdict[0] + digitOf(state) + (cancelAsked ? "1" : "0");
}

/** The words of a call in groups of so many. */
export function itemsOf(words: readonly string[], from: number, width: number): string[][] {
  const items: string[][] = [];
  for (let at = from; at < words.length; at += width) items.push(words.slice(at, at + width));
  return items;
}

/** Name, options and params out of what the store wrote (ASCII only, as all that a simulation writes). */
function bodyOf(text: string): { name: string; options: string; params: string } {
  const nameEnd = 15 + Number(text.slice(0, 3));
  const optionsEnd = nameEnd + Number(text.slice(3, 7));
  return { name: text.slice(15, nameEnd), options: text.slice(nameEnd, optionsEnd), params: text.slice(optionsEnd) };
}

const KINDS: Readonly<Record<string, TaskKind>> = { e: "enqueued", a: "asked", l: "local", f: "foreign" };
const IF_EXISTS: Readonly<Record<string, IfExists>> = { j: "join", r: "replace", x: "reject" };

/** The requests behind an enqueue: id; name; kind and attempts; timeout; life, nonce and body; what is unusual. */
export function enqueueRequests(words: readonly string[]): EnqueueRequest[] {
  return itemsOf(words, 0, 6).map((item) => {
    const [id, name, kind, timeout, rest, unusual] = item as [string, string, string, string, string, string];
    const { options, params } = bodyOf(rest.slice(30));
    const [ifExists = "j", delay = "0", lease = "0", owner = ""] = unusual === "" ? [] : unusual.split(",");
    return {
      ...{ id, name, nonce: rest.slice(10, 30), options, params, kind: KINDS[kind[0]!]! },
      ...{ ifExists: IF_EXISTS[ifExists]!, timeout: Number(timeout), delay: Number(delay) },
      ...{ resultTtl: Number(rest.slice(0, 10)), maxAttempts: Number(kind.slice(1)) },
      ...(owner === "" ? {} : { ownIfUnattended: { owner, lease: Number(lease) } }),
    };
  });
}

/** Which ownerships a call names; empty for one that names none. */
export function ownershipsIn(name: string, words: readonly string[]): Ownership[] {
  switch (name) {
    case "finish":
      return itemsOf(words, 0, 4).map(([id, of]) => ({
        ...{ id: id!, name: "", fence: of!.slice(0, 16), owner: of!.slice(16) },
      }));
    case "progress":
      return itemsOf(words, 0, 4).map(([id, owner, fence]) => ({ id: id!, name: "", owner: owner!, fence: fence! }));
    case "release":
      return itemsOf(words, 1, 4).map(([id, name, owner, fence]) => ({
        ...{ id: id!, name: name!, owner: owner!, fence: fence! },
      }));
    default:
      return [];
  }
}

/** The ids whose leases a call has written. */
export function leasedIn(
  { name, words }: { readonly name: string; readonly words: readonly string[] },
  reply: Reply,
): string[] {
  const answers = reply as Reply[];
  switch (name) {
    case "renew":
      return itemsOf(words, 4 + Number(words[3]), 3).filter((_, at) => String(answers[at])[0] === "a").map(([id]) =>
        id!
      );
    case "claim":
      return itemsOf(answers as string[], 3, 3).map(([id]) => id!);
    case "withdraw":
      return answers[0] === "o" ? [words[0]!] : [];
    case "enqueue":
      return itemsOf(words, 0, 6).filter((_, at) => (answers[at] as string[])[0] === "o").map(([id]) => id!);
    default:
      return [];
  }
}

function enqueueText(answer: EnqueueAnswer): Reply {
  switch (answer.verdict) {
    case "accepted":
      return ["a", digitOf(answer.state)];
    case "owned":
      return ["o", encodeRecord(answer.record)];
    case "joined":
      return ["j", digitOf(answer.state), answer.nonce];
    case "ended":
      return ["e", encodeRecord(answer.record)];
    case "conflict":
      return ["c", answer.name];
    case "exists":
      return ["x", digitOf(answer.state)];
    case "deleted":
      return ["d"];
  }
}

/** One item of an enqueue. Where a list was evicted, who asks again brings its hint back, as the Lua does. */
function enqueueOne(script: Script, request: EnqueueRequest): Reply {
  const answer = enqueue(script, request);
  if (answer.verdict !== "accepted" || answer.state !== "queued") return enqueueText(answer);
  const hints = script.world.list(script.keys.queue(request.name));
  if (hints.length === 0) {
    hints.push(request.id);
    script.ring(request.name);
  }
  return enqueueText(answer);
}

function finishCall(script: Script, words: readonly string[], plant: Plant | null): Reply {
  const owners = ownershipsIn("finish", words);
  return eachItem(script, [...itemsOf(words, 0, 4).entries()], ([at, [, , way, outcome]]) => {
    const task = plant?.ownerOf?.(script, owners[at]!) ?? owners[at]!;
    if (way![0] === "4") return ownerText(complete(script, task, outcome!));
    const failure: Failure = { state: STATES[Number(way![0])] as Failure["state"], outcome: outcome! };
    return ownerText(fail(script, task, way!.length === 1 ? failure : { ...failure, retryIn: Number(way!.slice(1)) }));
  });
}

function leaveCall(script: Script, [listener, ...names]: readonly string[]): Reply {
  for (const name of names) {
    script.world.sorted(script.keys.listen(name)).delete(listener!);
    if (script.world.list(script.keys.queue(name)).length > 0) script.ring(name);
  }
  script.world.delete(script.keys.listener(listener!));
  return 1;
}

function claimCall(script: Script, words: readonly string[]): Reply {
  const [listener, sequence, free, lease, duration, count] = words as string[];
  const first = 6 + Number(count);
  const presence = Number(duration) > 0 ? { names: words.slice(6, first), duration: Number(duration) } : undefined;
  const answer = claim(script, {
    ...{ listener: listener!, sequence: Number(sequence), free: Number(free), lease: Number(lease) },
    ...{ names: words.slice(first), ...(presence ? { presence } : {}) },
  });
  const tasks = answer.tasks.flatMap((record) => {
    const text = encodeRecord(record);
    return [record.id, text.slice(0, 52), text];
  });
  return [String(answer.nextIn ?? -1), [...answer.more], [...answer.aside], ...tasks];
}

function renewCall(script: Script, words: readonly string[]): Reply {
  const [owner, lease, duration, count] = words as [string, string, string, string];
  const first = 4 + Number(count);
  const presence = Number(duration) > 0 ? { names: words.slice(4, first), duration: Number(duration) } : undefined;
  const tasks = itemsOf(words, first, 3).map(([id, name, fence]) => ({ id: id!, name: name!, fence: fence!, owner }));
  return renew(script, { owner, lease: Number(lease), tasks, ...(presence ? { presence } : {}) }).map(ownerText);
}

function putCall(script: Script, words: readonly string[]): Reply {
  const [id, nonce, kind, state, owner, timeout, resultTtl, body, outcome] = words as string[];
  const request: PutRequest = {
    ...{
      id: id!,
      nonce: nonce!,
      kind: KINDS[kind!]!,
      state: STATES[Number(state)] as PutRequest["state"],
      owner: owner!,
    },
    ...{ timeout: Number(timeout), resultTtl: Number(resultTtl), outcome: outcome!, ...bodyOf(body!) },
  };
  const answer = put(script, request);
  return [answer.verdict[0]!, digitOf(answer.state)];
}

function cancelCall(script: Script, words: readonly string[]): Reply {
  const [id, nonce, unlessJoined] = words as [string, string, string];
  const answer = cancel(script, { id, unlessJoined: unlessJoined === "1", ...(nonce ? { nonce } : {}) });
  const letter = { cancelled: "c", asked: "a", ended: "e", joined: "j", unknown: "u" }[answer.verdict];
  return answer.verdict === "ended" ? [letter, digitOf(answer.state)] : [letter];
}

function takeCall(script: Script, words: readonly string[]): Reply {
  const [id, reader, nonce] = words as [string, string, string];
  const record = take(script, { id, reader, ...(nonce ? { nonce } : {}) });
  return record === null ? null : encodeRecord(record);
}

function withdrawCall(script: Script, words: readonly string[]): Reply {
  const [id, nonce, owner, lease] = words as [string, string, string, string];
  const answer = withdraw(script, { id, nonce, owner, lease: Number(lease) });
  return answer.verdict === "owned" ? ["o", encodeRecord(answer.record)] : ["r", digitOf(answer.state)];
}

function deadCall(script: Script, words: readonly string[]): Reply {
  const [name, offset, limit, newest] = words as [string, string, string, string];
  const page = dead(script, name, { offset: Number(offset), limit: Number(limit), newestFirst: newest === "1" });
  const entries = page.entries.flatMap((
    { id, diedAt, record, raw },
  ) => [id, String(diedAt), record ? "1" : "0", record ? encodeRecord(record) : raw!]);
  return [String(page.total), ...entries];
}

function changeText(answer: { verdict: string; state?: string | null }, letters: Record<string, string>): Reply {
  const letter = letters[answer.verdict]!;
  return answer.state === undefined ? [letter] : [letter, digitOf(answer.state)];
}

/** By the names of the scripts. */
export const HANDLERS: Readonly<Record<string, ScriptHandler>> = {
  enqueue: (script, words) => eachItem(script, enqueueRequests(words), (request) => enqueueOne(script, request)),
  claim: claimCall,
  finish: finishCall,
  renew: renewCall,
  progress: (script, words) =>
    ownershipsIn("progress", words).map((task, at) => ownerText(progress(script, task, words[4 * at + 3]!))),
  release: (script, words) => release(script, ownershipsIn("release", words), Number(words[0])).map(ownerText),
  withdraw: withdrawCall,
  cancel: cancelCall,
  put: putCall,
  take: takeCall,
  acknowledge: (script, [id, reader, nonce]) => {
    acknowledge(script, { id: id!, reader: reader!, ...(nonce ? { nonce } : {}) });
    return 1;
  },
  listened: (script, [name]) => Number(script.isListened(name!)),
  appear: (script, words) => (listen(script, words.slice(2), words[0]!, Number(words[1])), 1),
  leave: leaveCall,
  dead: deadCall,
  requeue: (script, [id, nonce]) =>
    changeText(requeue(script, { id: id!, nonce: nonce! }), { requeued: "q", kept: "k", refused: "r" }),
  remove: (script, [id, nonce, name]) =>
    changeText(remove(script, { id: id!, ...(nonce ? { nonce } : {}), ...(name ? { name } : {}) }), {
      ...{ removed: "d", kept: "k", refused: "r" },
    }),
  ring: (script, [name]) => (script.ring(name!), 1),
};
