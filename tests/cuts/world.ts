/**
 * The world of many cuts: one redis-server, a road to it through the proxy, and a road of our own beside it.
 *
 * The scripts' time stands still, so what a call leaves in Redis is the same to the byte whenever it is made: a cut
 * call that had no effect, or two, shows in the keyspace.
 *
 * @module
 */
import { systemClock } from "../../src/clock.ts";
import { type ClientName, connect } from "../../src/adapters/connect.ts";
import { ConnectionLostError } from "../../src/errors.ts";
import { type Keys, keysOf } from "../../src/keys.ts";
import type { RedisPort, Reply } from "../../src/port/redis.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import type { Store } from "../../src/store/store.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until } from "../support/wait.ts";
import { CutProxy } from "./cut_proxy.ts";

/** How far a life time may be from the same one of another run, in milliseconds. */
const LIFE_TOLERANCE = 5_000;

/** All that stands in Redis: for each key, sorted, its life time and then type and content. */
export type Picture = readonly (readonly string[])[];

const PICTURE = String.raw`
local read = {
  string = function(key) return { redis.call("GET", key) } end,
  list = function(key) return redis.call("LRANGE", key, 0, -1) end,
  zset = function(key) return redis.call("ZRANGE", key, 0, -1, "WITHSCORES") end,
  hash = function(key) return redis.call("HGETALL", key) end,
  set = function(key)
    local members = redis.call("SMEMBERS", key)
    table.sort(members)
    return members
  end,
}
local keys, found = redis.call("KEYS", "*"), {}
table.sort(keys)
for i, key in ipairs(keys) do
  local kind = redis.call("TYPE", key).ok
  found[i] = { tostring(redis.call("PTTL", key)), key, kind, unpack(read[kind](key)) }
end
return found`;

/** One server, one proxy, one connection of the client that is tested. */
export class World {
  readonly server: RedisServer;
  readonly proxy: CutProxy;
  readonly client: ClientName;
  /** Through the proxy. */
  readonly port: RedisPort;
  readonly store: Store;
  /** Past the proxy. */
  readonly besides: RedisPort;
  readonly direct: Store;
  readonly keys: Keys = keysOf("{cuts}", "task-queue");
  /** What the scripts take as Redis' time. */
  time: number;

  private constructor(
    server: RedisServer,
    proxy: CutProxy,
    client: ClientName,
    ports: readonly [RedisPort, RedisPort],
  ) {
    this.server = server;
    this.proxy = proxy;
    this.client = client;
    [this.port, this.besides] = ports;
    this.time = Date.now();
    // A deadline is what is left of it when a call is repeated: with a clock that stands still, always the same.
    const options = { time: () => this.time, clock: { ...systemClock, monotonic: () => 0 } };
    this.store = new RedisStore(this.port, this.keys, options);
    this.direct = new RedisStore(this.besides, this.keys, options);
  }

  /** Starts everything. */
  static async open(client: ClientName): Promise<World> {
    const server = await startRedis();
    const proxy = new CutProxy(server.port);
    await proxy.listen();
    const port = await connect(proxy.url, { client }) as RedisPort;
    return new World(server, proxy, client, [port, await connect(server.url, { client }) as RedisPort]);
  }

  /** Empties Redis, and resolves when the tested connection is there. */
  async refresh(): Promise<void> {
    this.proxy.count();
    await this.besides.exec([["FLUSHDB"]]);
    await insist(() => this.port.exec([["PING"]]));
  }

  /** All that stands in Redis now. */
  async picture(): Promise<Picture> {
    const [reply] = await this.besides.exec([["EVAL", PICTURE, "0"]]);
    if (!Array.isArray(reply)) throw new Error(`Cannot read the keyspace: ${String(reply as Reply)}`);
    return reply as string[][];
  }

  /** Connections that should not be there when only the two of this world are used, at the proxy or the server. */
  async leftovers(expected = 1): Promise<number> {
    const count = async () => {
      const [list] = await this.besides.exec([["CLIENT", "LIST"]]);
      const atServer = String(list).trim().split("\n").length;
      return Math.max(this.proxy.connections - expected, atServer - 1 - expected);
    };
    await until(async () => await count() <= 0, "nothing is left", 2_000).catch(() => {}); // The count says it.
    return await count();
  }

  /** Ends everything; resolves with the number of connections that outlived their owners. */
  async close(): Promise<number> {
    this.port.close();
    const left = await this.leftovers(0);
    this.besides.close();
    await this.proxy.close();
    await this.server.stop();
    return Math.max(0, left);
  }
}

/** Whether two pictures show the same, but for how long ago they were taken. */
export function isSame(one: Picture, other: Picture): boolean {
  return one.length === other.length && one.every(([life, ...rest], index) => {
    const [otherLife, ...otherRest] = other[index]!;
    const isClose = Math.abs(Number(life) - Number(otherLife)) < LIFE_TOLERANCE;
    return isClose && (Number(life) < 0) === (Number(otherLife) < 0) &&
      JSON.stringify(rest) === JSON.stringify(otherRest);
  });
}

/** Does it again when the connection was lost, as callers do; at most ten times. */
export async function insist<Value>(call: () => Promise<Value>): Promise<Value> {
  for (let tries = 1;; tries++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ConnectionLostError) || tries === 10) throw error;
    }
  }
}
