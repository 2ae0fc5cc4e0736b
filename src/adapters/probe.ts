/**
 * Finds out why a connection could not be made, with a bare socket: Bun's client says "Connection closed" to a wrong
 * address, a wrong password and a bad certificate alike.
 *
 * @module
 */
import type { Socket } from "node:net";
import type { RedisTarget } from "./url.ts";
import type { DialOptions } from "./wire.ts";

const LIMIT = 1000;

/** The error of the socket or of the server's answer to AUTH and PING; undefined when nothing is wrong or nothing is known. */
export async function probe(target: RedisTarget, options: DialOptions = {}): Promise<string | undefined> {
  const socket = await dial(target, options);
  return await new Promise((resolve) => {
    const done = (why: string | undefined): void => {
      socket.destroy();
      resolve(why);
    };
    let answer = "";
    socket.setTimeout(LIMIT, () => done(undefined));
    socket.on("error", (error: Error & { code?: string }) => done(error.message || error.code));
    socket.on("close", () => done(undefined));
    socket.on("data", (chunk: Uint8Array) => {
      answer += new TextDecoder().decode(chunk);
      const error = /^-(.*)\r\n/m.exec(answer)?.[1];
      if (error !== undefined || answer.includes("+PONG")) done(error);
    });
    socket.write(greeting(target));
  });
}

/** Whether a Redis answers there without TLS; false within a second when it is not known. */
export async function answersPlainly(target: RedisTarget): Promise<boolean> {
  const socket = await dial({ ...target, tls: false }, {});
  return await new Promise((resolve) => {
    const done = (plainly: boolean): void => {
      socket.destroy();
      resolve(plainly);
    };
    socket.setTimeout(LIMIT, () => done(false));
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("data", (chunk: Uint8Array) => done(/^[+-]/.test(new TextDecoder().decode(chunk))));
    socket.write(encode(["PING"]));
  });
}

async function dial(target: RedisTarget, options: DialOptions): Promise<Socket> {
  const place = target.path === undefined ? { host: target.host, port: target.port } : { path: target.path };
  if (target.tls) return (await import("node:tls")).connect({ ...place, ...options.tls });
  return (await import("node:net")).connect(place);
}

function greeting(target: RedisTarget): string {
  const auth = target.password === undefined
    ? ""
    : encode(["AUTH", ...(target.username === undefined ? [] : [target.username]), target.password]);
  return auth + encode(["PING"]);
}

function encode(words: readonly string[]): string {
  const length = (word: string): number => new TextEncoder().encode(word).length;
  return `*${words.length}\r\n${words.map((word) => `$${length(word)}\r\n${word}\r\n`).join("")}`;
}
