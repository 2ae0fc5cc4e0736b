/**
 * The calls of an owner: complete, fail, release, renew, progress, and withdraw, which makes one.
 *
 * Each names its fence and owner, and is answered with what the header says now. Only an owner whose fence still
 * stands changes anything; a zombie is told that its task is lost.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import type { TaskRecord } from "../../record.ts";
import type { Failure, OwnerAnswer, Ownership, RenewRequest, WithdrawAnswer, WithdrawRequest } from "../store.ts";
import { listen } from "./memory_claim.ts";
import { promote, recover } from "./memory_recovery.ts";
import type { Script } from "./memory_script.ts";

/** Does the owner's work on its running task, and answers with the state after it. */
function asOwner(script: Script, task: Ownership, change: (record: TaskRecord) => TaskRecord): OwnerAnswer {
  const record = script.record(task.id);
  if (record === null) return { verdict: "gone", state: null, cancelAsked: false };
  const { state, cancelAsked } = record;
  if (record.owner !== task.owner || record.fence !== task.fence) return { verdict: "lost", state, cancelAsked };
  if (state !== "running") return { verdict: "kept", state, cancelAsked };
  return { verdict: "accepted", state: change(record).state, cancelAsked };
}

/** Ends a running task as succeeded, also when its cancel was asked for: whoever comes first wins. */
export function complete(script: Script, task: Ownership, outcome: string): OwnerAnswer {
  return asOwner(script, task, (record) => script.end(record, "succeeded", outcome));
}

/** Ends a running task without success, or schedules its next attempt when there is time for one. */
export function fail(script: Script, task: Ownership, failure: Failure): OwnerAnswer {
  const { outcome, retryIn } = failure;
  return asOwner(script, task, (record) => {
    if (record.cancelAsked && failure.state === "failed") return script.end(record, "cancelled", outcome);
    if (retryIn === undefined) return script.end(record, failure.state, outcome);
    const due = script.now + Math.ceil(retryIn);
    if (record.deadline > 0 && due >= record.deadline) return script.end(record, failure.state, outcome);
    const scheduled = script.schedule({ ...record, outcome }, due);
    script.ring(record.name);
    return scheduled;
  });
}

/** Gives running tasks back to the heads of their queues, in the order given, or lets them wait for `delay` milliseconds. */
export function release(script: Script, tasks: readonly Ownership[], delay: number): OwnerAnswer[] {
  const backwards = [...tasks].reverse().map((task) =>
    asOwner(script, task, (record) => giveBack(script, record, Math.ceil(delay)))
  );
  return backwards.reverse();
}

function giveBack(script: Script, record: TaskRecord, delay: number): TaskRecord {
  if (record.cancelAsked) return script.end(record, "cancelled");
  if (script.isLate(record)) return script.end(record, "expired");
  const uncounted = { ...record, attempt: record.attempt - 1 };
  const due = Math.min(script.now + delay, record.deadline || Infinity);
  const given = delay > 0 ? script.schedule(uncounted, due) : script.queue(uncounted, "head");
  script.ring(record.name);
  return given;
}

/** Renews leases and presence, then looks after the same names. */
export function renew(script: Script, request: RenewRequest): OwnerAnswer[] {
  const { owner, lease, tasks, presence } = request;
  if (presence) listen(script, presence.names, owner, presence.duration);
  const answers = tasks.map((task) =>
    asOwner(script, task, (record) => {
      script.lease(record, lease);
      return record;
    })
  );
  for (const name of new Set([...tasks.map((task) => task.name), ...(presence?.names ?? [])])) {
    recover(script, name);
    promote(script, name);
    if (script.world.list(script.keys.queue(name)).length > 0) script.ring(name);
  }
  return answers;
}

/** Writes how far a running task is. */
export function progress(script: Script, task: Ownership, outcome: string): OwnerAnswer {
  return asOwner(script, task, (record) => script.rewrite({ ...record, outcome }));
}

/** A caller takes its waiting task to run it itself; again, it is answered the same and its lease is renewed. A run in no queue is not taken. */
export function withdraw(script: Script, request: WithdrawRequest): WithdrawAnswer {
  const { id, nonce, owner, lease } = request;
  const record = script.record(id);
  if (record === null) return { verdict: "refused", state: null };
  const refused: WithdrawAnswer = { verdict: "refused", state: record.state as TaskState };
  if (record.nonce !== nonce) return refused;
  if (record.state === "running" && record.owner === owner && record.kind !== "local") {
    script.lease(record, lease);
    return { verdict: "owned", record };
  }
  const isDue = record.state === "scheduled" && script.dueAt(record) <= script.now;
  if (record.state !== "queued" && !isDue) return refused;
  if (script.isLate(record)) {
    return { verdict: "refused", state: script.endUnowned(record, "expired").state as TaskState };
  }
  return { verdict: "owned", record: script.run(record, { owner, lease, fence: script.fenceAbove([record]) }) };
}
