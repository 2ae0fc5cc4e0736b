/**
 * A port that counts what goes through it: writes, commands and bytes as RESP has them, whatever the client below.
 *
 * @module
 */
import type { BlockingConnection, Command, RedisPort, Reply } from "../../src/port/redis.ts";
import { RedisReplyError } from "../../src/port/redis.ts";

/** What went through a port. */
export interface Traffic {
  /** Batches that were handed to the client at once. */
  writes: number;
  /** Commands, and of these calls of scripts; blocking ones count. */
  commands: number;
  scripts: number;
  /** Of commands and answers, and of messages that were heard. */
  bytes: number;
}

const encoder = new TextEncoder();
const bulk = (text: string): number => {
  const { length } = encoder.encode(text);
  return `$${length}\r\n\r\n`.length + length;
};
const sent = (command: Command): number =>
  command.reduce((sum, word) => sum + bulk(word), `*${command.length}\r\n`.length);

function received(reply: Reply): number {
  if (reply === null) return "$-1\r\n".length;
  if (typeof reply === "string") return bulk(reply);
  if (typeof reply === "number") return `:${reply}\r\n`.length;
  if (reply instanceof RedisReplyError) return `-${reply.message}\r\n`.length;
  return reply.reduce<number>((sum, part) => sum + received(part), `*${reply.length}\r\n`.length);
}

/** Counts over another port. */
export class CountingPort implements RedisPort {
  readonly #port: RedisPort;
  #traffic: Traffic = { writes: 0, commands: 0, scripts: 0, bytes: 0 };

  /** Begins at zero. */
  constructor(port: RedisPort) {
    this.#port = port;
  }

  /** What was counted since the last time it was asked. */
  take(): Traffic {
    const taken = this.#traffic;
    this.#traffic = { writes: 0, commands: 0, scripts: 0, bytes: 0 };
    return taken;
  }

  async exec(commands: readonly Command[]): Promise<Reply[]> {
    this.#sent(commands);
    const replies = await this.#port.exec(commands);
    this.#traffic.bytes += received(replies) - `*${replies.length}\r\n`.length;
    return replies;
  }

  async blocking(): Promise<BlockingConnection> {
    const connection = await this.#port.blocking();
    return {
      call: async (command, deadline) => {
        this.#sent([command]);
        const reply = await connection.call(command, deadline);
        this.#traffic.bytes += received(reply);
        return reply;
      },
      cancel: () => connection.cancel(),
      close: () => connection.close(),
    };
  }

  subscribe(...[channels, onMessage, onGap]: Parameters<RedisPort["subscribe"]>): ReturnType<RedisPort["subscribe"]> {
    const heard = (message: string, channel: string) => {
      this.#traffic.bytes += received(["message", channel, message]);
      onMessage(message, channel);
    };
    return this.#port.subscribe(channels, heard, onGap);
  }

  close(): void {
    this.#port.close();
  }

  #sent(commands: readonly Command[]): void {
    this.#traffic.writes += 1;
    this.#traffic.commands += commands.length;
    for (const command of commands) {
      this.#traffic.bytes += sent(command);
      if (/^eval(sha)?$/i.test(command[0])) this.#traffic.scripts += 1;
    }
  }
}
