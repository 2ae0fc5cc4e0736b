/**
 * Enqueue: the join table of the protocol. What an id that is enqueued again finds decides what becomes of it.
 *
 * @module
 */
import { NO_FENCE, NO_OWNER, type TaskRecord } from "../../record.ts";
import type { TaskState } from "../../errors.ts";
import type { EnqueueAnswer, EnqueueRequest } from "../store.ts";
import { settle, trim } from "./memory_recovery.ts";
import { clientOf, isEnded, isLive, type Script } from "./memory_script.ts";

/** A new task (1) and two more dead hints than it adds. */
const TRIMMED = 3;

/** Enqueues one task, or answers what stands in its way. */
export function enqueue(script: Script, request: EnqueueRequest): EnqueueAnswer {
  const found = settle(script, script.record(request.id));
  if (found === null || found.state === "stored") return start(script, request, found);
  if (found.nonce === request.nonce) return again(script, request, found);
  if (!holds(found, request)) return start(script, request, found);
  if (request.ifExists === "replace") return replace(script, request, found);
  if (found.name !== request.name) return { verdict: "conflict", name: found.name };
  if (request.ifExists === "reject") return { verdict: "exists", state: found.state as TaskState };
  if (isEnded(found.state)) return { verdict: "ended", record: found };
  script.join(found, clientOf(request.nonce));
  return { verdict: "joined", state: found.state as TaskState, nonce: found.nonce };
}

/** Does the task found keep the new one from starting? Live or succeeded does, unless a reader has taken the result; `reject` respects any end of its own name. */
function holds(found: TaskRecord, request: EnqueueRequest): boolean {
  if (found.taken || found.state === "deleted") return false;
  if (isLive(found.state) || found.state === "succeeded") return true;
  return request.ifExists === "reject" && found.name === request.name;
}

/** The same call came twice: answer what it has become. */
function again(script: Script, request: EnqueueRequest, found: TaskRecord): EnqueueAnswer {
  if (found.state === "deleted") return { verdict: "deleted" };
  if (isEnded(found.state)) return { verdict: "ended", record: found };
  const own = request.ownIfUnattended;
  if (own && found.state === "running" && found.owner === own.owner) {
    script.lease(found, own.lease);
    return { verdict: "owned", record: found };
  }
  return { verdict: "accepted", state: found.state as TaskState };
}

/** The old run loses its owner, its places and its waiters; its fence is carried over, so that it only grows. */
function replace(script: Script, request: EnqueueRequest, found: TaskRecord): EnqueueAnswer {
  const answer = start(script, request, found);
  if (request.name !== found.name) script.removePlaces(found);
  if (found.state === "running") script.world.publish(script.keys.control(found.owner), [found.id]);
  return answer;
}

function start(script: Script, request: EnqueueRequest, found: TaskRecord | null): EnqueueAnswer {
  if (found && isLive(found.state)) script.tell(found);
  script.world.delete(script.keys.joined(request.id));
  const record = newRecord(script, request, found?.fence ?? NO_FENCE);
  if (request.delay > 0) return accepted(script.schedule(record, script.now + request.delay));
  const own = request.ownIfUnattended;
  if (own && !script.isListened(request.name)) {
    const fence = script.fenceAbove([record]);
    return { verdict: "owned", record: script.run(record, { ...own, fence }) };
  }
  trim(script, request.name, TRIMMED);
  const queued = script.queue(record, "tail");
  script.ring(request.name);
  return accepted(queued);
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
