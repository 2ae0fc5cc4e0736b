/**
 * Claim: a listener takes what waits under its names, never more than it has free slots.
 *
 * A claim is known by its listener and sequence. The same sequence again is a replay (its answer was lost): it brings
 * the tasks that are still owned under its fence and renews their leases. A lower one is a late copy and does nothing.
 *
 * @module
 */
import type { TaskRecord } from "../../record.ts";
import type { ClaimAnswer, ClaimRequest } from "../store.ts";
import { promote, recover, startable } from "./memory_recovery.ts";
import { CLAIM_CHARACTERS, CLAIM_TASKS, firstScore, type Script, STEPS } from "./memory_script.ts";

/** How long the last claim of a listener is remembered: far longer than any answer can be in doubt. */
const REPLAY_LIFE = 3_600_000;
const NOTHING: ClaimAnswer = { tasks: [], more: [], nextIn: null };

/** The last claim of a listener, as it is kept for a replay. */
interface LastClaim {
  readonly sequence: number;
  readonly fence: string;
  readonly ids: readonly string[];
}

/** Claims, or answers a replay. */
export function claim(script: Script, request: ClaimRequest): ClaimAnswer {
  const last = readLast(script, request.listener);
  if (last && request.sequence < last.sequence) return NOTHING;
  if (request.presence) listen(script, request.presence.names, request.listener, request.presence.duration);
  if (last && request.sequence === last.sequence) return replay(script, request, last);
  for (const name of request.names) {
    recover(script, name);
    promote(script, name);
  }
  const found = collect(script, request);
  const fence = script.fenceAbove(found);
  const tasks = found.map((record) => script.run(record, { owner: request.listener, fence, lease: request.lease }));
  writeLast(script, request.listener, { sequence: request.sequence, fence, ids: tasks.map(({ id }) => id) });
  const waiting = request.names.filter((name) => isWaiting(script, name));
  if (tasks.length === request.free) waiting.forEach((name) => script.ring(name));
  return answer(script, request, tasks);
}

/** Says that a listener listens to the names for so long from now. */
export function listen(script: Script, names: readonly string[], listener: string, duration: number): void {
  for (const name of names) {
    const ends = script.world.sorted(script.keys.listen(name));
    for (const [other, end] of ends) if (end <= script.now) ends.delete(other);
    ends.set(listener, script.now + duration);
  }
}

/** Takes hints off the heads of the lists, name by name, until a bound is reached. Dead hints go on the way. */
function collect(script: Script, request: ClaimRequest): TaskRecord[] {
  const found: TaskRecord[] = [];
  const budget = { tasks: Math.min(request.free, CLAIM_TASKS), characters: CLAIM_CHARACTERS, steps: STEPS };
  const seen = new Set<string>();
  for (const name of request.names) {
    const hints = script.world.list(script.keys.queue(name));
    let taken = 0;
    while (taken < hints.length && budget.tasks > 0 && budget.characters > 0 && budget.steps > 0) {
      const id = hints[taken++]!;
      budget.steps--;
      const record = seen.has(id) ? null : startable(script, id, name);
      if (record === null) continue;
      seen.add(id);
      found.push(record);
      budget.tasks--;
      budget.characters -= record.params.length;
    }
    hints.splice(0, taken);
  }
  return found;
}

function replay(script: Script, request: ClaimRequest, last: LastClaim): ClaimAnswer {
  const owned = last.ids.map((id) => script.record(id)).filter((record) =>
    record?.state === "running" && record.owner === request.listener && record.fence === last.fence
  ) as TaskRecord[];
  for (const record of owned) script.lease(record, request.lease);
  return answer(script, request, owned);
}

function answer(script: Script, request: ClaimRequest, tasks: readonly TaskRecord[]): ClaimAnswer {
  return {
    tasks,
    more: tasks.length < request.free ? request.names.filter((name) => isWaiting(script, name)) : [],
    nextIn: nextIn(script, request.names),
  };
}

function isWaiting(script: Script, name: string): boolean {
  return script.world.list(script.keys.queue(name)).length > 0;
}

/** Until the next due task or end of a lease among the names. */
function nextIn(script: Script, names: readonly string[]): number | null {
  const next = names
    .flatMap((name) => [script.keys.scheduled(name), script.keys.lease(name)])
    .map((key) => firstScore(script.world.sorted(key)))
    .filter((score) => score !== null);
  return next.length === 0 ? null : Math.max(0, Math.min(...next) - script.now);
}

/** `<sequence> <fence>` and each id as ` <length>:<id>`: an id may contain any character. */
function writeLast(script: Script, listener: string, { sequence, fence, ids }: LastClaim): void {
  const text = [sequence, fence, ...ids.map((id) => `${id.length}:${id}`)].join(" ");
  script.world.set(script.keys.listener(listener), text, script.now + REPLAY_LIFE);
}

function readLast(script: Script, listener: string): LastClaim | null {
  const text = script.world.get(script.keys.listener(listener), script.now);
  if (text === null) return null;
  const [sequence, fence] = text.split(" ", 2);
  const ids: string[] = [];
  let at = sequence!.length + 1 + fence!.length + 1;
  while (at < text.length) {
    const colon = text.indexOf(":", at);
    const end = colon + 1 + Number(text.slice(at, colon));
    ids.push(text.slice(colon + 1, end));
    at = end + 1;
  }
  return { sequence: Number(sequence), fence: fence!, ids };
}
