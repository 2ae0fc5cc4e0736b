/**
 * What a node of a Redis Cluster answers when a queue's keys are not all its own: no broken connection, and nothing
 * that sending it again to the same node would heal, so the error says what to do.
 *
 * @module
 */
import { RedisReplyError } from "./redis.ts";

/** The last two are what scripts are told, by versions that look at every key that they touch. */
const ELSEWHERE = /^-?(?:MOVED|ASK|CROSSSLOT)\b|access a non local key|do not hash to the same slot/;
const ADVICE =
  "errand keeps all keys of a queue in one slot and talks to one node: put braces around the prefix, for example " +
  '"{app}", and connect to the node that has its slot (`redis-cli CLUSTER KEYSLOT "{app}"`, `CLUSTER SLOTS`)';

/** Whether this is a node's answer to what belongs to another node, or to keys of several slots. */
export function isElsewhere(error: unknown): boolean {
  return error instanceof Error && ELSEWHERE.test(error.message);
}

/** The error for such an answer: its code is `MOVED`, `ASK` or `CROSSSLOT`. */
export function elsewhereError({ message }: Error): RedisReplyError {
  const text = message.replace(/^-|[\s.]+$/g, "");
  const code = /^(?:MOVED|ASK|CROSSSLOT)\b/.test(text) ? "" : "CROSSSLOT ";
  return new RedisReplyError(
    `${code}${text}: this Redis is a node of a cluster, and the keys are not its own. ${ADVICE}`,
  );
}
