/**
 * The bell on Redis: `BLPOP` of tokens on a connection of its own. A lost answer loses a token, never a task.
 *
 * @module
 */
import { ConnectionLostError } from "../../errors.ts";
import type { Keys } from "../../keys.ts";
import { elsewhereError, isElsewhere } from "../../port/cluster.ts";
import { type BlockingConnection, RedisReplyError } from "../../port/redis.ts";
import type { Bell } from "../store.ts";

/** How much later than its own time limit a blocking answer may come before the connection counts as dead. */
const SLACK = 2_000;

/** Wakes a listener when one of its names got work. */
export class RedisBell implements Bell {
  readonly #connection: BlockingConnection;
  readonly #keys: Keys;
  #cancelled = false;

  /** Uses `connection` for nothing but this bell. */
  constructor(connection: BlockingConnection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  async wait(names: readonly string[], timeout: number): Promise<string | null> {
    this.#cancelled = false;
    const bells = names.map((name) => this.#keys.bell(name));
    const seconds = Math.max(timeout / 1000, 0.001).toFixed(3);
    try {
      const reply = await this.#connection.call(["BLPOP", ...bells, seconds], timeout + SLACK);
      if (reply instanceof RedisReplyError) throw isElsewhere(reply) ? elsewhereError(reply) : reply;
      if (!Array.isArray(reply)) return null;
      return names[bells.indexOf(String(reply[0]))] ?? null;
    } catch (error) {
      if (this.#cancelled && error instanceof ConnectionLostError) return null;
      throw error;
    }
  }

  async cancel(): Promise<void> {
    this.#cancelled = true;
    await this.#connection.cancel();
  }

  close(): void {
    this.#connection.close();
  }
}
