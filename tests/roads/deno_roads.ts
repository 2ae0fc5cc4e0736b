/**
 * The roads of those who have Deno.
 *
 * @module
 */
/** Declares the tests. */
export function denoRoads(): void {}
