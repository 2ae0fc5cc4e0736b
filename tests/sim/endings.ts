/**
 * What users see, and what must be true when all is over: the invariants that a single script cannot show.
 *
 * @module
 */
import { isLive } from "./head.ts";
import type { OpLog } from "./journal.ts";
import type { Simulation } from "./simulation.ts";
import type { UserCall } from "./verbs.ts";

/** How a call ended. */
interface Outcome {
  readonly value?: unknown;
  readonly error?: unknown;
}

/** Errors that users may see; anything else is a mistake of ours. */
const KNOWN = new Set([
  ...["TaskTimeoutError", "TaskCancelledError", "TaskFailedError", "FatalTaskError", "TaskConflictError"],
  ...["TaskReplacedError", "ListenerStoppedError", "QueueFullError", "ConnectionLostError", "SimError", "AbortError"],
  ...["LeaseLostError", "RedisReplyError"],
]);
/** An answer is there so many milliseconds after the end of its run, where nothing went wrong. */
const PROMPT = 1_500;
/** Longer than anything may live. */
const ALL_LIVES = 41 * 86_400_000;

/** What a call's end must agree with. */
export function checkSettled(sim: Simulation, op: OpLog, call: UserCall, outcome: Outcome): void {
  settlesInTime(sim, op);
  readersAgree(sim, op, outcome.value);
  errorsAreKnown(sim, op, outcome.error);
  if (call.waits) answersArePrompt(sim, op);
}

/** I20: whoever waits is answered by its deadline; the time in which its process stood still does not count. */
function settlesInTime(
  { journal, scheduler }: Simulation,
  { process, from, at, limit, verb, id, number }: OpLog,
): void {
  const stood = process.outages.filter(({ kind }) => kind === "freeze" || kind === "suspend")
    .reduce((sum, outage) => sum + Math.max(0, Math.min(scheduler.now, outage.to) - Math.max(at, outage.from)), 0);
  const took = process.clock.monotonic() - from;
  if (took <= limit + stood + 1_000) return;
  journal.violate("I20 waiters settle", `call ${number}, ${verb} of ${id}, took ${took} ms and may take ${limit}`);
}

/** I8: what a reader gets was accepted by Redis, unless its own process made it. */
function readersAgree({ journal }: Simulation, { process, verb, id, number }: OpLog, value: unknown): void {
  if (typeof value !== "string" || !value.startsWith("v:")) return;
  const token = value.slice(0, value.indexOf(";") + 1);
  if (journal.madeBy.get(token) === process || journal.accepted.has(token)) return;
  journal.violate("I8 readers agree", `call ${number}, ${verb} of ${id}, got ${token}, which was never accepted`);
}

function errorsAreKnown({ journal }: Simulation, { verb, id, number, process }: OpLog, error: unknown): void {
  if (error === undefined) return;
  const isClosed = process.closedAt < Infinity && error instanceof TypeError;
  const isHuge = error instanceof RangeError && /MiB|bytes/.test(error.message);
  if (isClosed || isHuge || (error instanceof Error && KNOWN.has(error.name))) return;
  journal.violate(
    "errors are known",
    `call ${number}, ${verb} of ${id}: ${error instanceof Error ? error.stack : error}`,
  );
}

/** Messages and polls bring an answer at once where nothing has gone wrong between its process and Redis. */
function answersArePrompt({ journal, scheduler: { now } }: Simulation, op: OpLog): void {
  const run = journal.runs.get(op.nonce);
  if (run === undefined || run.endedAt === Infinity || run.isTainted || op.process.closedAt < Infinity) return;
  const from = Math.max(run.endedAt, op.at);
  if (now - from <= PROMPT) return;
  if (op.process.outageBetween(op.at - 1_000, now) + journal.outageBetween(op.at - 1_000, now) > 0) return;
  const took = Math.round(now - from);
  journal.violate(
    "answers are prompt",
    `call ${op.number}, ${op.verb} of ${op.id}, was answered ${took} ms after its end`,
  );
}

/** I12: with a live listener everything ends. True when nothing is left to wait for. */
export function allEnded({ journal }: Simulation): boolean {
  for (const op of journal.ops.values()) if (!op.isSettled) return false;
  for (const { head, isTainted } of journal.present.values()) {
    if (!isTainted && isLive(head) && head.kind !== "l") return false;
  }
  return leftRuns(journal).length === 0;
}

function leftRuns(journal: Simulation["journal"]): string[] {
  const left: string[] = [];
  for (const { id, head, run } of journal.records()) {
    if (isLive(head) && head.kind !== "l" && !run.isRobbed) left.push(`${id} is in state ${head.state}`);
  }
  return left;
}

/** What is wrong when everything has had its time. */
export function checkAllEnded({ journal }: Simulation): void {
  for (const { isSettled, number, verb, id } of journal.ops.values()) {
    if (!isSettled) journal.violate("I20 waiters settle", `call ${number}, ${verb} of ${id}, never settled`);
  }
  for (const run of leftRuns(journal)) journal.violate("I12 everything ends", run);
}

/** I17: when all has ended and all lives are over, nothing is left. */
export function checkNothingLeft({ journal, server, keys }: Simulation): void {
  const robbed = [...journal.runs.values()].filter(({ isRobbed }) => isRobbed);
  for (const key of Object.keys(server.world.dump(server.time + ALL_LIVES))) {
    if (robbed.some(({ id, head }) => key === keys.record(id) || key.endsWith(`|${head.name}`))) continue;
    journal.violate("I17 nothing is left", `${key} is there for ever`);
  }
}
