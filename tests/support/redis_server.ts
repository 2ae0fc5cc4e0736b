/**
 * A real redis-server of the test's own: a free loopback port, a temporary folder, nothing kept on disk.
 *
 * Its life: start → answers PING → `stop()` (or `kill9()` and `restart()` on the same port). Whatever is still running
 * when the test process ends is killed with it.
 *
 * @module
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Certificate } from "./certificates.ts";
import { until } from "./wait.ts";

/** What {@linkcode startRedis} takes. */
export interface RedisServerOptions {
  /** A free loopback port unless given. */
  readonly port?: number;
  /** More arguments of redis-server, for example `["--maxmemory", "5mb"]`. */
  readonly args?: readonly string[];
  /** `requirepass`: also put into {@linkcode RedisServer.url}. */
  readonly password?: string;
  /** Speaks TLS too, at {@linkcode RedisServer.tlsPort}. */
  readonly tls?: ServerTls;
}

/** The TLS of a server. */
export interface ServerTls extends Certificate {
  /** The authority of the clients' certificates. */
  readonly ca: string;
  /** Whether a client must show one. */
  readonly wantsCertificate: boolean;
}

const live = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of live) child.kill("SIGKILL");
});

/** Starts a redis-server and resolves when it answers; throws when the binary is missing or it ends at once. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  for (let attempt = 1;; attempt++) {
    const tlsPort = options.tls ? await freePort() : 0;
    const server = new RedisServer(options.port ?? await freePort(), options, tlsPort);
    try {
      await server.restart();
      return server;
    } catch (error) {
      await server.stop();
      // Another process may have taken the free port in between.
      if (options.port !== undefined || attempt === 3 || !String(error).includes("Address already in use")) throw error;
    }
  }
}

/** A running redis-server. */
export class RedisServer {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Where to connect, with the password if there is one. */
  readonly url: string;
  /** Its port on 127.0.0.1 that speaks TLS; 0 unless asked for. */
  readonly tlsPort: number;
  readonly #options: RedisServerOptions;
  readonly #folder: string = mkdtempSync(join(tmpdir(), "errand-redis-"));
  #child: ChildProcess | undefined;
  #output = "";
  #failure: Error | undefined;

  /** Use {@linkcode startRedis}. */
  constructor(port: number, options: RedisServerOptions, tlsPort: number) {
    this.port = port;
    this.tlsPort = tlsPort;
    this.#options = options;
    const login = options.password === undefined ? "" : `:${encodeURIComponent(options.password)}@`;
    this.url = `redis://${login}127.0.0.1:${port}`;
  }

  /** Its process id. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Where it keeps its files. */
  get folder(): string {
    return this.#folder;
  }

  /** Starts it again on the same port (empty, unless told to keep data), after `kill9()`; `args`: more of them, this once. */
  async restart(args: readonly string[] = []): Promise<void> {
    await this.kill9();
    this.#output = "";
    this.#failure = undefined;
    const child = spawn("redis-server", [...this.#args(), ...args], {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    live.add(child);
    child.stdout.on("data", (chunk) => this.#output += String(chunk));
    child.stderr.on("data", (chunk) => this.#output += String(chunk));
    child.on("error", (error) => this.#failure = new Error(`Cannot start redis-server: ${startHint(error)}`));
    child.on("exit", (code) => {
      live.delete(child);
      this.#failure ??= new Error(`redis-server ended with ${code}:\n${this.#output}`);
    });
    await until(() => this.#answers(), `redis-server on port ${this.port} answers`, 15_000);
  }

  /** Kills it without a farewell, as a crash would; resolves when the process is gone. */
  kill9(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.#end("SIGKILL"); // Nothing is saved, so there is nothing to wait for.
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Runs `redis-cli` with these arguments and returns what it printed, without the last line break. */
  cli(...args: string[]): Promise<string> {
    const { password } = this.#options; // An empty REDISCLI_AUTH would make redis-cli forget its -n.
    const env = { ...process.env, ...(password === undefined ? {} : { REDISCLI_AUTH: password }) };
    return new Promise((resolve, reject) => {
      execFile("redis-cli", ["-p", String(this.port), ...args], { env, maxBuffer: 1 << 26 }, (error, stdout) => {
        if (error) reject(error);
        else resolve(stdout.replace(/\n$/, ""));
      });
    });
  }

  #args(): string[] {
    const { password, args = [] } = this.#options;
    const basics = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    return [...basics, ...(password === undefined ? [] : ["--requirepass", password]), ...this.#tlsArgs(), ...args];
  }

  #tlsArgs(): string[] {
    const { tls } = this.#options;
    if (tls === undefined) return [];
    const path = (name: "cert" | "key" | "ca") => {
      const file = join(this.#folder, `${name}.pem`);
      writeFileSync(file, tls[name]);
      return file;
    };
    const files = ["--tls-cert-file", path("cert"), "--tls-key-file", path("key"), "--tls-ca-cert-file", path("ca")];
    return ["--tls-port", `${this.tlsPort}`, "--tls-auth-clients", tls.wantsCertificate ? "yes" : "no", ...files];
  }

  async #answers(): Promise<boolean> {
    if (this.#failure) throw this.#failure;
    const answer = await ping(this.port);
    return answer.startsWith("+PONG") || answer.startsWith("-NOAUTH");
  }

  async #end(signal: "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    await gone;
  }
}

/** A loopback port that is free at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function ping(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const done = (answer: string) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1000, () => done(""));
    socket.once("data", (chunk) => done(String(chunk)));
    socket.once("error", () => done(""));
  });
}

function startHint(error: Error): string {
  const missing = "code" in error && error.code === "ENOENT";
  return missing
    ? "no such program on PATH. Install it, for example with `apt-get install redis-server`"
    : error.message;
}
