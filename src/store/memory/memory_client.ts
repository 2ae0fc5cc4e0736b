/**
 * What clients do beside enqueue: cancel, put, take and acknowledge.
 *
 * @module
 */
import { NO_FENCE, type TaskRecord } from "../../record.ts";
import type { CancelAnswer, CancelRequest, PutAnswer, PutRequest, TakeRequest } from "../store.ts";
import { isEnded, isLive } from "./memory_record.ts";
import type { Script } from "./memory_script.ts";

/** Ends what waits; asks the owner of what runs. */
export function cancel(script: Script, request: CancelRequest): CancelAnswer {
  const record = script.record(request.id);
  // A bare JSON task has no header to say it in.
  if (record === null || record.state === "deleted" || record.name === "") return { verdict: "unknown" };
  if (request.nonce !== undefined && record.nonce !== request.nonce) return { verdict: "unknown" };
  if (isEnded(record.state)) return { verdict: "ended", state: record.state };
  if (request.unlessJoined && record.joined) return { verdict: "joined" };
  if (record.state !== "running") {
    script.endUnowned(record, "cancelled");
    return { verdict: "cancelled" };
  }
  script.rewrite({ ...record, cancelAsked: true });
  script.world.publish(script.keys.control(record.owner), [record.id]);
  return { verdict: "asked" };
}

/** Writes the record of a task that lives outside the queues, never over a live one of another run. */
export function put(script: Script, request: PutRequest): PutAnswer {
  const found = script.record(request.id);
  if (script.unreadable(request.id) !== null) return { verdict: "conflict", state: null };
  // Its reader stands in it already; and a dead letter is evidence, which is not rewritten.
  const isFixed = found !== null && (found.taken || script.ended.isDeadLetter(found));
  if (isFixed && found.nonce === request.nonce && found.state === request.state) {
    return { verdict: "written", state: found.state };
  }
  if (found && stands(found, request)) return { verdict: "conflict", state: found.state };
  const record = script.write(putRecord(script, request, found));
  if (found) script.ended.leaveDead(found);
  if (isEnded(record.state)) {
    script.ended.note(record);
    script.tell(record);
  }
  return { verdict: "written", state: record.state };
}

/** Does the record found have to stay? */
function stands(found: TaskRecord, request: PutRequest): boolean {
  if (found.nonce !== request.nonce) return isLive(found.state) || (isEnded(found.state) && request.kind !== "local");
  if (found.state === "deleted") return true;
  if (isEnded(found.state)) return found.state !== request.state;
  return isLive(found.state) && found.kind !== "local";
}

function putRecord(script: Script, request: PutRequest, found: TaskRecord | null): TaskRecord {
  const { id, name, nonce, kind, state, owner, resultTtl, options, params, outcome } = request;
  const same = found?.nonce === nonce;
  if (!same) script.world.delete(script.keys.joined(id));
  return {
    id,
    name,
    options,
    params,
    outcome,
    state,
    cancelAsked: same && found.cancelAsked,
    joined: same && found.joined,
    taken: false,
    attempt: state === "stored" ? 0 : 1,
    crashes: 0,
    since: script.now,
    fence: fenceOf(script, same, found),
    owner,
    kind,
    maxAttempts: 1,
    deadline: script.deadline(request.timeout),
    resultTtl,
    nonce,
  };
}

/** Another run gets another fence: the owner of the one before may be the same client, and late. */
function fenceOf(script: Script, same: boolean, found: TaskRecord | null): string {
  if (found === null) return NO_FENCE;
  return same ? found.fence : script.fenceAbove([found]);
}

/** Marks an ended record as taken by a reader, who stands in the place of the owner from then on. */
export function take(script: Script, { id, reader, nonce }: TakeRequest): TaskRecord | null {
  const record = script.record(id);
  if (record === null || record.state === "deleted") return null;
  if (nonce !== undefined && record.nonce !== nonce) return null;
  if (record.taken) return record.owner === reader ? record : null;
  if (!isEnded(record.state) || record.joined) return record;
  const taken = { ...record, taken: true, owner: reader };
  return script.ended.isDeadLetter(record) ? script.rewrite(taken) : script.write(taken);
}

/** Deletes what this reader took; a late copy spares what it has taken of another run since. */
export function acknowledge(script: Script, { id, reader, nonce }: TakeRequest): void {
  const record = script.record(id);
  if (!record?.taken || record.state === "deleted" || record.owner !== reader) return;
  if (nonce === undefined || record.nonce === nonce) script.bury(record);
}
