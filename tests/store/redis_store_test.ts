/**
 * The Redis store: the shared suite on a real server, its time in the tests' hand.
 *
 * @module
 */
import { after, before } from "node:test";
import { keysOf } from "../../src/keys.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import type { Bounds } from "../../src/store/ended.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import { testStore } from "../conformance/store.ts";
import type { StoreWorld } from "../conformance/store_kit.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { testConnect } from "../support/test_client.ts";
import { testRedisEdges } from "./redis_edges.ts";

let server: RedisServer;
let port: RedisPort;
let worlds = 0;

before(async () => {
  server = await startRedis();
  port = await testConnect(server.url);
});
after(async () => {
  port.close();
  await server.stop();
});

/** Each test has its own prefix; the scripts' time begins at the machine's, so that keys do not expire under the tests. */
function openRedis(bounds?: Bounds): Promise<StoreWorld> {
  const clock = new FakeClock(Date.now());
  const keys = keysOf(`{test ${++worlds}}`, "task-queue");
  return Promise.resolve({
    keys,
    store: new RedisStore(port, keys, { time: () => clock.now(), ...(bounds ? { bounds } : {}) }),
    advance: (ms) => clock.advance(ms),
    async hints(name) {
      return (await port.exec([["LRANGE", keys.queue(name), "0", "-1"]]))[0] as string[];
    },
    async life(key) {
      const left = (await port.exec([["PTTL", key]]))[0] as number;
      return left < 0 ? null : left;
    },
    async plant(id, name, text) {
      await port.exec([["SET", keys.record(id), text], ["RPUSH", keys.queue(name), id]]);
    },
    async overwrite(id, text) {
      await port.exec([["SET", keys.record(id), text]]);
    },
    async text(id) {
      return (await port.exec([["GET", keys.record(id)]]))[0] as string | null;
    },
    async evict(key) {
      await port.exec([["DEL", key]]);
    },
    close: () => Promise.resolve(),
  });
}

testStore("Redis store", openRedis);
testRedisEdges(() => ({ url: server.url, port }));
