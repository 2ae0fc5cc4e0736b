/**
 * What users do in a simulation.
 *
 * @module
 */
import type { TaskExecutePolicy } from "../../src/policy.ts";
import type { RedisTaskQueue } from "../../src/queue.ts";
import type { SimParams } from "./handlers.ts";
import type { SimNode, Simulation } from "./simulation.ts";

/** One call to be made: which task, how long it may take, and the call itself. */
export interface UserCall {
  readonly id: string;
  /** Milliseconds within which it must settle. */
  readonly limit: number;
  /** It waits for the answer of a run, and for nothing else. */
  readonly waits?: boolean;
  run(queue: RedisTaskQueue): Promise<unknown>;
}

type Verb = (sim: Simulation, node: SimNode, params: SimParams) => UserCall;

/** A call that sends again while it is in doubt: half a minute, and the last try. */
const IN_DOUBT = 45_000;

function query(policy: TaskExecutePolicy, extra: Record<string, unknown> = {}): Verb {
  return (sim, _, params) => {
    const { id, name } = sim.task();
    const timeout = sim.rng.pick([200, 2_000, 10_000, 30_000]);
    const retries = sim.rng.chance(0.3) ? { maxAttempts: 3, backoff: sim.settings.backoff } : {};
    const options = { policy, timeout, ...retries, ...extra };
    const waits = policy === "remote" || policy === "auto";
    const limit = timeout + 1_000 + (extra.once ? 1_000 : 0);
    return { id, limit, waits, run: (queue) => queue.query(id, name, params, options) };
  };
}

function enqueue(extra: (sim: Simulation) => Record<string, unknown>): Verb {
  return (sim, _, params) => {
    const { id, name } = sim.task();
    const timeout = sim.rng.pick([Infinity, 1_500, 20_000]);
    const options = { timeout, backoff: sim.settings.backoff, ...extra(sim) };
    return { id, limit: IN_DOUBT, run: (queue) => queue.enqueue(id, name, params, options) };
  };
}

const TABLE: Readonly<Record<string, Verb>> = {
  "query auto": query("auto"),
  "query remote": query("remote"),
  "query remote-first": query("remote-first"),
  "query local": query("local"),
  "query local-first": query("local-first"),
  "query once": query("remote", { once: true }),
  "query signal": (sim, node, params) => {
    const { id, name } = sim.task();
    const policy = sim.rng.pick(["remote", "auto", "remote-first", "local-first"] as const);
    const controller = new AbortController();
    const { process } = node;
    process.clock.after(sim.rng.between(0, 3_000), () => controller.abort(new DOMException("enough", "AbortError")));
    const options = { policy, timeout: 10_000, signal: controller.signal };
    return { id, limit: 11_000, run: (queue) => queue.query(id, name, params, options) };
  },
  "enqueue": enqueue(() => ({})),
  "enqueue delay": enqueue((sim) => ({ delay: sim.rng.between(1, 1_400) })),
  "enqueue retry": enqueue(() => ({ maxAttempts: 3 })),
  "enqueue replace": enqueue(() => ({ ifExists: "replace" })),
  "enqueue reject": enqueue(() => ({ ifExists: "reject" })),
  "cancel": (sim) => {
    const { id } = sim.task();
    const timeout = sim.rng.pick([100, 2_000]);
    return { id, limit: timeout + 2 * IN_DOUBT, run: (queue) => queue.cancel(id, { timeout }) };
  },
  "getTask": (sim) => {
    const { id } = sim.task();
    return { id, limit: 15_000, run: async (queue) => (await queue.getTask(id))?.result };
  },
  "getTask once": (sim) => {
    const { id } = sim.task();
    return { id, limit: 2 * IN_DOUBT, run: async (queue) => (await queue.getTask(id, { once: true }))?.result };
  },
  "setTask": (sim, _, params) => {
    const { id, name } = sim.task();
    const run = async (queue: RedisTaskQueue) => {
      const task = queue.buildTask(id, name, params, { timeout: 20_000 });
      await queue.setTask(task);
      await task.save();
    };
    return { id, limit: 2 * IN_DOUBT, run };
  },
  "executeTaskRemotely": (sim, _, params) => {
    const { id, name } = sim.task();
    const run = (queue: RedisTaskQueue) =>
      queue.executeTaskRemotely(queue.buildTask(id, name, params), { timeout: 8_000 });
    return { id, limit: 9_000, waits: true, run };
  },
  "requeue": (sim) => {
    const { id } = sim.task();
    return { id, limit: IN_DOUBT, run: (queue) => queue.dead.requeue(id).then(() => undefined) };
  },
  "requeue all": (sim) => {
    const { id, name } = sim.task();
    return { id, limit: 20 * IN_DOUBT, run: (queue) => queue.dead.requeueAll(name).then(() => undefined) };
  },
  "delete": (sim) => {
    const { id } = sim.task();
    return { id, limit: 2 * IN_DOUBT, run: (queue) => queue.dead.remove(id).then(() => undefined) };
  },
  "look": (sim) => {
    const { id, name } = sim.task();
    const run = (queue: RedisTaskQueue) =>
      Promise.all([queue.hasTask(id), queue.counts(name), queue.dead.list(name)]).then(() => undefined);
    return { id, limit: IN_DOUBT, run };
  },
  "shutdown": (sim, node) => sim.shutdown(node),
  "health": (_, node) => ({
    id: "",
    limit: 4_000,
    run: async () => {
      for (const listening of node.listening) await listening.health({ timeout: 3_000 });
    },
  }),
};

/** All verbs. */
export const VERBS: readonly string[] = Object.keys(TABLE);

/** The call that a verb means now. */
export function callOf(verb: string, sim: Simulation, node: SimNode, params: SimParams): UserCall {
  return TABLE[verb]!(sim, node, params);
}
