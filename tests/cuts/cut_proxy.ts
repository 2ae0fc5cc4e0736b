/**
 * A TCP proxy on loopback that counts bytes and cuts one connection after a given one of them.
 *
 * Beside `../support/proxy.ts`: that one breaks all connections at once; here only the connection dies that carried the
 * byte, as in a network, so that what the others do about it (`CLIENT KILL`) is seen too.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Where a connection is cut. */
export interface Cut {
  readonly direction: "request" | "answer";
  /** So many bytes still arrive; 0: none, from the moment the first one comes. */
  readonly after: number;
  /** A reset, or an orderly end in the middle of a message; or a reset of which the server hears nothing. */
  readonly how: "reset" | "end" | "ghost";
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  isCut: boolean;
  /** The server's side stays open. */
  isGhost: boolean;
}

/** A running proxy to one loopback port. */
export class CutProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #ghosts = new Set<Socket>();
  #cut: Cut | undefined;
  /** Bytes that came in each direction since `count()`. */
  passed = { request: 0, answer: 0 };
  /** Its port on 127.0.0.1, 0 before `listen()`. */
  port = 0;

  /** Listens when told to. */
  constructor(target: number) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  /** Its address as a Redis URL. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** How many connections go through it now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Opens its port. */
  listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => {
        const address = this.#server.address();
        this.port = typeof address === "object" && address ? address.port : 0;
        resolve();
      });
    });
  }

  /** Counts from zero, and cuts one connection when the byte comes; without a cut it only counts. */
  count(cut?: Cut): void {
    this.passed = { request: 0, answer: 0 };
    this.#cut = cut;
  }

  /** Whether the cut was made. */
  get isDone(): boolean {
    return this.#cut === undefined;
  }

  /** Resets all connections. */
  reset(): void {
    for (const pair of [...this.#pairs]) end(pair, "reset");
  }

  /** Ends it and all its connections. */
  close(): Promise<void> {
    this.reset();
    for (const ghost of this.#ghosts) ghost.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket): void {
    const far = connect(this.#target, "127.0.0.1");
    const pair: Pair = { near, far, isCut: false, isGhost: false };
    this.#pairs.add(pair);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.on("error", () => {}); // Its end follows.
      socket.on("close", () => {
        this.#pairs.delete(pair);
        this.#ghosts.delete(far);
        near.destroy();
        if (pair.isGhost && socket === near) this.#ghosts.add(far);
        else far.destroy();
      });
    }
    near.on("data", (chunk) => this.#pass(pair, "request", chunk));
    far.on("data", (chunk) => this.#pass(pair, "answer", chunk));
  }

  #pass(pair: Pair, direction: Cut["direction"], chunk: Uint8Array): void {
    if (pair.isCut) return;
    const to = direction === "request" ? pair.far : pair.near;
    const cut = this.#cut;
    const left = cut?.direction === direction ? cut.after - this.passed[direction] : Infinity;
    this.passed[direction] += chunk.length;
    if (!cut || chunk.length < left) return void to.write(chunk);
    this.#cut = undefined;
    pair.isCut = true;
    if (left <= 0) end(pair, cut.how);
    else to.write(chunk.subarray(0, left), () => end(pair, cut.how));
  }
}

function end(pair: Pair, how: Cut["how"]): void {
  pair.isGhost = how === "ghost";
  if (how === "end") pair.near.destroy();
  else pair.near.resetAndDestroy();
  if (!pair.isGhost) pair.far.destroy();
}
