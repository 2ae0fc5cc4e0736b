/**
 * A connection of its own for one `BLPOP` at a time, on the simulated network.
 *
 * A token leaves the server with an answer that may be lost; and a server that has not seen the end of a connection
 * lets it wait on, so that it eats a token that nobody hears of.
 *
 * @module
 */
import type { BlockingConnection, Command, Reply } from "../../src/port/redis.ts";
import { lost, type SimPort } from "./network.ts";

interface Waiting {
  reject(error: Error): void;
  /** The server waits no more. */
  leave: () => void;
  cancelLimit: () => void;
  isOver: boolean;
}

/** How long a server waits at most for one that has gone, in milliseconds. */
const GHOST = 3_000;

/** One blocking connection. */
export class SimBlocking implements BlockingConnection {
  readonly #port: SimPort;
  #waiting: Waiting | null = null;
  #turn = 0;

  /** Not dialled yet. */
  constructor(port: SimPort) {
    this.#port = port;
  }

  async call(command: Command, deadline: number): Promise<Reply> {
    const { scheduler, process, server } = this.#port.context;
    const turn = ++this.#turn;
    const reachableAt = this.#port.reachableAt();
    if (reachableAt - scheduler.now > 1_000) {
      await new Promise<void>((resolve) => process.at(scheduler.now + 1_000, resolve, true));
      throw lost(false, "it cannot be reached");
    }
    if (reachableAt > scheduler.now) await new Promise<void>((resolve) => process.at(reachableAt, resolve));
    if (turn !== this.#turn) throw lost(false, "cancelled");
    return await new Promise((resolve, reject) => {
      const late = () => this.break("no answer");
      const cancelLimit = process.at(scheduler.now + deadline, late, true);
      const waiting: Waiting = { reject, leave: () => {}, cancelLimit, isOver: false };
      this.#waiting = waiting;
      scheduler.at(this.#port.transit(), () => {
        if (server.isDown) return void process.at(this.#port.transit(), () => this.break("refused"));
        waiting.leave = this.#wait(command, waiting, resolve);
      });
    });
  }

  async cancel(): Promise<void> {
    this.#turn++;
    const { scheduler, process, server } = this.#port.context;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#end(waiting, "cancelled");
    if (this.#port.reachableAt() > scheduler.now || server.isDown) return this.#haunt(waiting);
    // `CLIENT KILL`, on the connection for commands.
    await new Promise<void>((resolve) => {
      scheduler.at(this.#port.transit(), () => {
        waiting.leave();
        process.at(this.#port.transit(), resolve);
      });
    });
  }

  close(): void {
    this.#turn++;
    this.#port.blockings.delete(this);
    this.break("closed");
  }

  /** The connection breaks; the server may not see it for a while. */
  break(reason: string): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#end(waiting, reason);
    this.#haunt(waiting);
  }

  /** Its process has crashed: nobody is told, and the server sees it sooner or later. */
  abandon(): void {
    if (this.#waiting !== null) this.#haunt(this.#waiting);
  }

  #wait(command: Command, waiting: Waiting, resolve: (reply: Reply) => void): () => void {
    const { process, server } = this.#port.context;
    if (waiting.isOver) return () => {};
    const bells = command.slice(1, -1);
    return server.waitAtBell(bells, Number(command.at(-1)) * 1_000, (bell) => {
      process.at(this.#port.transit(), () => {
        if (waiting.isOver) return;
        waiting.isOver = true;
        waiting.cancelLimit();
        if (this.#waiting === waiting) this.#waiting = null;
        resolve(bell === null ? null : [bell, "1"]);
      });
    });
  }

  #haunt(waiting: Waiting): void {
    const { scheduler, rng } = this.#port.context;
    scheduler.at(scheduler.now + (rng.chance(0.5) ? 1 : rng.between(0, GHOST)), () => waiting.leave());
  }

  #end(waiting: Waiting, reason: string): void {
    waiting.isOver = true;
    waiting.cancelLimit();
    this.#waiting = null;
    waiting.reject(lost(true, reason));
  }
}
