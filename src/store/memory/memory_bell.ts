/**
 * The bell of a listener on the memory store: what `BLPOP` on a connection of its own is on a server.
 *
 * @module
 */
import type { Clock } from "../../clock.ts";
import type { Keys } from "../../keys.ts";
import type { Bell } from "../store.ts";
import type { MemoryRedis } from "./memory_redis.ts";

/** Waits for tokens in the world, one wait at a time. */
export class MemoryBell implements Bell {
  readonly #world: MemoryRedis;
  readonly #keys: Keys;
  readonly #clock: Clock;
  #closed = false;
  #stop: (() => void) | null = null;

  /** Makes the bell of one listener. */
  constructor(world: MemoryRedis, keys: Keys, clock: Clock) {
    this.#world = world;
    this.#keys = keys;
    this.#clock = clock;
  }

  /** Waits for a token on one of the names, at most `timeout` milliseconds; a second wait ends the first. */
  wait(names: readonly string[], timeout: number): Promise<string | null> {
    this.#stop?.();
    const bells = names.map((name) => this.#keys.bell(name));
    const nameOf = (bell: string | null) => bell === null ? null : names[bells.indexOf(bell)]!;
    if (this.#closed || this.#world.closed) return Promise.resolve(null);
    const token = this.#world.takeToken(bells, this.#clock.now());
    if (token !== null) return Promise.resolve(nameOf(token));
    return new Promise((resolve) => {
      const wake = (bell: string | null) => {
        cancelTimer();
        leave();
        this.#stop = null;
        resolve(nameOf(bell));
      };
      const leave = this.#world.awaitBell({ bells, wake });
      const cancelTimer = this.#clock.after(timeout, () => wake(null));
      this.#stop = () => wake(null);
    });
  }

  /** Ends a pending wait with null. */
  cancel(): Promise<void> {
    this.#stop?.();
    return Promise.resolve();
  }

  /** Ends a pending wait, and each later one at once. */
  close(): void {
    this.#closed = true;
    this.#stop?.();
  }
}
