/**
 * The roads of those who have Bun.
 *
 * @module
 */
/** Declares the tests. */
export function bunRoads(): void {}
