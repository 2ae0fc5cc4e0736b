/**
 * Randomness as errand sees it, passed in so that a run can be repeated from a seed.
 *
 * @module
 */

/** The source of randomness. */
export interface Random {
  /** Twelve characters of `0-9a-f`, unique in practice: names one client or listener for its life. */
  id(): string;
  /** A number in [0, 1), for jitter. */
  unit(): number;
}

/** The randomness of the machine: `crypto.randomUUID` (48 random bits are kept) and `Math.random`. */
export const systemRandom: Random = {
  id: () => crypto.randomUUID().replaceAll("-", "").slice(20),
  unit: () => Math.random(),
};
