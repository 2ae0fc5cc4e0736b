/**
 * Enqueue: the join table of the protocol. What an id that is enqueued again finds decides what becomes of it.
 *
 * @module
 */
import { NO_FENCE, NO_OWNER, type TaskRecord } from "../../record.ts";
import type { TaskState } from "../../errors.ts";
import type { EnqueueAnswer, EnqueueRequest, IfExists } from "../store.ts";
import { recoverOne, trim } from "./memory_recovery.ts";
import { isEnded, isLive } from "./memory_record.ts";
import { clientOf, type Script } from "./memory_script.ts";

/** A new task (1) and two more dead hints than it adds. */
const TRIMMED = 3;
/** A bare JSON task has no name until a claim meets it. */
const HEADERLESS = "(a record without header)";

/** Enqueues one task, or answers what stands in its way. */
export function enqueue(script: Script, request: EnqueueRequest): EnqueueAnswer {
  if (script.unreadable(request.id) !== null) return overUnreadable(script, request);
  const found = recovered(script, request);
  if (found?.nonce === request.nonce && found.state !== "stored") return again(script, request, found);
  const isFreed = found === null || isFree(script, found, request.ifExists);
  if (isFreed || request.ifExists === "replace") return start(script, request, found);
  const state = found.state as TaskState;
  if (request.ifExists === "reject") return { verdict: "exists", state };
  if (found.name !== request.name) return { verdict: "conflict", name: found.name || HEADERLESS };
  if (state === "succeeded") return { verdict: "ended", record: found };
  if (request.kind === "asked") script.join(found, clientOf(request.nonce));
  return { verdict: "joined", state, nonce: found.nonce };
}

/** Over what is no record of this version only a replacement starts. */
function overUnreadable(script: Script, request: EnqueueRequest): EnqueueAnswer {
  if (request.ifExists === "reject") return { verdict: "exists", state: "queued" };
  if (request.ifExists !== "replace") return { verdict: "conflict", name: HEADERLESS };
  const answer = start(script, request, null);
  script.ended.dead(request.name).delete(request.id);
  return answer;
}

/** A running task whose lease is over is taken back here too: with no listener nobody else would. Its owner may still renew it. */
function recovered(script: Script, { id, nonce, ownIfUnattended }: EnqueueRequest): TaskRecord | null {
  const found = script.record(id);
  if (found === null || (found.nonce === nonce && found.owner === ownIfUnattended?.owner)) return found;
  return recoverOne(script, found);
}

/** May a new run start over the record found? Not over a live or succeeded one, unless a reader took it; `reject` respects any end. */
function isFree(script: Script, found: TaskRecord, ifExists: IfExists): boolean {
  const { state, kind } = found;
  if (state === "stored" || state === "deleted" || found.taken) return true;
  // Nobody renews or recovers a local run, so after its deadline nobody will end it either.
  if (isLive(state)) return script.isLate(found) && (state !== "running" || kind === "local");
  return state !== "succeeded" && ifExists === "join";
}

/** The same call came twice: answer what it has become. */
function again(script: Script, request: EnqueueRequest, found: TaskRecord): EnqueueAnswer {
  if (found.state === "deleted") return { verdict: "deleted" };
  if (isEnded(found.state)) return { verdict: "ended", record: found };
  const own = request.ownIfUnattended;
  if (own && found.state === "running" && found.owner === own.owner && found.kind !== "local") {
    script.lease(found, own.lease);
    return { verdict: "owned", record: found };
  }
  if (found.state === "queued") hintAgain(script, found);
  return { verdict: "accepted", state: found.state as TaskState };
}

/** A list may be lost with all its hints, when keys are evicted; then those who wait bring the hints of their tasks back. */
function hintAgain(script: Script, { id, name }: TaskRecord): void {
  const hints = script.world.list(script.keys.queue(name));
  if (hints.length > 0) return;
  hints.push(id);
  trim(script, name, TRIMMED);
  script.ring(name);
}

/** A new run: without owner, places and waiters of an old one, whose owner is told. The fence is carried over, so that it only grows. */
function start(script: Script, request: EnqueueRequest, found: TaskRecord | null): EnqueueAnswer {
  if (found && isLive(found.state)) script.tell(found);
  if (found?.state === "running") script.world.publish(script.keys.control(found.owner), [found.id]);
  script.world.delete(script.keys.joined(request.id));
  if (found && found.name !== request.name) script.removePlaces(found);
  if (found) script.ended.leaveDead(found);
  // What stands there without header may have been set aside once.
  if (found?.name === "" && found.state !== "deleted") script.ended.dead(request.name).delete(request.id);
  return enter(script, request, newRecord(script, request, found?.fence ?? NO_FENCE));
}

function enter(script: Script, request: EnqueueRequest, record: TaskRecord): EnqueueAnswer {
  const { name, delay, ownIfUnattended: own } = request;
  script.write(record);
  if (own && delay === 0 && !script.isListened(name)) {
    const fence = script.fenceAbove([record]);
    return { verdict: "owned", record: script.run(record, { ...own, fence }) };
  }
  const entered = delay > 0 ? script.schedule(record, script.now + delay) : script.queue(record, "tail");
  trim(script, name, TRIMMED);
  // A delayed task rings too: who sleeps has to learn when it is due.
  script.ring(name);
  return accepted(entered);
}

function accepted(record: TaskRecord): EnqueueAnswer {
  return { verdict: "accepted", state: record.state as TaskState };
}

function newRecord(script: Script, request: EnqueueRequest, fence: string): TaskRecord {
  return {
    id: request.id,
    name: request.name,
    options: request.options,
    params: request.params,
    outcome: "",
    state: "queued",
    cancelAsked: false,
    joined: false,
    taken: false,
    attempt: 0,
    crashes: 0,
    since: script.now,
    fence,
    owner: NO_OWNER,
    kind: request.kind,
    maxAttempts: request.maxAttempts,
    deadline: script.deadline(request.timeout),
    resultTtl: request.resultTtl,
    nonce: request.nonce,
  };
}
