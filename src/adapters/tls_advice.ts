/**
 * Says what to do when a connection failed because of TLS: the errors of the clients are those of the libraries below
 * them, and a server and a client of which only one speaks TLS understand nothing of each other.
 *
 * @module
 */
import { ConnectionLostError } from "../errors.ts";
import { startDeadline } from "./deadline.ts";
import { answersPlainly } from "./probe.ts";
import type { RedisTarget } from "./url.ts";

/** A Redis without TLS waits for the rest of our greeting, for ever: after so many milliseconds it is asked plainly. */
const PATIENCE = 500;
const NO_TLS = "it answers, but without TLS. Write redis:// for it, or the port on which it speaks TLS";

const ADVICE: readonly (readonly [reason: RegExp, advice: string])[] = [
  [
    /altname|hostname|not valid for name/i,
    "Its certificate is of another host: use a name that stands in it, or pass that as `tls: { servername }`",
  ],
  [
    /alert|certificate.?required/i,
    "It refused our certificate, or wants one: pass one of its CA as `tls: { cert, key }` (command line: --tls-cert, " +
    "--tls-key)",
  ],
  [
    /self.signed|certificate|issuer|unable to verify|invalid CA/i,
    "Its certificate is not trusted here: pass the certificate of its CA as `tls: { ca }` (command line: --tls-ca)",
  ],
  [
    /closed|reset|hang ?up|disconnect|EPIPE|EPROTO|wrong.version|no answer/i,
    "Does this port speak TLS, and does it want a certificate of ours (`tls: { cert, key }`)? Without TLS write redis://",
  ],
];
const MISUNDERSTOOD = /closed|reset|hang ?up|disconnect|EPIPE|no answer/i;
const PLAIN_ADVICE = "Is it a Redis? When it speaks TLS only, write rediss://";

/** What to do about the reason for which `target` could not be reached; undefined when TLS has nothing to do with it. */
export function tlsAdvice(target: RedisTarget, reason: string): string | undefined {
  if (target.tls) return ADVICE.find(([pattern]) => pattern.test(reason))?.[1];
  return target.path === undefined && MISUNDERSTOOD.test(reason) ? PLAIN_ADVICE : undefined;
}

/** Settles as `connecting` does, an error with advice; soon when `target` says TLS and the server does not speak it. */
export async function withTlsAdvice<Port extends { close(): void }>(
  target: RedisTarget,
  connecting: Promise<Port>,
): Promise<Port> {
  try {
    return await (target.tls ? unlessPlain(target, connecting) : connecting);
  } catch (error) {
    if (!(error instanceof ConnectionLostError)) throw error;
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    const advice = tlsAdvice(target, reason);
    if (advice === undefined) throw error;
    throw new ConnectionLostError(`${error.message.replace(/[\s.:]+$/, "")}. ${advice}`, {
      sent: error.sent,
      cause: error.cause,
    });
  }
}

function unlessPlain<Port extends { close(): void }>(target: RedisTarget, connecting: Promise<Port>): Promise<Port> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => {
      const cause = new Error(NO_TLS);
      reject(new ConnectionLostError(`Cannot reach Redis at ${target.shown}: ${NO_TLS}`, { sent: false, cause }));
      connecting.then((port) => port.close(), () => {});
    };
    const ask = async (): Promise<void> => {
      if (await answersPlainly(target)) refuse();
    };
    const cancel = startDeadline(PATIENCE, () => void ask());
    connecting.then(resolve, reject).finally(cancel);
  });
}
