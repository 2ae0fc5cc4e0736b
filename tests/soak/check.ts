/**
 * The checker of a soak: reads the journals and what is left in Redis, and nothing else.
 *
 * It holds each task to what is promised in README ("What is promised"). After a failover that lost its tail it allows
 * what the promise allows to the tasks that lived then, and to no others: they may be gone when nobody waited, and
 * what was lost with the tail may happen once more.
 *
 * @module
 */
import { type History, historyOf, type Of, type TaskHistory } from "./history.ts";
import type { Entry, StoredTask } from "./journal.ts";
import { type Mix, planOf, resultOf, type Work } from "./work.ts";

/** What is wrong, by kind. */
export type ViolationKind =
  | "lost"
  | "never ran"
  | "unanswered"
  | "wrong result"
  | "wrong outcome"
  | "two outcomes"
  | "changed after its end"
  | "repeated without cause"
  | "same fence twice"
  | "too early"
  | "refused, but ran"
  | "left over"
  | "growing"
  | "process";

/** One thing that is wrong. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly what: string;
}

/** Rules that depend on the system. */
export interface Rules {
  readonly mix: Mix;
  /** Lost leases after which a task has failed. */
  readonly crashesMax: number;
  /** Starts are told apart by fences, and whose result was stored is known. */
  readonly hasFences: boolean;
  /** Lost leases are counted, so starts can be explained. */
  readonly countsCrashes: boolean;
}

/** The rules of errand, as README tells them. */
export const ERRAND_RULES: Omit<Rules, "mix"> = { crashesMax: 4, hasFences: true, countsCrashes: true };

/** How long after a failover the last answers of the old primary may be written down, in milliseconds. */
const LATE = 1_000;
/** Clocks of one machine, read by two processes, in milliseconds. */
const ROUNDING = 5;

/** Holds each task of the journals to the promise. */
export function checkTasks(entries: readonly Entry[], rules: Rules): Violation[] {
  const history = historyOf(entries);
  return [...history.tasks.values()].flatMap((task) => {
    if (task.sent.length === 0) return [{ kind: "process", what: `${task.id}: nobody handed it in` } as const];
    const plan = planOf(task.id, rules.mix);
    const tails = tailsLost(task, history);
    return CHECKS.flatMap((check) => check({ task, plan, tails, rules, history }));
  });
}

/** What a check of one task is given. `tails`: failovers with loss in its life. */
interface Case {
  readonly task: TaskHistory;
  readonly plan: Work;
  readonly tails: number;
  readonly rules: Rules;
  readonly history: History;
}

const CHECKS: readonly ((given: Case) => Violation[])[] = [
  checkLost,
  checkRan,
  checkAnswered,
  checkResults,
  checkOutcome,
  checkErrors,
  checkCancels,
  checkAccepted,
  checkFinal,
  checkRepeats,
  checkFences,
  checkDelay,
  checkRefused,
];

function tailsLost({ sent, seen }: TaskHistory, { faults }: History): number {
  const [from, to] = [sent[0]!.at, seen[0]?.at ?? Infinity];
  const end = Math.max(to, seen[1]?.at ?? 0);
  return faults.filter(({ kind, since, until }) =>
    kind === "failover, tail lost" && from <= until + LATE && since - LATE <= end
  ).length;
}

/** What the first look saw. */
function stored({ seen }: TaskHistory): Of<"seen"> | undefined {
  return seen.find(({ look }) => look === 1);
}

/** An accepted task ends. One that ran was accepted, whatever its client heard. */
function checkLost({ task, tails }: Case): Violation[] {
  const isAccepted = task.acks.length > 0 || task.starts.length > 0;
  if (!isAccepted || stored(task) !== undefined || tails > 0) return [];
  return found("lost", task, `${task.acks.length} acks, ${task.starts.length} starts, and no end was ever stored`);
}

/** What succeeded or failed was started by somebody. */
function checkRan({ task }: Case): Violation[] {
  const end = stored(task);
  if (end === undefined || task.starts.length > 0 || end.outcome === "cancelled" || end.outcome === "expired") {
    return [];
  }
  return found(
    "never ran",
    task,
    `${end.outcome} (${end.value}) after ${end.crashes} lost leases, and nobody started it`,
  );
}

/** Who waits is answered, unless its process was killed; after a failover too. */
function checkAnswered({ task, plan, history }: Case): Violation[] {
  const [{ from }] = task.sent as [Of<"sent">];
  if (history.processes.get(from)?.isKilled) return [];
  const heard = task.acks.length + task.answers.length + task.errors.length;
  if (heard === 0) return found("unanswered", task, "its client lives and never heard of it");
  if (plan.kind === "hasty") return [];
  const silent = task.errors.filter(({ what }) => what === "silent");
  return silent.flatMap(({ error }) => found("unanswered", task, error));
}

function checkResults({ task, plan }: Case): Violation[] {
  const right = resultOf(task.id, plan);
  const given = task.answers.map(({ result }) => result);
  const kept = task.seen.filter(({ outcome, value }) => outcome === "succeeded" && value !== "").map(({ value }) =>
    value
  );
  const wrong = [...given, ...kept].filter((result) => result !== right);
  if (plan.kind === "doomed") wrong.push(...given);
  return wrong.flatMap((result) => found("wrong result", task, `${result} instead of ${right}`));
}

/** Each kind of task has outcomes that it may have. */
function checkOutcome({ task, plan, rules }: Case): Violation[] {
  const end = stored(task);
  if (end === undefined || isExpected(end, plan, rules)) return [];
  return found("wrong outcome", task, `${plan.kind} ${end.outcome} (${end.value}) after ${end.crashes} lost leases`);
}

function isExpected(end: StoredTask, { id, kind }: Work, { crashesMax }: Rules): boolean {
  switch (end.outcome) {
    case "succeeded":
      return kind !== "doomed";
    case "failed":
      return end.crashes >= crashesMax || (kind === "doomed" && end.value.includes(`planned: ${id}`));
    case "cancelled":
      return kind === "dropped";
    case "expired":
      return kind === "hasty";
  }
}

/** A client is told the truth: what failed for it did not succeed. */
function checkErrors({ task, tails }: Case): Violation[] {
  const end = stored(task);
  const told = task.errors.filter(({ what }) => what === "failed");
  return told.flatMap(({ error }) => {
    if (end !== undefined && (end.outcome !== "succeeded" || tails > 0)) return [];
    return found("wrong outcome", task, `its client was told "${error}", stored is ${end?.outcome ?? "nothing"}`);
  });
}

/** A cancel has one winner, which all see. */
function checkCancels({ task, tails }: Case): Violation[] {
  const end = stored(task);
  if (end === undefined || tails > 0) return [];
  return task.cancels.flatMap(({ became }) => {
    const isTrue = became === "cancelled"
      ? end.outcome === "cancelled"
      : became !== "completed" || end.outcome !== "cancelled";
    return isTrue ? [] : found("wrong outcome", task, `its cancel was told "${became}", stored is ${end.outcome}`);
  });
}

/** One outcome is accepted, and it is the one that is stored. */
function checkAccepted({ task, tails }: Case): Violation[] {
  const end = stored(task);
  const outcomes = task.accepted.map(({ outcome }) => outcome);
  if (outcomes.length > 1 + tails) return found("two outcomes", task, `accepted: ${outcomes.join(", ")}`);
  if (tails > 0 || end === undefined || outcomes.every((outcome) => outcome === end.outcome)) return [];
  return found("two outcomes", task, `accepted: ${outcomes.join(", ")}; stored: ${end.outcome}`);
}

function checkFinal({ task, tails }: Case): Violation[] {
  const [first, second] = [1, 2].map((look) => task.seen.find((entry) => entry.look === look));
  if (!first || !second || tails > 0) return [];
  const isSame = first.outcome === second.outcome && first.value === second.value && first.fence === second.fence;
  const [then, now] = [first, second].map(({ outcome, value, fence }) => `${outcome} ${value} @${fence}`);
  return isSame ? [] : found("changed after its end", task, `${then} became ${now}`);
}

/** A start more needs a lease lost, a failure with attempts left, or a release. */
function checkRepeats({ task, tails, rules }: Case): Violation[] {
  const end = stored(task);
  if (end === undefined || !rules.countsCrashes) return [];
  const repeats = task.starts.length - 1;
  const threw = countEnds(task, "threw");
  const released = countEnds(task, "released");
  // A tail that is lost takes a claim with it, and the end before.
  if (repeats <= end.crashes + threw + released + 2 * tails) return [];
  const causes = `${end.crashes} lost leases, ${threw} failures, ${released} releases`;
  return found("repeated without cause", task, `${repeats} times more, with ${causes}`);
}

function countEnds({ ends }: TaskHistory, how: Of<"end">["how"]): number {
  return ends.filter((end) => end.how === how).length;
}

/** A fence names one ownership, so it starts once. */
function checkFences({ task, rules }: Case): Violation[] {
  if (!rules.hasFences) return [];
  const fences = task.starts.map(({ fence }) => fence);
  const twice = fences.find((fence, at) => fences.indexOf(fence) !== at);
  return twice === undefined ? [] : found("same fence twice", task, `${twice}`);
}

function checkDelay({ task, plan }: Case): Violation[] {
  const [first] = task.starts;
  const early = first === undefined ? 0 : task.sent[0]!.at + plan.delay - first.at;
  return early > ROUNDING ? found("too early", task, `started ${early} ms before its delay was over`) : [];
}

/** "Nothing was stored" is so. */
function checkRefused({ task, plan }: Case): Violation[] {
  const isRefused = task.errors.length > 0 && task.errors.every(({ what }) => what === "refused");
  if (!isRefused || task.acks.length + task.answers.length > 0) return [];
  // Of two calls with one id the other may have been killed with its client: nobody knows.
  if (task.errors.length < (plan.twice ? 2 : 1)) return [];
  const ran = task.starts.length > 0 || stored(task) !== undefined;
  return ran ? found("refused, but ran", task, task.errors[0]!.error) : [];
}

function found(kind: ViolationKind, { id }: TaskHistory, what: string): Violation[] {
  return [{ kind, what: `${id}: ${what}` }];
}
