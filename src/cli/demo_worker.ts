/**
 * The handlers of the demo: the module that its listener processes are started with (`errand listen demo_worker.ts`),
 * and that the demo itself uses where a policy says that a task runs here.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import process from "node:process";
import type { RedisTask } from "../task.ts";

/** Set in the listener processes of the demo: there a task says that it began, so that the demo knows whom to kill. */
export const DEMO_LISTENER = "ERRAND_DEMO_LISTENER";

/** Steps that take time: how many, and how long each, in milliseconds. */
export interface Steps {
  readonly steps: number;
  readonly stepMs: number;
}

/** Where a task was done. */
export interface Place {
  readonly pid: number;
  readonly attempt: number;
}

/** Does its steps and says after each how far it is. */
async function render(task: RedisTask<Steps>): Promise<Place> {
  if (process.env[DEMO_LISTENER]) console.log(`began ${task.id}`);
  for (let step = 1; step <= task.params.steps; step++) {
    await sleep(task.params.stepMs, undefined, { signal: task.signal });
    await task.update(step, task.params.steps);
  }
  return place(task);
}

/** Says where it was done. */
function whereami(task: RedisTask<unknown>): Place {
  return place(task);
}

/** Fails, as tasks do. */
function divide(task: RedisTask<{ readonly by: number }>): number {
  if (task.params.by === 0) throw new RangeError("Cannot divide by 0", { cause: new Error("params.by is 0") });
  return 1 / task.params.by;
}

function place(task: RedisTask): Place {
  return { pid: process.pid, attempt: task.attempt };
}

/** The handlers by name. */
const demoTasks: {
  readonly render: typeof render;
  readonly whereami: typeof whereami;
  readonly divide: typeof divide;
} = { render, whereami, divide };

export default demoTasks;
