/**
 * Which names a claim looks at, and in which order: at most 32, and 128 once per interval (protocol rule 7).
 *
 * 1. A listener of up to 32 names looks at all of them each time, beginning with another one each time, so that a full
 *    queue does not starve its neighbours. One of more looks first at those that rang or had work left, then at a slice
 *    that rotates. Once per interval (up to three times for more than 128 names) both are 128 together: so all names are
 *    seen, and an idle listener costs a claim and a sleep, and not those of many small claims (a look at an idle name
 *    costs 6 to 9 µs).
 * 2. When Redis refuses a claim (a key of another type under one of its names, say), nothing tells which name it was:
 *    each becomes a suspect, and is looked at alone once.
 * 3. A name refused alone is set aside for a pause that grows with each refusal, then is looked at alone again. The
 *    first claim that works takes it back.
 *
 * @module
 */

/** Names looked at in one claim. */
const LOOK_AT = 32;
/** The same when the slice is due, which has to have seen all names within an interval. */
const LOOK_AT_DUE = 128;
/** Timers and Redis' own may be early by so many milliseconds. */
const EARLY = 10;
/** Of these, room that the rotating slice always has. */
const SLICE = 8;

/** A name that Redis refuses: how often in a row, and the monotonic milliseconds of the next look at it. */
interface Aside {
  readonly refusals: number;
  readonly until: number;
}

/** The names of one listener. */
export class NameRota {
  /** All of them. */
  readonly names: readonly string[];
  #active: readonly string[];
  readonly #wanted = new Set<string>();
  readonly #suspects = new Set<string>();
  readonly #aside = new Map<string, Aside>();
  #next = 0;
  readonly #interval: number;
  /** The monotonic milliseconds at which the slice is due. */
  #due = -Infinity;

  /** Begins with the first name; names given twice count once. `interval`: milliseconds within which all must be seen. */
  constructor(names: Iterable<string>, interval: number) {
    this.#interval = interval;
    this.names = [...new Set(names)];
    this.#active = this.names;
  }

  /** Those that are not set aside. */
  get active(): readonly string[] {
    return this.#active;
  }

  /** Look at this name soon: it rang, or had work left. */
  want(name: string): void {
    if (!this.#aside.has(name)) this.#wanted.add(name);
  }

  /** The names of the next claim, at monotonic milliseconds `now`; none while all are set aside. */
  next(now: number): readonly string[] {
    const alone = this.#alone(now);
    if (alone !== undefined) return [alone];
    const names = this.#active;
    const isDue = now >= this.#due - EARLY;
    if (isDue) this.#due = now + this.#interval / roundsOf(names.length);
    if (names.length <= LOOK_AT) {
      this.#wanted.clear();
      if (names.length === 0) return [];
      const first = this.#advance(1);
      return [...names.slice(first), ...names.slice(0, first)];
    }
    const most = Math.min(isDue ? LOOK_AT_DUE : LOOK_AT, names.length);
    const chosen = new Set([...this.#wanted].slice(0, LOOK_AT - SLICE));
    for (const name of chosen) this.#wanted.delete(name);
    while (chosen.size < most) chosen.add(names[this.#advance(1)]!);
    return [...chosen];
  }

  /** In how many milliseconds a listener claims again, though no name rang, so that it sees all names once per interval. */
  dueIn(now: number): number {
    return this.#active.length <= LOOK_AT ? this.#interval : this.#due - now;
  }

  /** Looks at each of these alone: a claim of all of them was refused. */
  suspect(names: Iterable<string>): void {
    for (const name of names) if (!this.#aside.has(name)) this.#suspects.add(name);
  }

  /** Whether these are one name that is looked at alone because of refusals. */
  isAlone(names: readonly string[]): boolean {
    const name = names[0];
    return names.length === 1 && name !== undefined && (this.#suspects.has(name) || this.#aside.has(name));
  }

  /** How often this name was refused in a row, when it is or was set aside. */
  refusals(name: string): number {
    return this.#aside.get(name)?.refusals ?? 0;
  }

  /** Sets a name aside that was refused alone, until monotonic milliseconds. */
  setAside(name: string, until: number): void {
    this.#suspects.delete(name);
    this.#wanted.delete(name);
    this.#aside.set(name, { refusals: this.refusals(name) + 1, until });
    this.#refresh();
  }

  /** A claim of these names worked: none of them is suspected; answers those that had been set aside. */
  takeBack(names: readonly string[]): readonly string[] {
    for (const name of names) this.#suspects.delete(name);
    const back = names.filter((name) => this.#aside.delete(name));
    if (back.length > 0) this.#refresh();
    return back;
  }

  /** The monotonic milliseconds at which the next name that is set aside is looked at again; Infinity for none. */
  get asideUntil(): number {
    let first = Infinity;
    for (const { until } of this.#aside.values()) first = Math.min(first, until);
    return first;
  }

  #alone(now: number): string | undefined {
    for (const name of this.#suspects) return name;
    for (const [name, { until }] of this.#aside) if (until <= now) return name;
    return undefined;
  }

  #refresh(): void {
    this.#active = this.names.filter((name) => !this.#aside.has(name));
    this.#next = 0;
    this.#due = -Infinity;
  }

  #advance(steps: number): number {
    const { length } = this.#active;
    const at = this.#next % length;
    this.#next = (at + steps) % length;
    return at;
  }
}

/** How many due slices see all names, though those that rang take room from each. */
function roundsOf(names: number): number {
  return names <= LOOK_AT_DUE ? 1 : Math.ceil(names / (LOOK_AT_DUE - (LOOK_AT - SLICE)));
}
