/**
 * Says when passwords and tasks travel in the clear: `redis://` to another machine, once per process and address.
 *
 * Only what is surely this machine is quiet. A private network is not: whoever is in it reads along, and whether that is
 * fine is not for a library to know, so the URL can say it (`?insecure=true`).
 *
 * Rejected: to refuse. Half the world runs Redis in a private network without TLS.
 *
 * @module
 */
import { type Log, safeLog } from "../log.ts";
import type { RedisTarget } from "./url.ts";

const warned = new Set<string>();

/** Whether what is sent to `target` can be read on its way: no TLS, no Unix socket, not surely this machine. */
export function isReadableOnTheWay({ host, path, tls }: RedisTarget): boolean {
  return !tls && path === undefined && !isLoopback(host);
}

/** Warns on `log` when it must, unless this process has done so for the same host and port. */
export function warnOfPlainTcp(target: RedisTarget, log: Log): void {
  if (target.insecure || !isReadableOnTheWay(target)) return;
  const place = `${target.host.includes(":") ? `[${target.host}]` : target.host}:${target.port}`;
  if (warned.has(place)) return;
  warned.add(place);
  safeLog(log)({
    level: "warn",
    message: `The connection to Redis at ${place} is not encrypted: whoever is on the way can read and change the ` +
      "password, the tasks and their results. Write rediss:// for TLS or use a Unix socket; when the network is yours " +
      "alone, add ?insecure=true to the URL",
  });
}

/** 127.0.0.0/8, ::1 (also as IPv4 in IPv6) and `localhost`, which browsers and resolvers keep for this machine. */
function isLoopback(host: string): boolean {
  return /^(?:(?:.+\.)?localhost\.?|127(?:\.\d{1,3}){3}|::1|::ffff:127\..+|::ffff:7f[\da-f]{2}:[\da-f]{1,4})$/i
    .test(host);
}
