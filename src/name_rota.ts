/**
 * Which names a claim looks at, and in which order: at most 32 (protocol rule 7).
 *
 * A listener of up to 32 names looks at all of them each time, beginning with another one each time, so that a full
 * queue does not starve its neighbours. One of more looks first at those that rang or had work left, then at a slice
 * that rotates.
 *
 * @module
 */

/** Names looked at in one claim. */
const LOOK_AT = 32;
/** Of these, room that the rotating slice always has. */
const SLICE = 8;

/** The names of one listener. */
export class NameRota {
  /** All of them. */
  readonly names: readonly string[];
  readonly #wanted = new Set<string>();
  #next = 0;

  /** Begins with the first name; names given twice count once. */
  constructor(names: Iterable<string>) {
    this.names = [...new Set(names)];
  }

  /** Look at this name soon: it rang, or had work left. */
  want(name: string): void {
    this.#wanted.add(name);
  }

  /** The names of the next claim. */
  next(): readonly string[] {
    const { names } = this;
    if (names.length <= LOOK_AT) {
      const first = this.#advance(1);
      this.#wanted.clear();
      return [...names.slice(first), ...names.slice(0, first)];
    }
    const chosen = new Set([...this.#wanted].slice(0, LOOK_AT - SLICE));
    for (const name of chosen) this.#wanted.delete(name);
    while (chosen.size < LOOK_AT) chosen.add(names[this.#advance(1)]!);
    return [...chosen];
  }

  /** The part of `interval` after which an idle listener claims again, so that it sees all names once per interval. */
  get share(): number {
    return this.names.length <= LOOK_AT ? 1 : SLICE / this.names.length;
  }

  #advance(steps: number): number {
    const at = this.#next;
    this.#next = (at + steps) % this.names.length;
    return at;
  }
}
