/**
 * Virtual time: all that happens in a simulation is an event of this one queue.
 *
 * Events of one instant happen in the order in which they were made. Between two events the promises of the event loop
 * run dry (`run.ts`), so what one event sets off is over before the next.
 *
 * @module
 */

/** Something that will happen; `cancel` it by clearing `run`. */
export interface SimEvent {
  readonly at: number;
  readonly order: number;
  run: (() => void) | null;
}

/** A binary heap of events. */
export class Scheduler {
  /** Milliseconds since the simulation began. */
  now = 0;
  /** How many events have happened. */
  steps = 0;
  readonly #heap: SimEvent[] = [];
  #order = 0;

  /** Lets something happen at an instant, or now when that is past. */
  at(time: number, run: () => void): SimEvent {
    const event: SimEvent = { at: Math.max(time, this.now), order: this.#order++, run };
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return event;
  }

  /** Goes to the next event, at most to `end`, and lets it happen; false when there is none before it. */
  step(end: number): boolean {
    while (this.#heap.length > 0) {
      const first = this.#heap[0]!;
      if (first.run !== null && first.at > end) break;
      this.#take();
      if (first.run === null) continue;
      this.now = Math.max(this.now, first.at);
      this.steps++;
      first.run();
      return true;
    }
    return false;
  }

  #take(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink();
  }

  #rise(from: number): void {
    const heap = this.#heap;
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, heap[at]!)) return;
      [heap[parent], heap[at]] = [heap[at]!, heap[parent]!];
      at = parent;
    }
  }

  #sink(): void {
    const heap = this.#heap;
    for (let at = 0;;) {
      let least = 2 * at + 1;
      if (least >= heap.length) return;
      if (least + 1 < heap.length && isBefore(heap[least + 1]!, heap[least]!)) least++;
      if (isBefore(heap[at]!, heap[least]!)) return;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function isBefore(left: SimEvent, right: SimEvent): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order);
}
