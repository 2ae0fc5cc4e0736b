/**
 * Warns when Redis may delete tasks to make room: with any `maxmemory-policy` but `noeviction` what was accepted can
 * vanish, and nobody would know why.
 *
 * Asked once a connection, beside a listener's start, so that no task waits for it. A script asks, since a script can
 * see without a trace in `ACL LOG` whether its user may run `INFO`; a user who may not hears nothing. `CONFIG GET` was
 * rejected: it is an administrator's right, and managed services take it away.
 *
 * Previous: `queue.ts`. Next: `port/redis.ts`.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { type Log, safeLog } from "./log.ts";
import { isForbidden } from "./port/forbidden.ts";
import { type RedisPort, RedisReplyError } from "./port/redis.ts";
import type { Random } from "./random.ts";
import { repeat } from "./repeat.ts";
import type { RedisConnection } from "./store/open.ts";

/** Returns the memory part of `INFO`, or an empty text when it may not be read. Redis 6 cannot ask first. */
const READ_MEMORY = `
if redis.acl_check_cmd and not redis.acl_check_cmd("INFO", "memory") then return "" end
local info = redis.pcall("INFO", "memory")
return type(info) == "string" and info or ""`;

const asked = new WeakSet<RedisPort>();

/** Logs a warning when the Redis of a connection evicts; each connection is asked once, however often this is called. */
export async function warnOfEviction(
  redis: RedisConnection,
  context: { readonly clock: Clock; readonly random: Random; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  if (!("exec" in redis) || asked.has(redis)) return;
  asked.add(redis);
  try {
    const policy = await repeat(() => readPolicy(redis), { ...context, again: (error) => !isForbidden(error) });
    if (policy !== null && policy !== "noeviction") safeLog(context.log)({ level: "warn", message: warning(policy) });
  } catch {
    asked.delete(redis); // Stopped before Redis answered, or it may not run scripts: then the listener says so.
  }
}

async function readPolicy(redis: RedisPort): Promise<string | null> {
  const [info] = await redis.exec([["EVAL", READ_MEMORY, "0"]]);
  if (info instanceof RedisReplyError) throw info; // It loads, or is busy.
  return /^maxmemory_policy:([\w-]+)/m.exec(String(info))?.[1] ?? null;
}

function warning(policy: string): string {
  return `Redis may delete tasks when its memory is full: its maxmemory-policy is ${policy}. ` +
    "Set it to noeviction (`redis-cli CONFIG SET maxmemory-policy noeviction`, and the same in redis.conf): " +
    "then new tasks are refused with QueueFullError instead. A cache with another policy needs a Redis of its own";
}
