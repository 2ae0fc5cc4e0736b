/**
 * The simulated network between one process and the server: a {@linkcode RedisPort} as the adapters make one.
 *
 * A connection for all that does not block, one for each that blocks, one for each subscription. On each, what was sent
 * arrives in order and as late as chance wants; between two, there is no order. When a connection breaks, its calls
 * reject with `sent: true`, and chance has decided whether they had arrived, arrive later, or never do. A partition
 * holds everything back; what waits too long for an answer breaks its connection, as in `src/adapters/link.ts`.
 *
 * Previous: `process.ts`. Next: `server.ts`.
 *
 * @module
 */
import { ConnectionLostError } from "../../src/errors.ts";
import type { BlockingConnection, Command, RedisPort, Reply, Subscription } from "../../src/port/redis.ts";
import type { SimProcess } from "./process.ts";
import type { Rng } from "./rng.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimServer } from "./server.ts";
import { SimBlocking } from "./blocking.ts";
import { SimSubscription } from "./subscription.ts";

/** How long a call may take, and a call waits for a connection, in milliseconds: as in `src/adapters`. */
export const COMMAND_LIMIT = 10_000;
const PATIENCE = 1_000;

/** What becomes of a call that is to go wrong. */
export type Fate = "lostRequest" | "lostAnswer" | "lateCopy";

/** What a network needs. */
export interface NetworkContext {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly server: SimServer;
  readonly process: SimProcess;
}

interface Call {
  readonly commands: readonly Command[];
  readonly resolve: (replies: Reply[]) => void;
  readonly reject: (error: Error) => void;
  readonly fate: Fate | undefined;
  cancelLimit: () => void;
  wasRun: boolean;
  isLost: boolean;
  isOver: boolean;
}

/** An error of the kind that adapters throw. */
export function lost(sent: boolean, reason: string): ConnectionLostError {
  return new ConnectionLostError(`The simulated connection broke: ${reason}`, { sent });
}

/** All connections of one process. */
export class SimPort implements RedisPort {
  /** Until when nothing passes between this process and the server. */
  partitionedUntil = 0;
  /** Everything takes so much longer until then. */
  slowUntil = 0;
  /** Faults are over: what nobody waits for any more, and is under way still, does not arrive. */
  isHealed = false;
  /** What the next calls meet. */
  readonly fates: Fate[] = [];
  readonly blockings = new Set<SimBlocking>();
  readonly subscriptions = new Set<SimSubscription>();
  readonly context: NetworkContext;
  readonly #pending = new Set<Call>();
  #isUp = true;
  #redialAt = 0;
  #dialAt = -1;
  #arrivedAt = 0;
  #answeredAt = 0;
  #closed = false;

  /** Connected from the start. */
  constructor(context: NetworkContext) {
    this.context = context;
  }

  exec(commands: readonly Command[]): Promise<Reply[]> {
    if (this.#closed) return Promise.reject(lost(false, "it was closed"));
    if (this.#isUp) return this.#send(commands);
    const { scheduler, process } = this.context;
    return new Promise((resolve, reject) => {
      if (this.#dialAt < scheduler.now) this.#dialAt = this.#nextDial();
      const upAt = this.#dialAt;
      if (upAt - scheduler.now > PATIENCE) {
        process.at(scheduler.now + PATIENCE, () => reject(lost(false, "it cannot be reached")), true);
        return;
      }
      process.at(upAt, () => {
        this.#isUp = true;
        this.exec(commands).then(resolve, reject);
      });
    });
  }

  blocking(): Promise<BlockingConnection> {
    const blocking = new SimBlocking(this);
    this.blockings.add(blocking);
    return Promise.resolve(blocking);
  }

  async subscribe(
    channels: readonly string[],
    onMessage: (message: string, channel: string) => void,
    onGap: () => void,
  ): Promise<Subscription> {
    const { scheduler, process } = this.context;
    const at = this.reachableAt() + 2 * this.latency();
    const inTime = at - scheduler.now <= 4_000;
    await new Promise<void>((resolve) => process.at(inTime ? at : scheduler.now + 4_000, resolve));
    if (!inTime || this.#closed || this.context.server.isDown) throw lost(false, "it cannot be reached");
    const subscription = new SimSubscription(this, { channels, onMessage, onGap });
    this.subscriptions.add(subscription);
    return subscription;
  }

  close(): void {
    this.#closed = true;
    this.break("it was closed by this program");
    for (const blocking of [...this.blockings]) blocking.close();
    for (const subscription of [...this.subscriptions]) subscription.close();
  }

  /** The process has crashed: the server sees the ends of its connections, and nobody is told. */
  abandon(): void {
    for (const blocking of this.blockings) blocking.abandon();
    for (const subscription of this.subscriptions) this.context.server.hearers.delete(subscription);
  }

  /** Milliseconds of one way. */
  latency(): number {
    const { rng, scheduler } = this.context;
    if (scheduler.now < this.slowUntil) return rng.between(20, 1_500);
    return rng.chance(0.05) ? rng.between(2, 30) : rng.between(0.1, 2);
  }

  /** When something that is sent now arrives at the other side. */
  transit(): number {
    return Math.max(this.context.scheduler.now, this.partitionedUntil) + this.latency();
  }

  /** When a new connection can be made. */
  reachableAt(): number {
    return Math.max(this.context.scheduler.now, this.partitionedUntil, this.context.server.downUntil);
  }

  /** The connection for commands breaks: what is under way is in doubt. */
  break(reason: string, redialAfter: number = 0): void {
    const { rng, scheduler, process } = this.context;
    this.#isUp = false;
    this.#redialAt = Math.max(this.#redialAt, scheduler.now + redialAfter);
    if (redialAfter > 0) process.noteOutage("redial", redialAfter);
    let isCut = false;
    for (const call of [...this.#pending]) {
      // What was sent first arrives first: once one is lost, so are those behind it.
      if (!call.wasRun && call.fate !== "lateCopy") isCut ||= rng.chance(0.7);
      call.isLost = isCut;
      this.#settle(call, () => call.reject(lost(true, reason)));
    }
  }

  #nextDial(): number {
    return Math.max(this.reachableAt(), this.#redialAt) + this.latency();
  }

  #send(commands: readonly Command[]): Promise<Reply[]> {
    const { scheduler, process } = this.context;
    return new Promise((resolve, reject) => {
      const fate = this.fates.shift();
      const call: Call = {
        ...{ commands, resolve, reject, fate, wasRun: false, isLost: fate === "lostRequest", isOver: false },
        cancelLimit: process.at(scheduler.now + COMMAND_LIMIT, () => this.break("no answer within 10 s"), true),
      };
      this.#pending.add(call);
      this.#arrivedAt = Math.max(this.#arrivedAt, this.transit());
      scheduler.at(this.#arrivedAt, () => this.#arrive(call));
      if (fate !== undefined) this.#doom(call, fate);
    });
  }

  /** The connection breaks before the answer is here: at once, or unnoticed until the time limit. */
  #doom(call: Call, fate: Fate): void {
    const { scheduler, process, rng } = this.context;
    const isSilent = rng.chance(0.15);
    process.noteOutage(fate, isSilent ? COMMAND_LIMIT : 5);
    if (isSilent) return;
    const delay = { lostAnswer: this.#arrivedAt - scheduler.now, lostRequest: rng.between(0, 1), lateCopy: 0.05 }[fate];
    process.at(scheduler.now + delay, () => {
      if (!call.isOver) this.break(fate, rng.chance(0.3) ? rng.between(0, 400) : 0);
    });
  }

  #arrive(call: Call): void {
    const { scheduler, server, process, rng } = this.context;
    if (call.isLost || (this.isHealed && (call.isOver || process.dead))) return;
    if (call.fate === "lateCopy" && !call.wasRun && call.isOver) {
      // It was on its way when its sender gave it up: it arrives after the repetition, or long after.
      call.wasRun = true;
      scheduler.at(scheduler.now + rng.between(0, rng.chance(0.5) ? 100 : 5_000), () => {
        if (!server.isDown && !this.isHealed) server.exec(process, call.commands, true);
      });
      return;
    }
    if (server.isDown) return void process.at(this.transit(), () => this.break("refused"));
    const replies = server.exec(process, call.commands);
    call.wasRun = true;
    if (call.isOver || call.fate === "lostAnswer") return;
    this.#answeredAt = Math.max(this.#answeredAt, this.transit());
    process.at(this.#answeredAt, () => this.#settle(call, () => call.resolve(replies)));
  }

  #settle(call: Call, settle: () => void): void {
    if (call.isOver) return;
    call.isOver = true;
    call.cancelLimit();
    this.#pending.delete(call);
    settle();
  }
}
