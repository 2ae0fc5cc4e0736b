/**
 * Claim: a listener takes what waits under its names, never more than it has free slots.
 *
 * A claim is known by its listener and sequence. The same sequence again is a replay (its answer was lost): it brings
 * the tasks that are still owned under its fence and renews their leases. A lower one is a late copy and does nothing.
 *
 * @module
 */
import { byteLength, digits, NO_FENCE, type TaskRecord } from "../../record.ts";
import { withForeignDeadline } from "../foreign.ts";
import type { ClaimAnswer, ClaimRequest } from "../store.ts";
import { promote, recover, startable } from "./memory_recovery.ts";
import { CLAIM_CHARACTERS, CLAIM_TASKS, firstScore, type Script, STEPS } from "./memory_script.ts";

/** How long the last claim of a listener is remembered at least: longer than any answer can be in doubt. */
const REPLAY_LIFE_MIN = 60_000;
const COLON = 58;
const NOTHING: ClaimAnswer = { tasks: [], more: [], nextIn: null, aside: [] };

/** The last claim of a listener, as it is kept for a replay. */
interface LastClaim {
  readonly sequence: number;
  readonly fence: string;
  readonly ids: readonly string[];
}

/** Claims, or answers a replay. */
export function claim(script: Script, request: ClaimRequest): ClaimAnswer {
  const answer = claimOrReplay(script, request);
  return { ...answer, aside: script.aside, tasks: answer.tasks.map(withForeignDeadline) };
}

function claimOrReplay(script: Script, request: ClaimRequest): ClaimAnswer {
  const last = lastClaim(script, request.listener);
  if (request.presence) listen(script, request.presence.names, request.listener, request.presence.duration);
  if (last && request.sequence < last.sequence) return NOTHING;
  if (last && request.sequence === last.sequence) return replay(script, request, last);
  for (const name of request.names) {
    recover(script, name);
    promote(script, name);
  }
  const next = nextIn(script, request.names);
  const { found, left } = collect(script, request);
  const fence = found.length > 0 ? script.fenceAbove(found) : NO_FENCE;
  const tasks = found.map((record) => script.run(record, { owner: request.listener, fence, lease: request.lease }));
  remember(script, request, { sequence: request.sequence, fence, ids: tasks.map(({ id }) => id) });
  const waiting = left.filter((name) => script.world.list(script.keys.queue(name)).length > 0);
  if (tasks.length < request.free) return { ...NOTHING, tasks, more: waiting, nextIn: next };
  for (const name of waiting) script.ring(name);
  return { ...NOTHING, tasks, nextIn: next };
}

/** Says that a listener listens to the names for so long from now. */
export function listen(script: Script, names: readonly string[], listener: string, duration: number): void {
  for (const name of names) {
    const key = script.keys.listen(name);
    const ends = script.world.sorted(key);
    for (const [other, end] of ends) if (end <= script.now) ends.delete(other);
    ends.set(listener, script.now + duration);
    script.world.expire(key, Math.max(...ends.values()));
  }
}

/** What a claim may still take. */
interface Budget {
  tasks: number;
  characters: number;
  steps: number;
}

/**
 * Takes hints off the heads of the lists, name by name, until a bound is reached; `left` are the names where it was.
 * Dead hints go on the way, those of a later version to the tail.
 */
function collect(script: Script, request: ClaimRequest): { found: TaskRecord[]; left: string[] } {
  const budget = { tasks: Math.min(request.free, CLAIM_TASKS), characters: CLAIM_CHARACTERS, steps: STEPS };
  const seen = new Map<string, TaskRecord | null>();
  const left = request.names.filter((name) => gather(script, name, budget, seen));
  return { found: [...seen.values()].filter((record) => record !== null), left };
}

/** True when hints may be left that are worth another look at once. */
function gather(script: Script, name: string, budget: Budget, seen: Map<string, TaskRecord | null>): boolean {
  const hints = script.world.list(script.keys.queue(name));
  const isSpent = () => budget.tasks <= 0 || budget.characters <= 0 || budget.steps <= 0;
  const newer: string[] = [];
  let looked = 0;
  while (looked < hints.length && !isSpent()) {
    const id = hints[looked++]!;
    budget.steps--;
    script.setAside(id, name);
    if (seen.has(id)) continue;
    const record = startable(script, id, name);
    if (record !== null) {
      budget.tasks--;
      budget.characters -= record.params.length;
      seen.set(id, record);
    } else if (script.unreadable(id) === "newer") {
      newer.push(id);
      seen.set(id, null);
    }
  }
  hints.splice(0, looked);
  hints.push(...newer);
  return isSpent() && (newer.length === 0 || [...seen.values()].some((record) => record !== null));
}

function replay(script: Script, request: ClaimRequest, last: LastClaim): ClaimAnswer {
  const owned = last.ids.map((id) => script.record(id)).filter((record) =>
    record?.state === "running" && record.owner === request.listener && record.fence === last.fence
  ) as TaskRecord[];
  for (const record of owned) script.lease(record, request.lease);
  return { ...NOTHING, tasks: owned };
}

/** Until the next due task or end of a lease among the names; what this claim takes is left to its listener. */
function nextIn(script: Script, names: readonly string[]): number | null {
  const next = names
    .flatMap((name) => [script.keys.scheduled(name), script.keys.lease(name)])
    .map((key) => firstScore(script.world.sorted(key)))
    .filter((score) => score !== null);
  return next.length === 0 ? null : Math.max(0, Math.min(...next) - script.now);
}

/** Ten digits of sequence, sixteen of fence, then each id as `<bytes>:<id>`, since an id may contain any character. */
function remember(script: Script, request: ClaimRequest, { sequence, fence, ids }: LastClaim): void {
  const text = digits(sequence, 10) + fence + ids.map((id) => `${byteLength(id)}:${id}`).join("");
  const life = Math.max(REPLAY_LIFE_MIN, 2 * request.lease);
  script.world.set(script.keys.listener(request.listener), text, script.now + life);
}

function lastClaim(script: Script, listener: string): LastClaim | null {
  const text = script.world.get(script.keys.listener(listener), script.now);
  if (text === null) return null;
  const bytes = new TextEncoder().encode(text.slice(26));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const ids: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const colon = bytes.indexOf(COLON, at);
    const end = colon + 1 + Number(decoder.decode(bytes.subarray(at, colon)));
    ids.push(decoder.decode(bytes.subarray(colon + 1, end)));
    at = end;
  }
  return { sequence: Number(text.slice(0, 10)), fence: text.slice(10, 26), ids };
}
