/**
 * The types that let `query` know what a name takes and gives.
 *
 * @module
 */
import type { RedisTask, TaskFns } from "./task.ts";

/**
 * The type of the function that does tasks of this name; `never` when nothing is known of it. That nothing is known of
 * any function is asked first, so that a queue of known functions can stand where any queue may.
 */
export type FnOf<Fns extends TaskFns, Name extends string> = [TaskFns] extends [Fns] ? never
  : Fns extends (...args: never) => unknown ? Fns
  : Name extends keyof Fns ? Fns[Name]
  : never;

/** What a task of this name takes; `unknown` for a name without a function. */
export type ParamsOf<Fns extends TaskFns, Name extends string> = [FnOf<Fns, Name>] extends [never] ? unknown
  : FnOf<Fns, Name> extends (task: RedisTask<infer Params>) => unknown ? ([Params] extends [never] ? unknown : Params)
  : unknown;

/** What a task of this name gives; `unknown` for a name without a function. */
export type ResultOf<Fns extends TaskFns, Name extends string> = [FnOf<Fns, Name>] extends [never] ? unknown
  : FnOf<Fns, Name> extends (...args: never) => infer Result ? Awaited<Result>
  : unknown;

/**
 * A member of this type makes the compiler compare two queues by what they have and not by their type arguments (it does
 * so for a mapped type that takes a modifier away): `RedisTaskQueue<typeof fns>` can stand where a `RedisTaskQueue` is asked for.
 */
export type ByShape<Fns extends TaskFns> = { -readonly [Name in keyof Fns]-?: Fns[Name] };
