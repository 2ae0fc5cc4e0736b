/**
 * The one source of chance of a simulation: a seed gives the same numbers on every runtime.
 *
 * @module
 */

/** A small fast generator (sfc32 by Chris Doty-Humphrey): 32-bit integers only, so all runtimes agree. */
export class Rng {
  #a: number;
  #b: number;
  #c: number;
  #d = 1;

  /** `stream` tells apart the generators of one seed. */
  constructor(seed: number, stream: number = 0) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = stream >>> 0;
    for (let round = 0; round < 15; round++) this.#next();
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.#next() / 4_294_967_296;
  }

  /** A whole number from 0 to `count` - 1. */
  int(count: number): number {
    return Math.floor(this.unit() * count);
  }

  /** A number in [least, most). */
  between(least: number, most: number): number {
    return least + this.unit() * (most - least);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** One of a list that is not empty. */
  pick<Item>(items: readonly Item[]): Item {
    return items[this.int(items.length)]!;
  }

  /** Each item with this probability, at least one. */
  some<Item>(items: readonly Item[], probability: number): Item[] {
    const chosen = items.filter(() => this.chance(probability));
    return chosen.length > 0 ? chosen : [this.pick(items)];
  }

  /** So many characters of `0-9a-f`. */
  hex(length: number): string {
    let text = "";
    while (text.length < length) text += this.#next().toString(16).padStart(8, "0");
    return text.slice(0, length);
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#d) >>> 0;
    this.#d = (this.#d + 1) >>> 0;
    this.#a = (this.#b ^ (this.#b >>> 9)) >>> 0;
    this.#b = (this.#c + (this.#c << 3)) >>> 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) >>> 0;
    return sum;
  }
}
