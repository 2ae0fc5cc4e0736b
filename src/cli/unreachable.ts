/**
 * Why Redis could not be used, as a sentence with the way out.
 *
 * The reasons are told apart by their texts: Redis has codes for some of them only, and a client that closes a
 * connection has none at all.
 *
 * @module
 */
import type { ConnectionLostError } from "../errors.ts";

const WHERE = "See --url and REDIS_URL";
/** What `connect` says itself when the reason may be TLS. */
const ADVISED = /Write rediss?:\/\/|write rediss?:\/\/|`tls: \{/;
/** Redis is there and said so itself. */
const ANSWERED = /^(?:ERR|LOADING|MASTERDOWN|NOPERM|DENIED|READONLY|MISCONF|BUSY|OOM|NOREPLICAS) /;

/** The sentence for a connection to `url` that could not be made or broke; the password is still in it if it was in `error`. */
export function whyUnreachable(url: string, error: ConnectionLostError): string {
  const reason = reasonOf(error);
  if (reason.startsWith("NOAUTH")) {
    return `Redis at ${url} wants a password: write redis://:password@host in --url or REDIS_URL`;
  }
  if (/^WRONGPASS|^ERR invalid password|^ERR AUTH /.test(reason)) {
    return `Redis at ${url} refused the credentials: ${reason}. ${WHERE}`;
  }
  if (/DB index/i.test(reason)) return `Redis at ${url} has no such database: ${reason}. ${WHERE}`;
  if (ANSWERED.test(reason)) return `Redis at ${url} cannot be used: ${reason}`;
  const said = endless(error.message);
  return ADVISED.test(said) ? `${said}. ${WHERE}` : `${said}. Is it running? ${WHERE}`;
}

/** What the client or the server said itself, without a full stop at its end. */
function reasonOf(error: ConnectionLostError): string {
  const { cause } = error;
  return endless(cause instanceof Error && cause.message !== "" ? cause.message : error.message);
}

function endless(text: string): string {
  return text.replace(/\.+$/, "");
}
