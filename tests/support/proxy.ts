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
  /** Dead without a word: nothing passes any more, and no end is told. */
  isDead: boolean;
}

/** A running proxy. */
export class Proxy {
  #targetPort: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #frozen = false;
  #refusing = false;
  #bytesLeft = Infinity;
  #requestBytesLeft = Infinity;
  #muteAt: string | undefined;
  #muted = false;
  #keepsGhosts = false;
  /** Ends whose other end is gone without their knowing. */
  readonly #ghosts = new Set<Socket>();
  #garbage: Uint8Array | undefined;
  /** When each connection was asked for, refused ones included, in milliseconds of `performance.now()`. */
  readonly dials: number[] = [];
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
    for (const { near, far, isDead } of this.#pairs) {
      if (isDead) continue;
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

  /** Resets all connections once, as soon as `bytes` more bytes came from clients; those bytes still reach the server. */
  cutRequestAfter(bytes: number): void {
    this.#requestBytesLeft = bytes;
  }

  /** Lets the connections of now die without a word, as a firewall that forgot them; later ones work. */
  forget(): void {
    for (const pair of this.#pairs) {
      pair.isDead = true;
      pair.near.pause();
      pair.far.pause();
    }
  }

  /** Passes no answer on any more once a request holds `text`; that request, and all others, still reach the server. */
  muteAt(text: string): void {
    this.#muteAt = text;
  }

  /** Whether answers are held back for good. */
  get isMuted(): boolean {
    return this.#muted;
  }

  /** Passes answers on again; those that were held back are lost with their connections. */
  unmute(): void {
    this.#muted = false;
    this.#muteAt = undefined;
    this.reset();
  }

  /** Keeps the server's side of a connection open when the client's side ends. */
  keepGhosts(): void {
    this.#keepsGhosts = true;
  }

  /** Puts these bytes before the next answer, whoever it is for. */
  inject(bytes: Uint8Array): void {
    this.#garbage = bytes;
  }

  /** Ends it and all its connections. */
  close(): Promise<void> {
    this.reset();
    for (const ghost of this.#ghosts) ghost.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket): void {
    this.dials.push(performance.now());
    if (this.#refusing) return void near.resetAndDestroy();
    const far = connect(this.#targetPort, "127.0.0.1");
    const pair = { near, far, isDead: false };
    this.#pairs.add(pair);
    near.on("data", (chunk) => this.#ask(far, chunk));
    far.on("data", (chunk) => this.#answer(near, chunk));
    for (const [one, other] of [[near, far], [far, near]] as const) {
      one.on("error", () => {});
      one.on("close", () => {
        this.#pairs.delete(pair);
        // A frozen link says nothing to the other side, not even farewell.
        if (this.#frozen || pair.isDead || (this.#keepsGhosts && one === near)) this.#ghosts.add(other);
        else other.destroy();
      });
    }
    if (this.#frozen) this.freeze();
  }

  #ask(far: Socket, chunk: Uint8Array): void {
    if (this.#muteAt !== undefined && new TextDecoder().decode(chunk).includes(this.#muteAt)) this.#muted = true;
    const part = chunk.subarray(0, this.#requestBytesLeft);
    this.#requestBytesLeft -= part.length;
    if (this.#requestBytesLeft > 0) return void far.write(part);
    this.#requestBytesLeft = Infinity;
    far.write(part, () => this.reset());
  }

  #answer(near: Socket, chunk: Uint8Array): void {
    if (this.#muted) return;
    if (this.#garbage !== undefined) near.write(this.#garbage);
    this.#garbage = undefined;
    const part = chunk.subarray(0, this.#bytesLeft);
    this.#bytesLeft -= part.length;
    if (this.#bytesLeft > 0) return void near.write(part);
    this.#bytesLeft = Infinity;
    near.write(part, () => this.reset());
  }
}
