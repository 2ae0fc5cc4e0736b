/**
 * What tasks do in a simulation: good handlers and bad ones. What they return names their id, fence and start, so that
 * every answer can be traced back to the attempt that made it.
 *
 * @module
 */
import { sleep } from "../../src/clock.ts";
import { FatalTaskError } from "../../src/errors.ts";
import type { RedisTask } from "../../src/task.ts";
import type { SimNode, Simulation } from "./simulation.ts";

/** How a handler behaves; `deaf` looks at no signal, `hang` never settles, `flaky` fails in its first attempt. */
export type HandlerKind =
  | "ok"
  | "slow"
  | "throw"
  | "flaky"
  | "fatal"
  | "hang"
  | "deaf"
  | "progress"
  | "save"
  | "nested"
  | "huge";

/** All of them. */
export const HANDLER_KINDS: readonly HandlerKind[] = [
  ...["ok", "slow", "throw", "flaky", "fatal", "hang", "deaf", "progress", "save", "nested", "huge"] as const,
];

/** The params of every task. */
export interface SimParams {
  /** The user's call that made it. */
  readonly n: number;
  readonly kind: HandlerKind;
  /** How long it takes, in milliseconds. */
  readonly ms: number;
}

/** What handlers throw. */
export class SimError extends Error {
  override readonly name = "SimError";
}

/** Does one task in one process. */
export async function handle(sim: Simulation, node: SimNode, task: RedisTask<SimParams>): Promise<unknown> {
  const token = sim.handlerStarts(node, task);
  const { kind, ms } = task.params;
  const { clock } = node.process;
  switch (kind) {
    case "slow":
      await sleep(clock, ms, task.signal);
      task.signal.throwIfAborted();
      return token;
    case "throw":
      if (ms > 100) await sleep(clock, ms);
      throw new SimError(token);
    case "flaky":
      if (task.attempt <= 1) throw new SimError(token);
      return token;
    case "fatal":
      throw new FatalTaskError(token);
    case "hang":
      return await new Promise(() => {});
    case "deaf":
      await sleep(clock, ms * 8);
      return token;
    case "progress":
      for (let step = 1; step <= 3; step++) {
        await task.update(step, 3);
        await sleep(clock, ms / 3);
      }
      return token;
    case "save":
      await task.update(1, 2);
      (task as RedisTask).result = "half";
      await task.save();
      await sleep(clock, ms);
      return token;
    case "nested":
      await sleep(clock, 1);
      await sim.nested(node, task);
      return token;
    case "huge":
      return `${token}${"x".repeat(ms > 1_000 ? 2_000_000 : 100)}`;
    default:
      return token;
  }
}
