/**
 * A subscription on the simulated network: it restores itself and says that it may have missed something; and it may be
 * deaf, which it does not know.
 *
 * @module
 */
import type { Subscription } from "../../src/port/redis.ts";
import type { SimPort } from "./network.ts";
import type { Hearer } from "./server.ts";

/** What a subscriber gave. */
export interface Subscriber {
  readonly channels: readonly string[];
  readonly onMessage: (message: string, channel: string) => void;
  readonly onGap: () => void;
}

/** One subscription. */
export class SimSubscription implements Subscription, Hearer {
  readonly channels: readonly string[];
  /** Hears nothing any more, although its connection lives. */
  isDeaf = false;
  readonly #port: SimPort;
  readonly #subscriber: Subscriber;
  #isBroken = false;
  #closed = false;
  #heardAt = 0;

  /** Confirmed by the server. */
  constructor(port: SimPort, subscriber: Subscriber) {
    this.#port = port;
    this.#subscriber = subscriber;
    this.channels = subscriber.channels;
    port.context.server.hearers.add(this);
  }

  hear(message: string, channel: string): void {
    if (this.isDeaf) return;
    this.#heardAt = Math.max(this.#heardAt, this.#port.transit());
    this.#port.context.process.at(this.#heardAt, () => {
      if (!this.#closed && !this.#isBroken) this.#subscriber.onMessage(message, channel);
    });
  }

  /** Its connection breaks; it is restored when the server can be reached, at `until` at the earliest. */
  break(until: number): void {
    if (this.#closed || this.#isBroken) return;
    this.#isBroken = true;
    this.#port.context.server.hearers.delete(this);
    this.#restore(until);
  }

  close(): void {
    this.#closed = true;
    this.#port.subscriptions.delete(this);
    this.#port.context.server.hearers.delete(this);
  }

  #restore(until: number): void {
    const { process, server } = this.#port.context;
    process.at(Math.max(until, this.#port.reachableAt()) + this.#port.latency(), () => {
      if (this.#closed) return;
      if (this.#port.reachableAt() > this.#port.context.scheduler.now) return this.#restore(until);
      this.#isBroken = false;
      this.isDeaf = false;
      server.hearers.add(this);
      this.#subscriber.onGap();
    });
  }
}
