/**
 * A TCP proxy on loopback that breaks connections in the ways networks do.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Starts a proxy to a loopback port. */
export async function startProxy(targetPort: number): Promise<Proxy> {
  const proxy = new Proxy(targetPort);
  await proxy.listen();
  return proxy;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** A running proxy. */
export class Proxy {
  #targetPort: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #frozen = false;
  #refusing = false;
  #bytesLeft = Infinity;
  /** Its port on 127.0.0.1, 0 before `listen()`. */
  port = 0;

  /** Use {@linkcode startProxy}. */
  constructor(targetPort: number) {
    this.#targetPort = targetPort;
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

  /** Passes nothing on any more, in either direction, old connections and new: as when a cable is pulled. */
  freeze(): void {
    this.#frozen = true;
    for (const { near, far } of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  /** Passes on what was held back, and everything after it. */
  thaw(): void {
    this.#frozen = false;
    for (const { near, far } of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  /** Resets all connections. */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Leads to another server from now on, as a name does after a failover; all connections are reset. */
  moveTo(port: number): void {
    this.#targetPort = port;
    this.reset();
  }

  /** Resets new connections at once, until told otherwise. */
  refuse(on: boolean): void {
    this.#refusing = on;
  }

  /** Resets all connections once, as soon as `bytes` more bytes came from the server; those bytes still arrive. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  /** Ends it and all its connections. */
  close(): Promise<void> {
    this.reset();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket): void {
    if (this.#refusing) return void near.resetAndDestroy();
    const far = connect(this.#targetPort, "127.0.0.1");
    const pair = { near, far };
    this.#pairs.add(pair);
    near.on("data", (chunk) => far.write(chunk));
    far.on("data", (chunk) => this.#answer(near, chunk));
    for (const [one, other] of [[near, far], [far, near]] as const) {
      one.on("error", () => {});
      one.on("close", () => {
        this.#pairs.delete(pair);
        if (!this.#frozen) other.destroy(); // A frozen link says nothing to the other side, not even farewell.
      });
    }
    if (this.#frozen) this.freeze();
  }

  #answer(near: Socket, chunk: Uint8Array): void {
    const part = chunk.subarray(0, this.#bytesLeft);
    this.#bytesLeft -= part.length;
    if (this.#bytesLeft > 0) return void near.write(part);
    this.#bytesLeft = Infinity;
    near.write(part, () => this.reset());
  }
}
