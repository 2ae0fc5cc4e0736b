/**
 * What goes into an attempt and what comes out of it: params from text, the result to text.
 *
 * Previous: `attempt.ts`. Next: `serializer.ts`.
 *
 * @module
 */
import { isLater, type NowOrLater } from "./now_or_later.ts";
import type { TaskRecord } from "./record.ts";
import { type Codecs, decodeValue, encodeValue, refuseLarge, type ValueContext } from "./serializer.ts";
import { readForeign } from "./store/foreign.ts";
import type { TaskFn } from "./task.ts";

/** The params of a claimed task, or a promise of them. Throws, or rejects with, `SerializationError`. */
export function readParams(record: TaskRecord, codecs: Codecs): unknown {
  if (record.kind === "foreign") return readForeign(record.params, `task ${record.id}`).params;
  return decodeValue(codecs, record.params, valueOf(record, "params"));
}

/** A handler that waits for its params first. When the task was stopped meanwhile, it never starts. */
export function whenReadable(params: Promise<unknown>, taskFn: TaskFn): TaskFn<unknown> {
  return async (task) => {
    task.params = await params;
    task.signal.throwIfAborted();
    return await (taskFn as TaskFn<unknown>)(task);
  };
}

/** A result as it is stored. Throws, or rejects with, `SerializationError`, and `RangeError` over the limit. */
export function resultBody(
  record: TaskRecord,
  codecs: Codecs & { readonly resultLimit?: number },
  value: unknown,
): NowOrLater<string> {
  const context = valueOf(record, "result");
  const body = encodeValue(codecs, value, context);
  return isLater(body) ? body.then((text) => bounded(text, context, codecs)) : bounded(body, context, codecs);
}

function bounded(body: string, context: ValueContext, { resultLimit }: { readonly resultLimit?: number }): string {
  refuseLarge(body, context, resultLimit);
  return body;
}

function valueOf({ id, name }: TaskRecord, part: ValueContext["part"]): ValueContext {
  return { id, name, part };
}
