/**
 * What Redis refuses because of the access list of its user: no broken connection, and nothing that time heals, so the
 * error says what to do and nobody sends the call again.
 *
 * @module
 */
import { RedisReplyError } from "./redis.ts";

/** Within a script it is a NOPERM only from Redis 7.2 on. */
const FORBIDDEN = /^-?NOPERM\b|ACL failure in script|user executing the script can't/;
const ADVICE =
  "The access list of its user lacks what errand does here: SECURITY.md of errand has the rules for each " +
  "role, and `ACL LOG` on the server names what was refused";

/** Whether this is Redis' answer to what its user may not do. */
export function isForbidden(error: unknown): boolean {
  return error instanceof Error && FORBIDDEN.test(error.message);
}

/** The error for such an answer: its code is always `NOPERM`. */
export function forbiddenError(error: unknown): RedisReplyError {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RedisReplyError && message.endsWith(ADVICE)) return error;
  const text = message.replace(/^-?(?:NOPERM|ERR) /, "").replace(/[\s.]+$/, "");
  return new RedisReplyError(`NOPERM Redis refuses it: ${text}. ${ADVICE}`);
}
