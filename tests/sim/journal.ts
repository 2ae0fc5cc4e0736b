/**
 * What happened in a simulation: every run of every id as the server saw it, every start of a handler, every call of a
 * user. The invariants (`invariants.ts`) are asked at each change.
 *
 * @module
 */
import type { Keys } from "../../src/keys.ts";
import type { Reply } from "../../src/port/redis.ts";
import { type Head, headOf, isEnded, isLive } from "./head.ts";
import { AFTER_CALL, AFTER_CHANGE, type Change } from "./invariants.ts";
import type { Outage, SimProcess } from "./process.ts";
import type { Scheduler } from "./scheduler.ts";
import { enqueueRequests, leasedIn } from "./scripts.ts";
import type { SimWorld } from "./world.ts";

/** A script that is being run. */
export interface ServerCall {
  readonly name: string;
  readonly words: readonly string[];
  readonly process: SimProcess;
  /** Redis' time, epoch milliseconds. */
  readonly time: number;
  /** A copy of a call that its sender gave up: nobody hears its answer. */
  readonly isLate: boolean;
}

/** One run of an id: what became of one nonce. */
export interface RunLog {
  readonly id: string;
  readonly nonce: string;
  /** The verb of the user's call that made it. */
  verb: string;
  head: Head;
  grants: number;
  retries: number;
  releases: number;
  /** When its lease was written last, in simulated milliseconds. */
  leasedAt: number;
  /** The fence under which the late copy of an enqueue gave it to a client that never hears of it; empty = none. */
  unheardFence: string;
  /** Its place among those that entered the queue at its end; Infinity when it came back or was never there. */
  tail: number;
  /** Simulated milliseconds of its end; Infinity while it lives. */
  endedAt: number;
  /** Redis lost a state of it, or its places: what was promised for a Redis that keeps its data does not hold. */
  isTainted: boolean;
  isRobbed: boolean;
}

/** A call of a user. */
export interface OpLog {
  readonly number: number;
  readonly verb: string;
  readonly id: string;
  readonly process: SimProcess;
  /** Simulated milliseconds. */
  readonly at: number;
  /** The same by the monotonic clock of its process. */
  readonly from: number;
  /** Milliseconds that it may take. */
  readonly limit: number;
  /** The nonce that it waits for. */
  nonce: string;
  isSettled: boolean;
}

/** What was wrong. */
export interface Violation {
  readonly invariant: string;
  readonly message: string;
  readonly at: number;
}

const TOKENS = /v:[^;]*;/g;

/** The journal of one simulation. */
export class Journal {
  readonly keys: Keys;
  readonly runs = new Map<string, RunLog>();
  /** The present run of each id. */
  readonly present = new Map<string, RunLog>();
  readonly ops = new Map<number, OpLog>();
  readonly violations: Violation[] = [];
  /** Owner ids by fence and id. */
  readonly granted = new Map<string, string>();
  /** The highest fence ever granted of each id. */
  readonly fences = new Map<string, string>();
  /** Fences under which a handler was started, with the id. */
  readonly started = new Set<string>();
  /** Values of handlers that a script has stored. */
  readonly accepted = new Set<string>();
  /** Which process made a value. */
  readonly madeBy = new Map<string, SimProcess>();
  /** Of Redis itself. */
  readonly outages: Outage[] = [];
  readonly processes: SimProcess[] = [];
  /** Set once the server is there. */
  world!: SimWorld;
  /** The lease of all processes, in milliseconds. */
  readonly lease: number;
  readonly scheduler: Scheduler;
  #call: ServerCall | null = null;
  #tails = 0;
  #calls = 0;
  #grantedNow: RunLog[] = [];

  /** Nothing happened yet. */
  constructor(context: { readonly keys: Keys; readonly lease: number; readonly scheduler: Scheduler }) {
    this.keys = context.keys;
    this.lease = context.lease;
    this.scheduler = context.scheduler;
  }

  /** Something is wrong. */
  violate(invariant: string, message: string): void {
    this.violations.push({ invariant, message, at: this.scheduler.now });
  }

  /** A script begins. */
  begins(call: ServerCall): void {
    this.#call = call;
    this.#grantedNow = [];
  }

  /** A script has answered; null = it stopped half way. */
  ends(call: ServerCall, reply: Reply | null): void {
    this.#calls++;
    if (call.name === "enqueue" && reply !== null) this.#learnNonces(call, reply);
    for (const id of reply === null ? [] : leasedIn(call, reply)) {
      const run = this.present.get(id);
      if (run !== undefined) run.leasedAt = this.scheduler.now;
    }
    for (const [invariant, check] of Object.entries(AFTER_CALL)) {
      const wrong = check(this, call, this.#grantedNow);
      if (wrong) this.violate(invariant, `${wrong} (${call.name} of ${call.process.name})`);
    }
    this.#call = null;
  }

  /** What one item of the present script made of a record. */
  changed(id: string, before: string | null, after: string | null, isHalf: boolean = false): void {
    const head = headOf(after);
    const old = headOf(before);
    if (head === null || before === after) return;
    const known = this.runs.get(head.nonce);
    const run = known?.id === id ? known : this.#newRun(id, head);
    const isKnown = known === run;
    const change: Change = { id, before: old, after: head, run, isKnown, call: this.#call!, ...deltasOf(old, head) };
    this.#count(change);
    // A script that stopped half way has no order in which its tasks came.
    if (isHalf) run.tail = Infinity;
    run.head = head;
    this.present.set(id, run);
    for (const [invariant, check] of Object.entries(AFTER_CHANGE)) {
      const wrong = check(this, change);
      if (wrong) this.violate(invariant, `${id}: ${wrong} (${change.call.name} of ${change.call.process.name})`);
    }
    if (change.isGrant) this.#grant(change);
    // What ran in no queue may be stored late, over another end (`endIsFinal`): then readers get it.
    const isOver = old !== null && old.nonce === head.nonce && isEnded(old);
    if (!isEnded(head) || (isOver && head.kind !== "l")) return;
    if (!isOver) run.endedAt = this.scheduler.now;
    for (const [value] of head.outcome.matchAll(TOKENS)) this.accepted.add(value);
  }

  /** The server keeps its data no longer: what these runs were is not what they are. */
  taint(isHit: (run: RunLog) => boolean, how: "tainted" | "robbed"): void {
    for (const run of this.runs.values()) {
      if (!isHit(run)) continue;
      run.isTainted = true;
      if (how === "robbed") run.isRobbed = true;
    }
  }

  /** Redis was away, has forgotten something, or takes more time for over: leases may be lost and answers late. */
  noteOutage(kind: string, duration: number): void {
    this.outages.push({ from: this.scheduler.now - duration, to: this.scheduler.now + duration, kind });
  }

  /** Milliseconds of Redis' own outages between two instants. */
  outageBetween(from: number, to: number): number {
    let sum = 0;
    for (const outage of this.outages) sum += Math.max(0, Math.min(to, outage.to) - Math.max(from, outage.from));
    return sum;
  }

  /** The process that a client or listener id belongs to. */
  processOf(owner: string): SimProcess | undefined {
    return this.processes.find(({ ids }) => ids.includes(owner));
  }

  /** All present records, the true state of which is looked up. */
  *records(): Generator<{ readonly id: string; readonly head: Head; readonly run: RunLog }> {
    for (const [id, run] of this.present) {
      const head = headOf(this.world.get(this.keys.record(id), this.world.scriptTime));
      if (head !== null) yield { id, head, run: this.runs.get(head.nonce) ?? run };
    }
  }

  /** How many scripts have been run. */
  get calls(): number {
    return this.#calls;
  }

  #newRun(id: string, head: Head): RunLog {
    const number = /"n":(\d+)/.exec(head.body)?.[1];
    const run: RunLog = {
      ...{ id, nonce: head.nonce, head, verb: this.ops.get(Number(number))?.verb ?? this.#call?.name ?? "?" },
      ...{
        grants: 0,
        retries: 0,
        releases: 0,
        leasedAt: this.scheduler.now,
        unheardFence: "",
        tail: Infinity,
        endedAt: Infinity,
        isTainted: false,
        isRobbed: false,
      },
    };
    this.runs.set(head.nonce, run);
    return run;
  }

  #count({ run, before, after, isGrant, isRetry, isRelease, isSame }: Change): void {
    run.head = after;
    if (isGrant) run.grants++;
    if (isRetry) run.retries++;
    if (isRelease) run.releases++;
    const enters = after.state === "2" && (!isSame || before?.state === "1");
    if (enters) run.tail = this.#hasOlderHint(run) ? Infinity : this.#tails++;
    else if (isRelease || (isSame && before !== null && after.crashes > before.crashes)) run.tail = Infinity;
  }

  /** An earlier run of the same id may have left its hint, which counts again. */
  #hasOlderHint({ id, head }: RunLog): boolean {
    const hints = this.world.list(this.keys.queue(head.name));
    return hints.indexOf(id) !== hints.lastIndexOf(id);
  }

  #grant({ id, after, run, call }: Change): void {
    // A script that stops half way has no answer, and yet the lease is written.
    run.leasedAt = this.scheduler.now;
    if (call.isLate && call.name === "enqueue") run.unheardFence = after.fence;
    this.granted.set(`${id} ${Number(after.fence)}`, after.owner);
    this.fences.set(id, after.fence);
    this.#grantedNow.push(run);
  }

  #learnNonces({ words }: ServerCall, reply: Reply): void {
    for (const [at, { nonce, params }] of enqueueRequests(words).entries()) {
      const answer = (reply as Reply[])[at] as string[];
      const op = this.ops.get(Number(/"n":(\d+)/.exec(params)?.[1]));
      if (op !== undefined) op.nonce = answer[0] === "j" ? answer[2]! : answer[0] === "e" ? "" : nonce;
    }
  }
}

function deltasOf(before: Head | null, after: Head): Pick<Change, "isSame" | "isGrant" | "isRetry" | "isRelease"> {
  const isSame = before !== null && before.nonce === after.nonce;
  const isGrant = after.state === "3" && after.kind !== "l" && after.fence !== before?.fence;
  const waits = after.state === "1" || after.state === "2";
  const left = isSame && before.state === "3" && waits && after.crashes === before.crashes;
  const isRelease = left && after.attempt < before.attempt;
  return { isSame, isGrant, isRelease, isRetry: left && !isRelease };
}

/** Is a run of this kind alive? */
export function livesIn(run: RunLog): boolean {
  return isLive(run.head);
}
