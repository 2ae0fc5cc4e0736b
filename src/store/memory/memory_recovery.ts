/**
 * What time alone does to a task: its lease ends, its due time comes, its deadline passes.
 *
 * There is no daemon for it. Claim and renew call these, so whoever listens to a name also looks after it, and enqueue
 * looks at the head of its list.
 *
 * @module
 */
import { NO_OWNER, type TaskRecord } from "../../record.ts";
import { CRASHES_MAX, dueBy, type Script } from "./memory_script.ts";

/** A foreign task does not say how long its result is kept. */
const FOREIGN_RESULT_LIFE = 300_000;
/** How long a due task of a later version waits for a listener that can read it. */
const NEWER_WAIT = 5_000;
/** The nonce of a task whose producer has no client id. */
const FOREIGN_NONCE = "foreign     00000000";

/** Takes back the tasks of a name whose leases have ended. */
export function recover(script: Script, name: string): void {
  const leases = script.world.sorted(script.keys.lease(name));
  // From the last to the first, as each goes to the head of its queue.
  for (const id of dueBy(leases, script.now).reverse()) {
    const record = script.record(id);
    if (record?.state === "running" && record.name === name) takeBack(script, record);
    else drop(script, leases, id, name);
  }
}

/** One whose lease is over: the owner is cleared on every way out. */
function takeBack(script: Script, record: TaskRecord): TaskRecord {
  const lost = { ...record, owner: NO_OWNER, crashes: record.crashes + 1 };
  return isFirstLoss(script, lost) ? script.queue(lost, "head") : giveUpOrWait(script, lost);
}

/** Takes back one running task if its lease is over; the record as it is then. */
export function recoverOne(script: Script, record: TaskRecord): TaskRecord {
  const end = script.world.sorted(script.keys.lease(record.name)).get(record.id);
  if (record.state !== "running" || end === undefined || end > script.now) return record;
  return takeBack(script, record);
}

/** A task lost for the first time goes back to the head of its queue: most crashes are not its fault. */
function isFirstLoss(script: Script, lost: TaskRecord): boolean {
  return lost.crashes === 1 && !lost.cancelAsked && !script.isLate(lost);
}

/** One that is lost again may be what kills its listeners: it waits longer each time, and in the end is given up. */
function giveUpOrWait(script: Script, lost: TaskRecord): TaskRecord {
  if (lost.cancelAsked) return script.end(lost, "cancelled");
  if (script.isLate(lost)) return script.end(lost, "expired");
  if (lost.crashes > CRASHES_MAX) return script.end(lost, "failed", crashOutcome(lost));
  return script.schedule(lost, script.now + 1_000 * 2 ** (lost.crashes - 2));
}

/** The progress stays: it shows how far the task came before it was given up. */
function crashOutcome({ outcome, crashes }: TaskRecord): string {
  const progress = outcome.slice(0, Math.max(0, outcome.indexOf("\n")));
  const message = `Cannot finish the task: its listeners died ${crashes} times while they ran it`;
  return `${progress}\n!${JSON.stringify({ name: "TaskFailedError", message })}`;
}

/** Queues the scheduled tasks of a name whose time has come. */
export function promote(script: Script, name: string): void {
  const entries = script.world.sorted(script.keys.scheduled(name));
  for (const id of dueBy(entries, script.now)) {
    const record = script.record(id);
    if (record?.state !== "scheduled" || record.name !== name) drop(script, entries, id, name);
    else if (script.isLate(record)) script.endUnowned(record, "expired");
    else script.queue(record, "tail");
  }
}

/** An entry that no record agrees with. A later version's comes up again in a while: its listeners can read it. */
function drop(script: Script, entries: Map<string, number>, id: string, name: string): void {
  if (script.unreadable(id) === "newer") {
    entries.set(id, script.now + NEWER_WAIT);
  } else {
    script.setAside(id, name);
    entries.delete(id);
  }
}

/** The record behind a hint if it may start under this name; a late one expires on the way. */
export function startable(script: Script, id: string, name: string): TaskRecord | null {
  const record = script.record(id);
  if (record?.state !== "queued") return null;
  const named = record.name === "" ? adopt(script, record, name) : record;
  if (named.name !== name) return null;
  if (!script.isLate(named)) return named;
  script.endUnowned(named, "expired");
  return null;
}

/** A bare JSON task gets its header from the list that it stood in. */
function adopt(script: Script, record: TaskRecord, name: string): TaskRecord {
  return { ...record, name, since: script.now, resultTtl: FOREIGN_RESULT_LIFE, nonce: FOREIGN_NONCE };
}

/** Drops at most `steps` dead hints at the head of a list, so that a queue nobody serves does not grow by them. */
export function trim(script: Script, name: string, steps: number): void {
  const hints = script.world.list(script.keys.queue(name));
  const isAlive = (id: string) => script.unreadable(id) !== null || startable(script, id, name) !== null;
  const alive = hints.slice(0, steps).findIndex(isAlive);
  hints.splice(0, alive < 0 ? steps : alive);
}
