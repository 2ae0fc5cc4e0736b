/**
 * Redis URLs, parsed here once because every client reads them differently: Bun ignores `?db=`, others leave `%40`
 * undecoded. Passwords never reach a message: what is shown of a URL went through {@linkcode redact}.
 *
 * @module
 */

/** Where a Redis is and how to log in, as a URL says it. */
export interface RedisTarget {
  /** The URL with its password replaced by `***`: for messages. */
  readonly shown: string;
  /** Host name or address, without the brackets of IPv6. Unused when `path` is given. */
  readonly host: string;
  /** TCP port, 6379 by default. */
  readonly port: number;
  /** Path of a Unix socket. */
  readonly path?: string;
  /** Whether to speak TLS. */
  readonly tls: boolean;
  /** User of the access list, decoded. */
  readonly username?: string;
  /** Password, decoded. */
  readonly password?: string;
  /** Number of the database, 0 by default. */
  readonly db: number;
  /** Whether it was said (`?insecure=true`) that plain TCP to another machine is meant. */
  readonly insecure?: boolean;
}

const FORMS = "redis://[user:password@]host[:port][/db], rediss://… for TLS, unix:///path?db=0, or memory:";

/**
 * Parses `redis:`, `rediss:`, `unix:` and `redis+unix:` URLs.
 * @throws {TypeError} when the URL is none of these, naming what is wrong with it but never its password.
 */
export function parseRedisUrl(text: string): RedisTarget {
  const shown = redact(text);
  const refuse = (reason: string): TypeError => new TypeError(`Cannot use Redis URL "${shown}": ${reason}`);
  const url = tryUrl(text);
  if (!url) refusePort(text, refuse);
  if (!url) throw refuse(`it is not a URL. Expected ${FORMS} (in a user or password, write # / ? @ % as %-escapes)`);
  const unix = url.protocol === "unix:" || url.protocol === "redis+unix:";
  if (!unix && url.protocol !== "redis:" && url.protocol !== "rediss:") {
    throw refuse(`unknown scheme "${url.protocol}". Expected ${FORMS}`);
  }
  if (unix && url.pathname.length < 2) throw refuse("the path of the socket is missing, as in unix:///run/redis.sock");
  if (url.hash !== "") throw refuse("it contains a #. In a password write it as %23");
  const credentials = { username: decode(url.username, refuse), password: decode(url.password, refuse) };
  return {
    shown,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1") || "localhost",
    port: url.port === "" ? 6379 : Number(url.port),
    ...(unix ? { path: decode(url.pathname, refuse) } : {}),
    tls: url.protocol === "rediss:",
    ...(credentials.username === "" ? {} : { username: credentials.username }),
    ...(credentials.password === "" ? {} : { password: credentials.password }),
    db: database(url, unix, refuse),
    ...(insecure(url, refuse) ? { insecure: true } : {}),
  };
}

/** Replaces the password of a URL by `***`; also of one that cannot be parsed. */
export function redact(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)?(.*)@/is, (_all, scheme: string | undefined, login: string) => {
    const colon = login.indexOf(":");
    return `${scheme ?? ""}${colon < 0 ? login : `${login.slice(0, colon)}:***`}@`;
  });
}

function tryUrl(text: string): URL | undefined {
  try {
    // WHATWG's URLs have no login without a host, other clients' URLs of sockets do: unix://:password@/run/redis.sock.
    return new URL(text.replace(/^((?:redis\+)?unix:\/\/[^/]*@)\//i, "$1localhost/"));
  } catch {
    return undefined; // The error of the platform carries the whole text, password included: it is dropped.
  }
}

/** Names the port when it is what makes a text no URL. */
function refusePort(text: string, refuse: (reason: string) => TypeError): void {
  const port = /^[a-z+]+:\/\/(?:.*@)?(?:\[[^\]]*\]|[^:/?#]*):(\d+)(?:[/?#]|$)/i.exec(text)?.[1];
  if (port !== undefined && Number(port) > 65_535) throw refuse(`its port ${port} is greater than 65535`);
}

function decode(text: string, refuse: (reason: string) => TypeError): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse("it holds a % that begins no escape. Write a plain % as %25");
  }
}

function database(url: URL, unix: boolean, refuse: (reason: string) => TypeError): number {
  for (const key of url.searchParams.keys()) {
    if (key !== "db" && key !== "insecure") {
      throw refuse(`unknown parameter "${key}". Only ?db=<number> and ?insecure=true are known`);
    }
  }
  const inPath = unix ? "" : url.pathname.replace(/^\//, "");
  const text = url.searchParams.get("db") ?? (inPath === "" ? "0" : inPath);
  if (!/^\d{1,9}$/.test(text)) throw refuse(`database "${text}" is not a number from 0`);
  return Number(text);
}

function insecure(url: URL, refuse: (reason: string) => TypeError): boolean {
  const text = url.searchParams.get("insecure");
  if (text === null) return false;
  if (text !== "true") throw refuse(`insecure "${text}" is not true`);
  if (url.protocol !== "redis:") {
    throw refuse("?insecure=true is for redis:// only. Certificates are always checked: pass a private CA as tls.ca");
  }
  return true;
}
