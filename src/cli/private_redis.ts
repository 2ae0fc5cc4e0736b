/**
 * A redis-server of our own for the demo: a free loopback port, a temporary folder, nothing kept on disk, gone when
 * the demo is.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { connect, createServer } from "node:net";
import type { Child, Children } from "./children.ts";

const PROGRAMS = ["redis-server", "valkey-server"];
const READY_MS = 10_000;
const LOOK_EVERY_MS = 20;

/** A running private server. */
export interface PrivateRedis {
  /** Where to connect. */
  readonly url: string;
  /** What was started, for example `redis-server 7.0.15`. */
  readonly program: string;
  /** Its process id. */
  readonly pid: number;
  /** Ends it. Its folder goes with {@linkcode Children}. */
  stop(): Promise<void>;
}

/**
 * Starts a private server, or returns null when the machine has none.
 *
 * @throws {Error} when there is one and it does not start.
 */
export async function startPrivateRedis(children: Children): Promise<PrivateRedis | null> {
  const found = findProgram();
  if (found === null) return null;
  const folder = children.makeFolder("errand-demo-");
  const port = await freePort();
  const fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  const child = children.start(found.file, ["--port", String(port), ...fixed]);
  await answering(port, child);
  return { url: `redis://127.0.0.1:${port}`, program: found.version, pid: child.pid, stop: () => child.end() };
}

function findProgram(): { file: string; version: string } | null {
  for (const file of PROGRAMS) {
    const { status, stdout } = spawnSync(file, ["--version"], { encoding: "utf8" });
    if (status === 0) return { file, version: `${file} ${/v=(\S+)/.exec(stdout)?.[1] ?? ""}`.trim() };
  }
  return null;
}

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function answering(port: number, child: Child): Promise<void> {
  const end = performance.now() + READY_MS;
  while (!await answersPing(port)) {
    if (child.ended) throw new Error(`Cannot start redis-server on port ${port}: ${child.output.trim()}`);
    if (performance.now() > end) throw new Error(`Cannot start redis-server: no answer within ${READY_MS / 1_000} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => settle(false));
    socket.once("data", (data) => settle(String(data).startsWith("+PONG")));
    socket.once("error", () => settle(false));
  });
}
