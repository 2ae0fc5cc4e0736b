/**
 * Many alarms on one timer: nearly all of them are cancelled long before they ring.
 *
 * A heap by due time, in which what was cancelled stays until it comes up or outnumbers the rest. The timer is set for
 * the earliest alarm that ever was; when that one is gone by then, it is set again.
 *
 * Rejected: a timer each. Two of them cost a task that does nothing a tenth of its time, on Deno a fifth.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** The longest timer that is exact on every runtime. */
const TIMER_MAX = 2 ** 30;
/** A timer that was early by less than a clock can tell is not set again for the same instant. */
const WAIT_MIN = 0.001;
/** Cancelled alarms that are not worth a clean-up. */
const LITTER = 1_000;

/** One alarm, to cancel it by. */
export interface Alarm {
  /** Monotonic milliseconds. */
  readonly due: number;
  /** Null once it was cancelled or has rung. */
  ring: (() => void) | null;
}

/** The alarms on one clock. */
export class Alarms {
  readonly #clock: Clock;
  #heap: Alarm[] = [];
  #live = 0;
  #setFor = Infinity;
  #cancelTimer: (() => void) | null = null;

  /** Without a timer until an alarm is set. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Rings at `due`, monotonic milliseconds; keeps the process alive until then. `Infinity` never rings. */
  set(due: number, ring: () => void): Alarm {
    const alarm: Alarm = { due, ring };
    if (due === Infinity) return alarm;
    this.#live += 1;
    push(this.#heap, alarm);
    if (due < this.#setFor) this.#arm(due);
    return alarm;
  }

  /** Never rings, if it has not yet. */
  cancel(alarm: Alarm): void {
    if (alarm.ring === null || alarm.due === Infinity) return;
    alarm.ring = null;
    this.#live -= 1;
    if (this.#live === 0) this.#clear();
    else if (this.#heap.length > 2 * this.#live + LITTER) this.#tidy();
  }

  #clear(): void {
    this.#heap.length = 0;
    this.#setFor = Infinity;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #tidy(): void {
    this.#heap = this.#heap.filter(({ ring }) => ring !== null).sort((one, other) => one.due - other.due);
  }

  #arm(due: number): void {
    this.#cancelTimer?.();
    this.#setFor = due;
    const wait = Math.min(Math.max(WAIT_MIN, due - this.#clock.monotonic()), TIMER_MAX);
    this.#cancelTimer = this.#clock.after(wait, () => this.#tick());
  }

  #tick(): void {
    this.#cancelTimer = null;
    this.#setFor = Infinity;
    const now = this.#clock.monotonic();
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.ring !== null && first.due > now) break; // A timer may be early.
      pop(this.#heap);
      if (first.ring === null) continue;
      const { ring } = first;
      first.ring = null;
      this.#live -= 1;
      ring();
    }
    const next = this.#heap[0];
    if (next !== undefined && next.due < this.#setFor) this.#arm(next.due);
  }
}

const known = new WeakMap<Clock, Alarms>();

/** The alarms that all users of a clock share. */
export function alarmsOf(clock: Clock): Alarms {
  let alarms = known.get(clock);
  if (alarms === undefined) known.set(clock, alarms = new Alarms(clock));
  return alarms;
}

function push(heap: Alarm[], alarm: Alarm): void {
  let at = heap.length;
  heap.push(alarm);
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above]!.due <= alarm.due) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = alarm;
}

function pop(heap: Alarm[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1]!.due < heap[below]!.due) below += 1;
    if (heap[below]!.due >= last.due) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
}
