/**
 * The Redis of a soak: a primary with an append-only file and a replica, behind a network that can be broken, and a
 * second way to the primary that nobody breaks, for those who look on.
 *
 * @module
 */
import { APPEND_ONLY } from "../support/aof.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until } from "../support/wait.ts";

/** A replica is of no use to a failover before it is in step; a full sync begins at once. */
const ARGS = [...APPEND_ONLY, "--repl-diskless-sync-delay", "0"];
/** How long a replica may take to be in step, in milliseconds. */
const SYNC_LIMIT = 15_000;

/** Starts the servers. */
export async function startServers(): Promise<Servers> {
  const [primary, replica] = [await startRedis({ args: ARGS }), await startRedis({ args: ARGS })];
  const servers = new Servers(primary, replica, await startProxy(primary.port), await startProxy(primary.port));
  await servers.follow();
  return servers;
}

/** A primary, its replica, and the ways to the primary. */
export class Servers {
  #primary: RedisServer;
  #replica: RedisServer;
  /** The network of listeners and clients. */
  readonly network: Proxy;
  /** The way of those who look on. */
  readonly aside: Proxy;

  /** Use {@linkcode startServers}. */
  constructor(primary: RedisServer, replica: RedisServer, network: Proxy, aside: Proxy) {
    this.#primary = primary;
    this.#replica = replica;
    this.network = network;
    this.aside = aside;
  }

  /** Makes the replica follow the primary. */
  async follow(): Promise<void> {
    await this.#replica.cli("REPLICAOF", "127.0.0.1", String(this.#primary.port));
  }

  /** Runs a command on the primary. */
  cli(...args: string[]): Promise<string> {
    return this.#primary.cli(...args);
  }

  /** Kills the primary with -9, and starts it again with its file after a while. */
  async kill9(downFor: number): Promise<void> {
    await this.#primary.kill9();
    await new Promise((resolve) => setTimeout(resolve, downFor));
    await this.#primary.restart();
  }

  /** The replica becomes the primary, with all that was accepted: Redis' own FAILOVER waits for it. */
  async failover(): Promise<void> {
    await this.#inStep();
    await this.#primary.cli("FAILOVER", "TO", "127.0.0.1", String(this.#replica.port), "TIMEOUT", "5000");
    await until(async () => (await this.#replica.cli("ROLE")).startsWith("master"), "the replica is promoted", 10_000);
    this.#swap();
  }

  /** The replica is promoted while the primary goes on for `apart` milliseconds; what that accepted from the returned instant on is thrown away. */
  async failoverWithLoss(apart: number): Promise<number> {
    await this.#inStep();
    const from = Date.now();
    await this.#replica.cli("REPLICAOF", "NO", "ONE");
    await new Promise((resolve) => setTimeout(resolve, apart));
    this.#swap();
    await this.follow();
    return from;
  }

  /** New tasks are refused for a while. */
  async fill(lasts: number): Promise<void> {
    const used = /used_memory:(\d+)/.exec(await this.cli("INFO", "memory"))![1];
    await this.cli("CONFIG", "SET", "maxmemory", String(Math.floor(Number(used) * 0.9)));
    await new Promise((resolve) => setTimeout(resolve, lasts));
    await this.cli("CONFIG", "SET", "maxmemory", "0");
  }

  /** Bytes in use, and connections of clients but our own. */
  async size(): Promise<{ memory: number; clients: number }> {
    const memory = Number(/used_memory:(\d+)/.exec(await this.cli("INFO", "memory"))![1]);
    const list = (await this.cli("CLIENT", "LIST")).split("\n");
    return { memory, clients: list.filter((line) => !/cmd=client|flags=\S*[SM]/.test(line)).length };
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    await Promise.all([this.network.close(), this.aside.close()]);
    await Promise.all([this.#primary.stop(), this.#replica.stop()]);
  }

  async #inStep(): Promise<void> {
    const isInStep = async () => {
      const info = await this.#primary.cli("INFO", "replication");
      const [, theirs] = /slave0:.*state=online,offset=(\d+)/.exec(info) ?? [];
      const [, ours] = /master_repl_offset:(\d+)/.exec(info) ?? [];
      return theirs !== undefined && Number(ours) - Number(theirs) < 10_000;
    };
    await until(isInStep, "the replica is in step", SYNC_LIMIT);
  }

  #swap(): void {
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
    this.network.moveTo(this.#primary.port);
    this.aside.moveTo(this.#primary.port);
  }
}
