/**
 * What errand takes the module `@db/redis` for, and how it is imported: lazily, and only where it is used.
 *
 * It comes from JSR, which not everybody can reach, so nothing depends on it. An import map may put another module of the
 * same shape in its place, such as `deno.land/x/redis`.
 *
 * @module
 */
import { withDeadline } from "./deadline.ts";

/** What is imported. Not a literal where it is used: tools that pack the module would take it for a dependency. */
const SPECIFIER: string = "jsr:@db/redis@^0.41.0";
/** How long an import may take, in milliseconds. */
const IMPORT_LIMIT = 2_000;

/** What errand uses of the module `@db/redis`. */
export interface DbRedisModule {
  /** Makes a client that dials when it has something to send. */
  createLazyClient(options: DbRedisOptions): DbRedisClient;
  /** What Redis answered, when that is an error. */
  readonly ErrorReplyError: new (message: string) => Error;
}

/** What errand says to a client of `@db/redis`. */
export interface DbRedisOptions {
  /** Name or address. */
  readonly hostname: string;
  /** TCP port. */
  readonly port: number;
  /** User of the access list. */
  readonly username?: string;
  /** Password. */
  readonly password?: string;
  /** Number of the database. */
  readonly db: number;
  /** Whether to speak TLS. */
  readonly tls: boolean;
  /** PEM certificates to trust beside those of the system; even an empty list means TLS. */
  readonly caCerts?: string[];
  /** How often it may dial again. */
  readonly maxRetryCount: number;
  /** Whether to send small packets at once. */
  readonly noDelay: boolean;
  /** Aborts dialling. */
  readonly signal?: () => AbortSignal;
}

/** What errand uses of a client of `@db/redis`. */
export interface DbRedisClient {
  /** Sends one command; its answer holds bytes in place of strings if asked to. */
  sendCommand(command: string, args: string[], options?: { returnUint8Arrays?: boolean }): Promise<unknown>;
  /** Begins a batch of commands. */
  pipeline(): DbRedisPipeline;
  /** Listens to channels. */
  subscribe(...channels: string[]): Promise<DbRedisSubscription>;
  /** Calls back at an event of the connection. */
  addEventListener(type: "connect" | "ready" | "close", listener: (event: Event) => void): void;
  /** Closes the socket; throws when there is none. */
  close(): void;
}

/** A batch of a {@linkcode DbRedisClient}. */
export interface DbRedisPipeline {
  /** Adds a command; its answer holds bytes in place of strings if asked to. */
  sendCommand(command: string, args: string[], options?: { returnUint8Arrays?: boolean }): unknown;
  /** Sends them all; a reply or an error for each. */
  flush(): Promise<unknown[]>;
}

/** The messages of a {@linkcode DbRedisClient}. */
export interface DbRedisSubscription {
  /** Writes a SUBSCRIBE, and waits for no answer. */
  subscribe(...channels: string[]): Promise<void>;
  /** Reads what comes: yields messages, throws errors, drops the rest. */
  receiveBuffers(): AsyncIterable<{ readonly channel: string; readonly message: Uint8Array }>;
}

/** Whether this is Deno, where alone the client works. */
export function isDeno(): boolean {
  return "Deno" in globalThis && !("Bun" in globalThis);
}

/** Whether `value` looks like the module. */
export function isDbRedisModule(value: unknown): value is DbRedisModule {
  if (typeof value !== "object" || value === null) return false;
  return ["createLazyClient", "ErrorReplyError"].every((name) =>
    typeof (value as Record<string, unknown>)[name] === "function"
  );
}

let imported: Promise<DbRedisModule> | undefined;

/**
 * Imports the client, once in a process: a failure is remembered.
 * @throws {TypeError} when that cannot be done, saying how to add it.
 */
export function importDbRedis(): Promise<DbRedisModule> {
  return imported ??= importModule();
}

async function importModule(): Promise<DbRedisModule> {
  if (!isDeno()) throw new TypeError('Cannot use client "@db/redis" on this runtime: it needs Deno');
  const late = () => new Error(`no answer within ${IMPORT_LIMIT} ms`);
  try {
    return await withDeadline(import(SPECIFIER) as Promise<DbRedisModule>, IMPORT_LIMIT, late, { background: true });
  } catch (cause) {
    const way = `Add it with \`deno add jsr:@db/redis\`, map "${SPECIFIER}" in your import map, or pass the module: ` +
      '`import * as redis from "jsr:@db/redis"`, connect(url, { client: redis })';
    throw new TypeError(`Cannot connect with @db/redis: the package cannot be imported. ${way}`, { cause });
  }
}
