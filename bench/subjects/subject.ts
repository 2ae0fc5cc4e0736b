/**
 * The one shape in which every queue is measured. A task is a number here; ids, keys and clients are the driver's own.
 *
 * A driver is small and written by the library's documentation, at the best of its documented settings that keep what
 * the others keep too: acknowledged tasks, the results where the library stores any.
 *
 * @module
 */

/** What a worker does with a task: its number goes in, its result comes out. */
export type Work = (index: number) => string;

/** A queue that is being measured: connected, as producer and as worker. */
export interface Driver {
  /** The library and its client, with versions. */
  readonly versions: string;
  /** Hands in one task and resolves when it is accepted. */
  enqueue(index: number): Promise<unknown>;
  /** Hands in many in the library's way for bulk. */
  enqueueMany(from: number, count: number): Promise<unknown>;
  /** Hands in one task and resolves with its result; undefined when the library has no such thing. */
  ask?(index: number): Promise<unknown>;
  /** Asks what nobody answers, and gives up after so many milliseconds. */
  giveUp?(index: number, timeout: number): Promise<unknown>;
  /** Begins to do tasks; resolves as soon as it may. */
  work(workers: number, work: Work): Promise<void>;
  /** Ends the work that was begun, once what runs has ended. */
  stop?(): Promise<void>;
  /** How many wait, and how many have ended, as Redis says. */
  counts(): Promise<{ readonly waiting: number; readonly done: number }>;
  /** The stored result of a task; undefined when the library stores none. */
  result?(index: number): Promise<unknown>;
  /** Stops and disconnects. */
  close(): Promise<void>;
}

/** What a driver is opened for, as some libraries connect differently: to hand in, to work, to work for those who ask, to ask. */
export type Role = "produce" | "work" | "serve" | "ask";

/** Connects to the Redis at this port of the loopback address. */
export type Open = (port: number, role: Role) => Promise<Driver>;

/** Params of a task: 200 bytes of JSON. */
export interface Params {
  readonly index: string;
  readonly text: string;
}

const TEXT = "x".repeat(200 - JSON.stringify({ index: "00000000", text: "" }).length);

/** The params of a task: 200 bytes of JSON, whatever its number. */
export function paramsOf(index: number): Params {
  return { index: String(index).padStart(8, "0"), text: TEXT };
}

/** The task's number, from its params. */
export function indexOf(params: Params): number {
  return Number(params.index);
}

/** What every task must give: made from its number, so that an answer to another question is noticed. */
export function resultOf(index: number): string {
  return `done ${index}`;
}

/** Imports a package of `bench/package.json`. No literal, as the project's own checks run where it is not installed. */
export async function load<T>(specifier: string): Promise<T> {
  return await import(specifier) as T;
}

/** The version of an installed package. */
export async function versionOf(specifier: string): Promise<string> {
  const { readFileSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  const folder = fileURLToPath(new URL(".", import.meta.url)).replace(/bench\/.*$/, "bench/");
  const manifest = readFileSync(`${folder}node_modules/${specifier}/package.json`, "utf8");
  return `${specifier} ${JSON.parse(manifest).version}`;
}
