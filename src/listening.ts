/**
 * A listener as its user holds it: a promise of its end that also tells whether it consumes.
 *
 * Previous: `queue.ts`. Next: `listener.ts`, `health.ts`.
 *
 * @module
 */
import { warnOfEviction } from "./eviction.ts";
import { Listener } from "./listener.ts";
import { checkDuration } from "./checks.ts";
import { checkHealth, type ListenOptions, listenSettings, type QueueSettings } from "./options.ts";
import type { RedisConnection } from "./store/open.ts";
import type { Store } from "./store/store.ts";
import { handlerFor } from "./task.ts";

/** Options of {@linkcode Listening.health}. */
export interface HealthOptions {
  /** How long to wait for the proof, in milliseconds. @default 5_000 */
  readonly timeout?: number;
}

/** What `listen` returns: resolves when the listener has stopped. */
export interface Listening extends Promise<void> {
  /** The listener's id: the owner of what it runs. Empty when it never ran. */
  readonly id: string;
  /**
   * Does it consume? True only when a claim begun after this call was answered, on the listener's own connections: one
   * that sleeps is woken for it; one without a free worker proves itself by renewing what it runs. False as long as
   * Redis cannot be reached or does not answer within `timeout`, and once the listener is to stop. Rejects for misuse only.
   *
   * @example For a liveness probe
   * ```ts
   * import { connect, RedisTaskQueue } from "@errand/errand";
   *
   * const queue = new RedisTaskQueue(await connect("memory:"), "app", { taskFn: () => "done" });
   * const listening = queue.listen("work");
   * console.log(await listening.health({ timeout: 2_000 })); // true
   * await queue.close();
   * ```
   */
  health(options?: HealthOptions): Promise<boolean>;
}

/** How long a proof of health is waited for, in milliseconds. */
const HEALTH_TIMEOUT = 5_000;

/** What a queue gives to its listeners. */
export interface ListeningContext {
  readonly redis: RedisConnection;
  readonly store: Store;
  readonly settings: QueueSettings;
  /** Stops the listener when the queue is closed, and gives it no grace. */
  readonly closing: AbortSignal;
  readonly hurry: AbortSignal;
}

/** Starts a listener. Misuse throws, here and now. */
export function startListening(names: readonly string[], options: ListenOptions, context: ListeningContext): Listening {
  const { store, settings, closing, hurry } = context;
  const { workers, grace } = listenSettings(options);
  const { attemptTimeout, interval, lease, log, events, clock, random, serializer, serializers, taskFn, backoff } =
    settings;
  const listener = new Listener({
    ...{
      store,
      names,
      hurry,
      workers,
      grace,
      interval,
      lease,
      clock,
      random,
      log,
      events,
      serializer,
      serializers,
      backoff,
    },
    handlerOf: (name) => handlerFor(taskFn, name),
    ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
  });
  const signal = AbortSignal.any([closing, ...options.signal ? [options.signal] : []]);
  void warnOfEviction(context.redis, { clock, random, log, signal });
  return asListening(listener.run(signal), {
    id: listener.id,
    health: async (options = {}) => {
      checkHealth(options);
      return await listener.health(checkDuration("timeout", options.timeout ?? HEALTH_TIMEOUT, { least: 1 }));
    },
  });
}

/** A listener that misuse kept from running. */
export function refusedListening(reason: unknown): Listening {
  return asListening(Promise.reject(reason), { id: "", health: () => Promise.resolve(false) });
}

function asListening(run: Promise<void>, handle: Pick<Listening, "id" | "health">): Listening {
  return Object.assign(run, handle);
}
