/**
 * Which models are searched, within which bounds, for which property; and the mutants with the property that must fail.
 *
 * @module
 */

/** One search. */
export interface Run {
  /** What the table calls it. */
  readonly name: string;
  /** The file, without `.pml`. */
  readonly model: string;
  /** The bounds, and the mutant when there is one. */
  readonly defines: Readonly<Record<string, number | true>>;
  /** `safety`, all assertions, or the name of an LTL formula, searched under weak fairness. */
  readonly property: string;
  /** The property that must fail: the assertion's name, or `cycle` for the formula. Absent: nothing may fail. */
  readonly fails?: string;
}

const LEASE = {
  TASKS: 1,
  LISTENERS: 2,
  CRASHES_MAX: 1,
  LOST: 1,
  KILLS: 1,
  STOPS: 1,
  HALVES: 0,
  RETRIES: 1,
  RELEASES: 0,
  RENEWALS: 1,
  WITHDRAWALS: 0,
  COPIES: 0,
  REPLACEMENTS: 0,
  CANCELS: 0,
  FAILOVERS: 0,
};
const TAKE = { LOST: 2, COPIES: 2, READS: 3 };
const BELL = { TASKS: 3, LISTENERS: 3, SLOTS: 1, HANGS: 2, LEAVES: 0, KILLS: 0, POLLS: 0 };

type Bounds = Run["defines"];

function lease(name: string, bounds: Bounds, ...properties: readonly string[]): Run[] {
  return properties.map((property) => ({ name, model: "lease", defines: { ...LEASE, ...bounds }, property }));
}

function mutant(of: Run, mutant: string, fails: string): Run {
  return { ...of, name: mutant, defines: { ...of.defines, [mutant]: true }, fails };
}

function leaseMutant(name: string, fails: string, bounds: Bounds = {}, property: string = "safety"): Run {
  return mutant(lease("", bounds, property)[0]!, name, fails);
}

const take: Run = { name: "once", model: "take", defines: TAKE, property: "safety" };
const bell: Run = { name: "bell", model: "bell", defines: BELL, property: "served" };
const bellLeave: Run = { ...bell, name: "bell, a stop", defines: { ...BELL, HANGS: 1, LEAVES: 1 } };
const bellKill: Run = { ...bell, name: "bell, a kill", defines: { ...BELL, HANGS: 1, KILLS: 1, POLLS: 1 } };

/** What holds: seconds. */
export const SMALL: readonly Run[] = [
  ...lease("lease", {}, "safety", "ends", "answers"),
  ...lease("lease, crash bound", { CRASHES_MAX: 2, STOPS: 2, LOST: 0 }, "safety"),
  ...lease("lease, release", { RELEASES: 1, RETRIES: 0 }, "safety", "ends"),
  ...lease("two tasks", { TASKS: 2, KILLS: 0, RETRIES: 0 }, "safety"),
  ...lease("two tasks, no fault", { TASKS: 2, KILLS: 0, STOPS: 0, LOST: 0, RETRIES: 0, RENEWALS: 0 }, "ends"),
  ...lease("half a script", { HALVES: 1 }, "safety"),
  ...lease("half a script, alone", { HALVES: 1, KILLS: 0, STOPS: 0 }, "ends"),
  ...lease("late copies", { COPIES: 1 }, "safety"),
  ...lease("replace", { REPLACEMENTS: 1 }, "safety"),
  ...lease("cancel", { CANCELS: 1 }, "safety"),
  ...lease("cancel, a stop", { CANCELS: 1, KILLS: 0 }, "ends", "answers"),
  ...lease("withdraw", { WITHDRAWALS: 1 }, "safety"),
  ...lease("withdraw, a stop", { WITHDRAWALS: 1, KILLS: 0, RETRIES: 0 }, "ends"),
  ...lease("failover", { FAILOVERS: 1, KILLS: 0 }, "safety"),
  ...lease("failover, alone", { FAILOVERS: 1, KILLS: 0, STOPS: 0, RETRIES: 0 }, "ends", "answers"),
  take,
  { ...take, property: "goes" },
  bell,
  bellLeave,
  bellKill,
  { ...bell, name: "bell, slots", defines: { ...BELL, TASKS: 4, LISTENERS: 2, SLOTS: 2, HANGS: 3 } },
];

/** What must not hold. The last two are limits of the product itself, kept here so that they stay known. */
export const MUTANTS: readonly Run[] = [
  leaseMutant("NO_FENCE", "fenceIsCurrent"),
  leaseMutant("NO_REPLAY", "lostForCause"),
  leaseMutant("POP", "queuedHasHint"),
  leaseMutant("KEEP_OWNER", "keptIsTrue", { CANCELS: 1 }),
  leaseMutant("NO_RECOVERY", "cycle", {}, "ends"),
  leaseMutant("NO_POLL", "cycle", {}, "answers"),
  leaseMutant("RECOVERY_IGNORES_CANCEL", "noStartAfterCancel", { CANCELS: 1 }),
  leaseMutant("RETURN_IGNORES_CANCEL", "noStartAfterCancel", { CANCELS: 1 }),
  leaseMutant("RECORD_FIRST", "queuedHasHint", { HALVES: 1 }),
  leaseMutant("OLD_PLACE_FIRST", "runningHasLease", { HALVES: 1 }),
  leaseMutant("NO_NONCE", "oneOutcome", { COPIES: 1 }),
  leaseMutant("FORGET_FENCE", "fenceGrows", { REPLACEMENTS: 1 }),
  mutant(take, "TAKE_WITHOUT_MARK", "oneReader"),
  mutant(take, "ACKNOWLEDGE_ANY_READER", "deletesItsOwn"),
  mutant(take, "ACKNOWLEDGE_ANY_RUN", "deletesItsOwn"),
  mutant(take, "NO_TOMBSTONE", "oneRun"),
  mutant(bell, "NO_RING_AGAIN", "cycle"),
  mutant(bellLeave, "NO_RING_AT_LEAVE", "cycle"),
  { ...bellKill, name: "no polls", defines: { ...bellKill.defines, POLLS: 0 }, fails: "cycle" },
  leaseMutant("ACROSS_RUNS", "oneOutcome", { REPLACEMENTS: 1 }),
  mutant(take, "ACROSS_RUNS", "oneRun"),
];

/** Larger bounds: minutes, and gigabytes. */
export const LARGE: readonly Run[] = [
  ...lease("lease", { LOST: 3, KILLS: 1, STOPS: 2, RETRIES: 2, CRASHES_MAX: 3, RELEASES: 1, RENEWALS: 2 }, "safety"),
  ...lease("lease, three listeners", { LISTENERS: 3, KILLS: 2, STOPS: 2, LOST: 2, CRASHES_MAX: 3 }, "safety"),
  ...lease("lease", { LOST: 2, STOPS: 2, CRASHES_MAX: 2, RELEASES: 1 }, "ends", "answers"),
  ...lease("two tasks", { TASKS: 2, LOST: 2, RETRIES: 1, STOPS: 2 }, "safety"),
  ...lease("two tasks", { TASKS: 2, STOPS: 0, RENEWALS: 0 }, "ends", "answers"),
  ...lease("half scripts", { HALVES: 2, STOPS: 2, RELEASES: 1, CANCELS: 1 }, "safety"),
  ...lease("late copies", { COPIES: 2, LOST: 2, RELEASES: 1, WITHDRAWALS: 1 }, "safety"),
  ...lease("cancel, replace", { CANCELS: 1, REPLACEMENTS: 1 }, "safety", "ends"),
  ...lease("withdraw, cancel", { WITHDRAWALS: 2, CANCELS: 1, RELEASES: 1 }, "safety"),
  ...lease("failover", { FAILOVERS: 1, STOPS: 2, LOST: 2, RELEASES: 1 }, "safety"),
  ...lease("failover, a kill", { FAILOVERS: 1 }, "ends", "answers"),
  { ...take, defines: { LOST: 4, COPIES: 4, READS: 5 } },
  { ...bell, name: "bell, large", defines: { ...BELL, TASKS: 5, LISTENERS: 4, HANGS: 2, LEAVES: 1 } },
];
