/**
 * The append-only file of a server: what is in it, and how it loses its end.
 *
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Arguments of a redis-server that has written what it answers. With `everysec` it may answer up to two seconds before it
 * writes while a slow disk is synced, so that a kill -9 loses accepted writes (seen in 9 of 100 runs on a loaded machine).
 */
export const APPEND_ONLY: readonly string[] = ["--appendonly", "yes", "--appendfsync", "always"];

/** Where a server writes its commands, within its folder. */
export function aofPath(folder: string): string {
  const names = readdirSync(folder, { recursive: true }) as string[];
  const name = names.find((name) => name.endsWith(".incr.aof")) ?? names.find((name) => name.endsWith(".aof"));
  if (name === undefined) throw new Error(`${folder} holds no append-only file`);
  return join(folder, name);
}

/** Cuts so many bytes off the end of a stopped server's file. */
export function cutAof(folder: string, bytes: number): void {
  const path = aofPath(folder);
  const whole = readFileSync(path);
  writeFileSync(path, whole.subarray(0, Math.max(0, whole.length - bytes)));
}

/** The offsets at which a command begins, and the end of the file. */
export function boundariesOf(aof: Uint8Array): number[] {
  const found: number[] = [];
  const lineEnd = (from: number) => aof.indexOf(13, from);
  for (let at = 0; at < aof.length;) {
    found.push(at);
    let words = Number(text(aof, at + 1, lineEnd(at)));
    at = lineEnd(at) + 2;
    for (; words > 0; words--) at = lineEnd(at) + 2 + Number(text(aof, at + 1, lineEnd(at))) + 2;
  }
  return [...found, aof.length];
}

function text(bytes: Uint8Array, from: number, to: number): string {
  return new TextDecoder().decode(bytes.subarray(from, to));
}
