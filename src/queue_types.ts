/**
 * The types that let `query` know what a name takes and gives.
 *
 * @module
 */
import type { RedisTask, TaskFns } from "./task.ts";

/** The function that does tasks of this name, as far as the types know. */
type FnOf<Fns, Name extends string> = Fns extends (...args: never) => unknown ? Fns
  : Name extends keyof Fns ? Fns[Name]
  : never;

/** A type that nothing is known of: `never` would refuse every value. */
type Known<Type> = [Type] extends [never] ? unknown : Type;

/** Nothing is known of the functions. Asked first, so that a queue of known functions can stand where any queue may. */
type IsAny<Fns> = [TaskFns] extends [Fns] ? true : false;

/** What a task of this name takes; `unknown` for a name without a function. */
export type ParamsOf<Fns extends TaskFns, Name extends string> = IsAny<Fns> extends true ? unknown : Known<
  FnOf<Fns, Name> extends (task: infer Task) => unknown ? (Task extends RedisTask<infer Params> ? Params : unknown)
    : unknown
>;

/** What a task of this name gives; `unknown` for a name without a function. */
export type ResultOf<Fns extends TaskFns, Name extends string> = IsAny<Fns> extends true ? unknown
  : [FnOf<Fns, Name>] extends [never] ? unknown
  : FnOf<Fns, Name> extends (...args: never) => infer Result ? Awaited<Result>
  : unknown;

/**
 * A member of this type makes the compiler compare two queues by what they have and not by their type arguments (it does
 * so for a mapped type that takes a modifier away): `RedisTaskQueue<typeof fns>` can stand where a `RedisTaskQueue` is asked for.
 */
export type ByShape<Fns extends TaskFns> = { -readonly [Name in keyof Fns]-?: Fns[Name] };
