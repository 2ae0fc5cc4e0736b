/**
 * What every command has at hand, and the flags that all commands share.
 *
 * @module
 */
import process from "node:process";
import type { CommandContext, FlagParametersForType, StricliProcess } from "@stricli/core";
import { connect, RedisTaskQueue } from "../../mod.ts";
import { ConnectionLostError } from "../errors.ts";
import type { LogEntry } from "../log.ts";
import type { TaskFns } from "../task.ts";
import { CliError, EXIT, isNoPermission, usageError } from "./exit_codes.ts";
import type { Output } from "./output.ts";
import { redactUrls } from "./redact.ts";
import type { Shutdown } from "./shutdown.ts";
import { type TlsFlags, tlsFlags, tlsOf } from "./tls.ts";
import { whyUnreachable } from "./unreachable.ts";

/** The `this` of every command. */
export interface CliContext extends CommandContext {
  readonly process: StricliProcess;
  readonly output: Output;
  readonly shutdown: Shutdown;
}

/** Where Redis is when neither `--url` nor `REDIS_URL` says it. */
export const DEFAULT_URL = "redis://127.0.0.1:6379";

/** The flags that say which queue is meant. */
export interface QueueFlags extends TlsFlags {
  readonly url?: string;
  readonly prefix: string;
  readonly suffix: string;
  readonly verbose: boolean;
}

/** The options of a queue that a command sets, durations in milliseconds. */
export interface QueueSettings {
  readonly taskFn?: TaskFns;
  readonly timeout?: number;
  readonly interval?: number;
  readonly lease?: number;
}

/** The shared flags as stricli wants them. */
export const queueFlags: FlagParametersForType<QueueFlags> = {
  url: {
    kind: "parsed",
    parse: String,
    optional: true,
    placeholder: "url",
    brief: `Where Redis is; otherwise REDIS_URL, otherwise ${DEFAULT_URL}`,
  },
  ...tlsFlags,
  prefix: {
    kind: "parsed",
    parse: String,
    default: "errand",
    placeholder: "text",
    brief: "Prefix of the queue's keys",
  },
  suffix: {
    kind: "parsed",
    parse: String,
    default: "task-queue",
    placeholder: "text",
    brief: "Suffix of the queue's keys",
  },
  verbose: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Show the stacks of errors; ERRAND_DEBUG=1 does so too",
  },
};

/** The URL in use. */
export function urlOf(flags: QueueFlags): string {
  return flags.url ?? (process.env.REDIS_URL || DEFAULT_URL); // An empty REDIS_URL is none.
}

/** On Deno ioredis, which comes with errand: the default one is looked for on the network, and Deno says so on stderr. */
function clientOption(): { client?: "ioredis" } {
  return "Deno" in globalThis ? { client: "ioredis" } : {};
}

/** What a queue runs on. */
export type Connection = Awaited<ReturnType<typeof connect>>;

/**
 * Runs `use` with a queue that is connected, and closes it afterwards.
 *
 * @throws {CliError} (unreachable) when Redis does not answer, (usage) when an option is refused.
 */
export async function withQueue<T>(
  context: CliContext,
  flags: QueueFlags,
  settings: QueueSettings,
  use: (queue: RedisTaskQueue, redis: Connection) => Promise<T>,
): Promise<T> {
  const url = urlOf(flags);
  context.output.redactor.learn(url);
  const tls = await tlsOf(flags);
  const options = { log: (entry: LogEntry) => context.output.log(entry), ...clientOption(), ...(tls ? { tls } : {}) };
  const redis = await reached(url, async () => await connect(url, options));
  try {
    const queue = makeQueue(redis, flags, { ...settings, log: options.log });
    try {
      await reached(url, () => queue.hasTask("errand-cli"));
      return await use(queue, redis);
    } finally {
      await queue.close();
    }
  } finally {
    await redis.close();
  }
}

type QueueOptions = ConstructorParameters<typeof RedisTaskQueue>[2];

function makeQueue(redis: Connection, flags: QueueFlags, settings: NonNullable<QueueOptions>): RedisTaskQueue {
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  try {
    return new RedisTaskQueue(redis, flags.prefix, { ...given, suffix: flags.suffix });
  } catch (error) {
    throw asUsage(error);
  }
}

/** An option that the library refused, as the usage error that it is on a command line. */
export function asUsage(error: unknown): unknown {
  return error instanceof TypeError || error instanceof RangeError
    ? usageError(error.message, { cause: error })
    : error;
}

async function reached<T>(url: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ConnectionLostError) {
      throw new CliError(EXIT.unreachable, whyUnreachable(redactUrls(url), error), { cause: error });
    }
    if (isNoPermission(error)) {
      throw new CliError(EXIT.unreachable, `Redis at ${redactUrls(url)} cannot be used: ${error.message}`, {
        cause: error,
      });
    }
    throw asUsage(error);
  }
}
