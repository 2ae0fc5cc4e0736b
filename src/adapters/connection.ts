/**
 * A connection that outlives its links: when one broke, the next call dials anew.
 *
 * Its life: idle → (somebody wants a link) dialling, again and again with backoff → linked → broken → idle. It dials only
 * while somebody waits, so that a program that has nothing to do with Redis can end while Redis is down.
 *
 * Rejected: to queue calls while down. A caller that knows that nothing was sent can run its task itself instead.
 *
 * @module
 */
import { ConnectionLostError } from "../errors.ts";
import { forbiddenError, isForbidden } from "../port/forbidden.ts";
import { startDeadline } from "./deadline.ts";
import { Link, reasonText } from "./link.ts";
import { redial } from "./redial.ts";
import type { Dialer, Wire } from "./wire.ts";

/** How long one dial may take, and how long a call waits for a Redis that is not known to be down, in milliseconds. */
const DIAL_LIMIT = 4000;
/** How long a call waits for a Redis that is known to be down, in milliseconds. */
const DOWN_PATIENCE = 1000;

const CLOSED = "it was closed by this program";

/** A caller that waits for a link. */
interface Waiter {
  readonly resolve: (link: Link) => void;
  readonly reject: (error: Error) => void;
  /** Undefined for a caller that waits for ever. */
  cancelLimit?: () => void;
}

/** What a {@linkcode Connection} is for. */
export interface ConnectionOptions {
  /** Done on each new wire before it counts as a link, for example to subscribe. */
  readonly prepare?: (wire: Wire) => Promise<void>;
  /** Called when a link broke. */
  readonly onBreak?: () => void;
  /** Whether dialling keeps the process alive. */
  readonly background: boolean;
}

/** At most one {@linkcode Link} at a time, dialled when it is wanted. */
export class Connection {
  readonly #dialer: Dialer;
  readonly #options: ConnectionOptions;
  readonly #waiters = new Set<Waiter>();
  #link: Link | undefined;
  #dialling = false;
  #closed = false;
  #failure: unknown;

  /** Dials nothing yet. */
  constructor(dialer: Dialer, options: ConnectionOptions) {
    this.#dialer = dialer;
    this.#options = options;
  }

  /** The link, if there is one. */
  get current(): Link | undefined {
    return this.#link;
  }

  /** Dials once; rejects with `ConnectionLostError` naming the reason, or with `NOPERM` of Redis. */
  async open(): Promise<void> {
    try {
      await this.#dial(false);
    } catch (reason) {
      throw isForbidden(reason) ? forbiddenError(reason) : this.#unreachable(reason);
    }
  }

  /**
   * The link, dialled if need be. Rejects with `sent: false` when there is none within {@linkcode DIAL_LIMIT}, or
   * {@linkcode DOWN_PATIENCE} after Redis is known to be down. `patient`: only when this connection is closed.
   */
  link(options: { patient?: boolean } = {}): Promise<Link> {
    if (this.#link) return Promise.resolve(this.#link);
    if (this.#closed) return Promise.reject(this.#unreachable(new Error(CLOSED)));
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject };
      this.#waiters.add(waiter);
      if (!options.patient) this.#limit(waiter, this.#failure === undefined ? DIAL_LIMIT : DOWN_PATIENCE);
      this.#redial();
    });
  }

  /** Ends the present link, if any. */
  drop(reason: Error): void {
    this.#link?.end(reason);
  }

  /** Ends everything; calls that wait for a link reject. */
  close(): void {
    this.#closed = true;
    const reason = new Error(CLOSED);
    this.drop(reason);
    this.#settle((waiter) => waiter.reject(this.#unreachable(reason)));
  }

  #redial(): void {
    if (this.#dialling) return;
    this.#dialling = true;
    redial(() => this.#dial(this.#options.background), {
      wanted: () => this.#waiters.size > 0,
      background: this.#options.background,
    })
      .finally(() => this.#dialling = false);
  }

  async #dial(background: boolean): Promise<void> {
    try {
      const { prepare } = this.#options;
      this.#adopt(await Link.open(this.#dialer, { limit: DIAL_LIMIT, background, ...(prepare ? { prepare } : {}) }));
    } catch (reason) {
      if (isForbidden(reason)) this.#refuse(forbiddenError(reason));
      if (this.#failure === undefined) this.#hurry();
      this.#failure = reason;
      throw reason;
    }
  }

  #adopt(link: Link): void {
    if (this.#closed) return link.end(new Error(CLOSED));
    if (link.ended) throw new Error("the server closed it");
    this.#failure = undefined;
    this.#link = link;
    link.onEnd = () => {
      this.#link = undefined;
      this.#options.onBreak?.();
    };
    this.#settle((waiter) => waiter.resolve(link));
  }

  #limit(waiter: Waiter, patience: number): void {
    waiter.cancelLimit?.();
    waiter.cancelLimit = startDeadline(patience, () => {
      this.#waiters.delete(waiter);
      waiter.reject(this.#unreachable(this.#failure ?? new Error(`no answer within ${patience} ms`)));
    });
  }

  /** Redis is known to be down from now on: who waits with a limit waits only a little longer. */
  #hurry(): void {
    for (const waiter of this.#waiters) {
      if (waiter.cancelLimit) this.#limit(waiter, DOWN_PATIENCE);
    }
  }

  /** Redis answers, and will go on refusing this user: only who waits for ever waits for another access list. */
  #refuse(reason: Error): void {
    for (const waiter of [...this.#waiters]) {
      if (!waiter.cancelLimit) continue;
      waiter.cancelLimit();
      this.#waiters.delete(waiter);
      waiter.reject(reason);
    }
  }

  #settle(how: (waiter: Waiter) => void): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) {
      waiter.cancelLimit?.();
      how(waiter);
    }
  }

  #unreachable(reason: unknown): ConnectionLostError {
    const message = `Cannot reach Redis at ${this.#dialer.address}: ${reasonText(reason)}`;
    return new ConnectionLostError(message, { sent: false, cause: reason });
  }
}
