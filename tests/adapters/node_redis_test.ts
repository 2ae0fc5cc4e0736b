import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createClient, createCluster } from "redis";
import { connect } from "../../src/adapters/connect.ts";
import type { NodeRedisClient } from "../../src/adapters/node_redis.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { testRedisPort } from "../conformance/redis_port.ts";
import { startRedis } from "../support/redis_server.ts";

const open = (url: string) => connect(url, { client: "redis" }) as Promise<RedisPort>;

testRedisPort("redis", "node-redis", open);

describe("a node-redis client that the caller has", () => {
  it("lends its settings, and is left alone", async () => {
    const server = await startRedis({ password: "secret" });
    const own = createClient({ url: `${server.url}/2`, keyPrefix: "app:", commandOptions: { timeout: 1 } });
    await own.connect();
    const redis = await connect(own);
    assert.deepEqual(await redis.exec([["SET", "k", "v"], ["GET", "k"]]), ["OK", "v"]);
    assert.equal(await server.cli("-n", "2", "GET", "k"), "v", "no prefix, the same database");
    redis.close();
    assert.equal(await own.ping(), "PONG");
    own.destroy();
    await server.stop();
  });
});
