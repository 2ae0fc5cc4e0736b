/**
 * An adapter of one's own: errand over a bare socket, with nothing installed. `docs/adapters.md` explains it.
 *
 * A wire is one connection that is used once. It has no time limits, no reconnecting and no queue: `openPort` has them.
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import {
  type Command,
  openPort,
  parseRedisUrl,
  type RedisPort,
  RedisReplyError,
  type Reply,
} from "../src/adapters/mod.ts";
import type { RedisTarget, Wire } from "../src/adapters/mod.ts"; // Both are "errand/adapter" outside this repository.

/** Opens `redis://…` and `unix:///…` URLs, as `connect` of errand does. */
export default async function connectSocket(url: string): Promise<RedisPort> {
  const target = parseRedisUrl(url);
  if (target.tls) throw new TypeError(`Cannot connect to ${target.shown}: this adapter has no TLS`);
  return await openPort({ address: target.shown, open: (onEnd) => new SocketWire(target, onEnd) });
}

class SocketWire implements Wire {
  readonly opened: Promise<void>;
  readonly #socket: Socket;
  /** Who waits for an answer: Redis answers in the order of the questions. */
  readonly #waiting: ((reply: Reply) => void)[] = [];
  #onMessage: ((message: string, channel: string) => void) | undefined;
  #received: Buffer = Buffer.alloc(0);

  constructor(target: RedisTarget, onEnd: (reason: unknown) => void) {
    this.#socket = connect(
      target.path === undefined ? { host: target.host, port: target.port } : { path: target.path },
    );
    this.#socket.on("error", onEnd);
    this.#socket.on("close", () => onEnd(new Error("the server closed it")));
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.unref();
    this.opened = this.#open(target);
  }

  async send(commands: readonly Command[]): Promise<Reply[]> {
    const replies = commands.map(() => new Promise<Reply>((resolve) => this.#waiting.push(resolve)));
    this.#socket.write(commands.map(encode).join(""));
    return await Promise.all(replies);
  }

  async subscribe(channels: readonly string[], onMessage: (message: string, channel: string) => void): Promise<void> {
    this.#onMessage = onMessage;
    for (const channel of channels) await this.send([["SUBSCRIBE", channel]]);
  }

  keepAlive(on: boolean): void {
    if (on) this.#socket.ref();
    else this.#socket.unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #open(target: RedisTarget): Promise<void> {
    await new Promise<void>((resolve, reject) => this.#socket.once("connect", resolve).once("error", reject));
    const login: Command[] = [];
    if (target.password !== undefined) login.push(["AUTH", target.username ?? "default", target.password]);
    if (target.db > 0) login.push(["SELECT", String(target.db)]);
    for (const reply of await this.send(login)) {
      if (reply instanceof RedisReplyError) throw reply;
    }
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    let end = 0;
    for (let next = parse(this.#received, 0); next; next = parse(this.#received, end)) {
      end = next.end;
      this.#deliver(next.reply);
    }
    this.#received = this.#received.subarray(end);
  }

  #deliver(reply: Reply): void {
    if (this.#onMessage && Array.isArray(reply) && reply[0] === "message") {
      this.#onMessage(String(reply[2]), String(reply[1]));
    } else this.#waiting.shift()?.(reply);
  }
}

function encode(command: Command): string {
  return `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** The answer that begins at `start`, and where it ends; undefined while it has not arrived as a whole. */
function parse(bytes: Buffer, start: number): { reply: Reply; end: number } | undefined {
  const lineEnd = bytes.indexOf("\r\n", start);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString("utf8", start + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[start]!)) {
    case "-":
      return { reply: new RedisReplyError(line), end };
    case ":":
      return { reply: Number(line), end };
    case "$":
      return parseText(bytes, end, Number(line));
    case "*":
      return parseArray(bytes, end, Number(line));
    default:
      return { reply: line, end };
  }
}

function parseText(bytes: Buffer, start: number, length: number): { reply: Reply; end: number } | undefined {
  if (length < 0) return { reply: null, end: start };
  const end = start + length + 2;
  return bytes.length < end ? undefined : { reply: bytes.toString("utf8", start, end - 2), end };
}

function parseArray(bytes: Buffer, start: number, length: number): { reply: Reply; end: number } | undefined {
  if (length < 0) return { reply: null, end: start };
  const replies: Reply[] = [];
  let end = start;
  while (replies.length < length) {
    const next = parse(bytes, end);
    if (!next) return undefined;
    replies.push(next.reply);
    end = next.end;
  }
  return { reply: replies, end };
}
