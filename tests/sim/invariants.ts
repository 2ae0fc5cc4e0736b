/**
 * What must be true at every step, one named function each: I1 to I20 of the protocol's fault model.
 *
 * `AFTER_CHANGE` is asked when a script has written a record, `AFTER_CALL` when it has ended; `endings.ts` holds what
 * users see and what must be true when all is over. After a failover, a flush or an eviction the runs that Redis lost
 * are `isTainted`: the promises for a Redis that keeps its data do not hold for them, all others do.
 *
 * @module
 */
import { type Head, isEnded } from "./head.ts";
import type { Journal, RunLog, ServerCall } from "./journal.ts";
import { ownershipsIn } from "./scripts.ts";

/** What one script made of one record. */
export interface Change {
  readonly id: string;
  readonly before: Head | null;
  readonly after: Head;
  readonly run: RunLog;
  readonly call: ServerCall;
  /** The run was seen before. */
  readonly isKnown: boolean;
  /** The same run as before. */
  readonly isSame: boolean;
  /** An owner got it. */
  readonly isGrant: boolean;
  /** An attempt failed, and another follows. */
  readonly isRetry: boolean;
  /** It was given back, uncounted. */
  readonly isRelease: boolean;
}

/** What is wrong, or nothing. */
type Finding = string | undefined;

/** I1, I3: a queued record has its hint, a running one its lease, a scheduled one its due entry. */
function standsInItsPlace({ world, keys }: Journal, { id, after, run }: Change): Finding {
  if (run.isRobbed) return undefined;
  return placeless(world, keys, id, after);
}

function placeless(world: Journal["world"], keys: Journal["keys"], id: string, head: Head): Finding {
  const { state, name, kind } = head;
  if (state === "2" && !world.list(keys.queue(name)).includes(id)) return "it is queued and has no hint";
  if (state === "1" && !world.sorted(keys.scheduled(name)).has(id)) return "it is scheduled and has no due entry";
  if (state !== "3" || kind === "l" || world.sorted(keys.lease(name)).has(id)) return undefined;
  return "it is running and has no lease";
}

/** I4: nothing is written for an owner whose fence does not stand. */
function onlyOwnersWrite(_: Journal, { id, before, after, call, isSame }: Change): Finding {
  if (!isSame || !OWNERS_CALLS.has(call.name)) return undefined;
  if (before!.state !== "3") return `${call.name} was accepted in state ${before!.state}`;
  const named = ownershipsIn(call.name, call.words).filter((task) => task.id === id);
  if (named.some(({ owner, fence }) => owner === before!.owner && fence === before!.fence)) return undefined;
  return `${call.name} wrote state ${after.state} under fence ${named[0]?.fence}, which is not ${before!.fence}`;
}

const OWNERS_CALLS = new Set(["finish", "release", "progress"]);

/** I5: with each ownership the fence of an id grows, and it never falls. */
function fenceGrows(journal: Journal, { id, before, after, isGrant }: Change): Finding {
  if (before !== null && after.fence < before.fence && after.fence !== "0".repeat(16)) return "its fence fell";
  const highest = journal.fences.get(id) ?? "";
  return isGrant && after.fence <= highest ? `it was given away under ${after.fence} after ${highest}` : undefined;
}

/** I6: an end is final for its nonce. */
function endIsFinal(journal: Journal, change: Change): Finding {
  const { before, after, isSame, run } = change;
  // What runs in no queue may be stored late, over another end: its record is a courtesy.
  if (run.isTainted || after.kind === "l" || after.state === "8") return undefined;
  // What is only stored has not begun.
  if (!isSame && change.isKnown && after.state !== "0") {
    run.isTainted = isForgotten(journal, change);
    return run.isTainted ? undefined : `it was over, and came back in state ${after.state}`;
  }
  if (!isSame || !isEnded(before!)) return undefined;
  if (after.state !== before!.state) return `it ended ${before!.state} and is ${after.state}`;
  return after.outcome === before!.outcome ? undefined : "its outcome changed after its end";
}

/**
 * Where Redis can know a nonce no more: another run of the id took its place, and then a caller in doubt repeated its
 * call; or its record's life is over by Redis' clock, and not its caller's time: a machine slept, or a clock jumped.
 */
function isForgotten({ scheduler: { now }, outages }: Journal, { before, call }: Change): boolean {
  if (call.name !== "enqueue" && call.name !== "requeue") return false;
  if (before !== null) return call.process.outageBetween(now - 60_000, now) > 0;
  return [...call.process.outages, ...outages].some(({ kind }) => kind === "suspend" || kind === "redis clock");
}

/** I7: it starts at most 1 + lost leases + retries + releases times. */
function startsAreCounted(_: Journal, { after, run, isGrant }: Change): Finding {
  if (!isGrant || run.isTainted) return undefined;
  const allowed = 1 + after.crashes + run.retries + run.releases;
  return run.grants > allowed ? `it was given away ${run.grants} times, and ${allowed} are allowed` : undefined;
}

/** I9: a retry needs an attempt that is left; nothing outlives four lost leases. */
function attemptsAreBounded(_: Journal, { before, after, isRetry }: Change): Finding {
  if (after.crashes > 4) return `it lost ${after.crashes} leases`;
  if (!isRetry || before!.attempt < before!.maxAttempts) return undefined;
  return `attempt ${before!.attempt} of ${before!.maxAttempts} was followed by another`;
}

/** I10: what has ended or has a deadline expires, and not before its owner's lease. */
function lifeIsBounded({ world, keys, lease }: Journal, { id, after, call, isGrant }: Change): Finding {
  const expiresAt = world.expiresAt(keys.record(id), call.time);
  const isBounded = isEnded(after) || after.state === "8" || after.deadline > 0;
  if (typeof expiresAt !== "number") return isBounded ? `in state ${after.state} it never expires` : undefined;
  if (isGrant && expiresAt < call.time + 2 * lease) return "it expires before two leases are over";
  return expiresAt > call.time ? undefined : "it was written expired";
}

/** I11: nothing starts at its deadline or later. */
function startsInTime(_: Journal, { after, call, isGrant }: Change): Finding {
  if (!isGrant || after.deadline === 0 || after.deadline > call.time) return undefined;
  return `it was given away ${call.time - after.deadline} ms after its deadline`;
}

/** I13: what was cancelled while it waited never starts; a cancel is not forgotten on the way back to the queue. */
function cancelsCount(_: Journal, { before, after, isSame }: Change): Finding {
  if (!isSame || !before!.cancelAsked) return undefined;
  if (after.state === "8" || isEnded(before!)) return undefined;
  if (after.state === "5" || after.state === "1" || after.state === "2") {
    return `in spite of its cancel it is ${after.state}`;
  }
  return undefined;
}

/** I19: what was submitted is never rewritten. */
function paramsStay(_: Journal, { before, after, isSame }: Change): Finding {
  if (!isSame || after.state === "8" || after.kind === "l" || before!.state === "0") return undefined;
  return before!.body === after.body ? undefined : "its params changed";
}

/**
 * A live listener that can reach Redis loses no lease. This is what fails when answers are lost for good: tasks that
 * their owner does not know of wait for the end of their leases.
 *
 * One such loss is promised: where nobody listens, a late copy of an enqueue whose caller has long given up starts an
 * ended task anew and gives it to that caller's client, which knows nothing of it. The lease then gives it back.
 */
function leasesAreLostForAReason(journal: Journal, { before, after, isSame, run }: Change): Finding {
  if (!isSame || after.crashes <= before!.crashes || run.unheardFence === before!.fence) return undefined;
  const owner = journal.processOf(before!.owner);
  if (owner === undefined || owner.dead || owner.closedAt < Infinity) return undefined;
  const { lease } = journal;
  const [from, to] = [run.leasedAt - lease - 2_000, run.leasedAt + lease + 2_000];
  const outage = owner.outageBetween(from, to) + journal.outageBetween(from, to);
  return outage > lease / 5 ? undefined : `${owner.name} lives and lost its lease`;
}

/** Asked after each change of a record. */
export const AFTER_CHANGE: Readonly<Record<string, (journal: Journal, change: Change) => Finding>> = {
  "I1 I3 stands in its place": standsInItsPlace,
  "I4 only owners write": onlyOwnersWrite,
  "I5 the fence grows": fenceGrows,
  "I6 an end is final": endIsFinal,
  "I7 starts are counted": startsAreCounted,
  "I9 attempts are bounded": attemptsAreBounded,
  "I10 life is bounded": lifeIsBounded,
  "I11 starts in time": startsInTime,
  "I13 cancels count": cancelsCount,
  "I19 params stay": paramsStay,
  "leases are lost for a reason": leasesAreLostForAReason,
};

/** I16: first in, first out, of what a claim brings for the first time. */
function firstInFirstOut(journal: Journal, call: ServerCall, granted: readonly RunLog[]): Finding {
  if (call.name !== "claim") return undefined;
  for (const run of granted) {
    if (run.tail === Infinity || run.grants > 1 || run.isTainted) continue;
    for (const other of journal.present.values()) {
      const { head: { state, name }, tail, isRobbed, isTainted } = other;
      const isFirst = state === "2" && name === run.head.name && tail < run.tail && !isRobbed && !isTainted;
      if (isFirst) return `${run.id} was claimed before ${other.id}, which waited longer`;
    }
  }
  return undefined;
}

/** I18: a bell keeps four tokens at most. */
function bellsAreBounded({ world, keys }: Journal, call: ServerCall): Finding {
  for (const name of ["a", "b", "c"]) {
    const tokens = world.list(keys.bell(name), call.time).length;
    if (tokens > 4) return `the bell of ${name} has ${tokens} tokens`;
  }
  return undefined;
}

/** I1, I3 of all records, now and then. */
function allStandInTheirPlaces(journal: Journal): Finding {
  if (journal.calls % 64 !== 0) return undefined;
  for (const { id, head, run } of journal.records()) {
    const wrong = run.isRobbed ? undefined : placeless(journal.world, journal.keys, id, head);
    if (wrong) return `${id}: ${wrong}`;
  }
  return undefined;
}

/** Asked after each script. */
export const AFTER_CALL: Readonly<
  Record<string, (journal: Journal, call: ServerCall, granted: readonly RunLog[]) => Finding>
> = {
  "I16 first in, first out": firstInFirstOut,
  "I18 bells are bounded": bellsAreBounded,
  "I1 I3 all stand in their places": allStandInTheirPlaces,
};
