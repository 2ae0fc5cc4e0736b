/**
 * Randomness from a seed: what a soak does, it does again with the same seed (what comes of it depends on the machine).
 *
 * @module
 */

/** Numbers in [0, 1) that follow from a seed. */
export class Dice {
  #state: number;

  /** `path`: more words that set this sequence apart from others of the same seed. */
  constructor(seed: number, ...path: readonly (string | number)[]) {
    this.#state = seed >>> 0;
    for (const word of path) this.#state = hash(`${this.#state}/${word}`);
  }

  /** The next one (mulberry32). */
  unit(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A number in [least, most). */
  between(least: number, most: number): number {
    return least + this.unit() * (most - least);
  }

  /** One of the items. */
  of<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.unit() * items.length)]!;
  }

  /** One of the keys, in proportion to their weights. */
  weighed<Key extends string>(weights: Readonly<Record<Key, number>>): Key {
    const entries = Object.entries(weights) as [Key, number][];
    let left = this.unit() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    return entries.find(([, weight]) => (left -= weight) < 0)?.[0] ?? entries.at(-1)![0];
  }
}

/** A 32-bit number of a text (FNV-1a). */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return value;
}
