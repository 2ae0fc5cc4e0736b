/**
 * Queues and listeners of one test, in this process, each with a connection of its own, ended together.
 *
 * @module
 */
import type { LogEntry, QueueOptions, RedisPort, RedisTask } from "../../mod.ts";
import { RedisTaskQueue } from "../../mod.ts";
import { testConnect } from "./test_client.ts";

/** How a listener of a scene can be ended before the others. */
export interface SceneListener {
  readonly queue: RedisTaskQueue;
  /** Ends it; what runs is given back at once. */
  stop(): Promise<void>;
}

/** One test's clients. */
export class Scene {
  /** How often each task was started. */
  readonly starts = new Map<string, number>();
  /** The highest fence that each task was started with, in order of its starts. */
  readonly fences = new Map<string, number[]>();
  /** What all of them logged. */
  readonly log: LogEntry[] = [];
  readonly #prefix: string;
  readonly #options: QueueOptions;
  readonly #ends: (() => Promise<void>)[] = [];

  /** Short intervals and leases unless `options` say otherwise. */
  constructor(prefix: string, options: QueueOptions = {}) {
    this.#prefix = prefix;
    this.#options = { interval: 100, lease: 1_000, timeout: 20_000, log: (entry) => this.log.push(entry), ...options };
  }

  /** A client. */
  async open(url: string, options: QueueOptions = {}): Promise<RedisTaskQueue> {
    const redis = await testConnect(url);
    const queue = new RedisTaskQueue(redis, this.#prefix, { ...this.#options, ...options } as QueueOptions);
    this.#ends.push(async () => {
      await queue.close({ atOnce: true });
      redis.close();
    });
    return queue as RedisTaskQueue;
  }

  /** A listener of "work", which answers with the params after `before` has settled. */
  async listen(
    url: string,
    before: (task: RedisTask) => Promise<unknown> | void = () => {},
    options: QueueOptions & { readonly workers?: number } = {},
  ): Promise<SceneListener> {
    const { workers = 8, ...rest } = options;
    const work = async (task: RedisTask) => {
      this.starts.set(task.id, (this.starts.get(task.id) ?? 0) + 1);
      this.fences.set(task.id, [...this.fences.get(task.id) ?? [], task.fence ?? 0]);
      await before(task);
      return task.params;
    };
    const queue = await this.open(url, { ...rest, taskFn: { work } });
    const listening = queue.listen("work", { workers, grace: 0 });
    listening.catch((error) => this.log.push({ level: "error", message: "The listener ended", error }));
    return { queue, stop: () => queue.close({ atOnce: true }) };
  }

  /** The connection of a queue, for plain commands. */
  port(queue: RedisTaskQueue): RedisPort {
    return queue.redis as RedisPort;
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    await Promise.all(this.#ends.splice(0).map((end) => end()));
  }
}
