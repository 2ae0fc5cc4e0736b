/**
 * A task as `errand get` prints it, also when it cannot be read in full: what no serializer here can read is shown as
 * the text that Redis holds, as that is what somebody who looks for the fault wants to see.
 *
 * @module
 */
import { systemClock } from "../clock.ts";
import { decodeOutcome } from "../outcome.ts";
import type { TaskRecord } from "../record.ts";
import { jsonSerializer } from "../serializer.ts";
import { taskOf } from "../submission.ts";
import type { RedisTask } from "../task.ts";

const CONTEXT = {
  codecs: { serializer: jsonSerializer, serializers: new Map([[jsonSerializer.name, jsonSerializer]]) },
  clock: systemClock,
  save: (): Promise<void> => Promise.resolve(),
};

/** A task as a plain object; `expiry` is null when it has no deadline. */
export function plainTask(task: RedisTask): Record<string, unknown> {
  return {
    id: task.id,
    name: task.name,
    state: task.state,
    params: task.params,
    result: task.result,
    error: task.error === undefined ? undefined : plainError(task.error),
    attempt: task.attempt,
    maxAttempts: task.maxAttempts,
    expiry: Number.isFinite(task.expiry) ? task.expiry : null,
    currentProgress: task.currentProgress,
    totalProgress: task.totalProgress,
    updateProgressTime: task.updateProgressTime,
  };
}

/** A record as {@linkcode plainTask} shows it, with the raw text of params or result that cannot be read. */
export function plainRecord(record: TaskRecord): Record<string, unknown> {
  const bare: TaskRecord = { ...record, kind: "enqueued", params: `${jsonSerializer.name}-`, outcome: "" };
  const ended = readable({ ...bare, outcome: record.outcome });
  const asked = readable({ ...record, outcome: "" });
  return {
    ...(ended ?? readable(bare)),
    ...(ended === undefined ? { result: rawResult(record), error: undefined } : {}),
    params: asked === undefined ? record.params : asked.params,
  };
}

/** JSON answers at once; what it cannot read throws here, or when its params are looked at. */
function readable(record: TaskRecord): Record<string, unknown> | undefined {
  try {
    return plainTask(taskOf(record, CONTEXT) as RedisTask);
  } catch {
    return undefined; // Why, the queue has said already.
  }
}

function rawResult({ outcome }: TaskRecord): string {
  try {
    return decodeOutcome(outcome).body;
  } catch {
    return outcome;
  }
}

function plainError(error: Error): Record<string, unknown> {
  return { name: error.name, message: error.message, stack: error.stack };
}
