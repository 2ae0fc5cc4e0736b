import { Redis } from "ioredis";
import { connect } from "../../src/adapters/connect.ts";
import { fromIoredis, type IoredisClient } from "../../src/adapters/ioredis.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { testRedisPort } from "../conformance/redis_port.ts";
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startRedis } from "../support/redis_server.ts";

testRedisPort("ioredis", "ioredis", (url) => connect(url, { client: "ioredis" }) as Promise<RedisPort>);

describe("an ioredis client that the caller has", () => {
  it("lends its settings, and is left alone", async () => {
    const server = await startRedis({ password: "secret" });
    const own = new Redis(`${server.url}/2`, { keyPrefix: "app:", maxRetriesPerRequest: 3 });
    const redis = await connect(own);
    assert.deepEqual(await redis.exec([["SET", "k", "v"], ["GET", "k"]]), ["OK", "v"]);
    assert.equal(await server.cli("-n", "2", "GET", "k"), "v", "no prefix, the same database");
    let message = "";
    const got = new Promise<void>((resolve) => {
      redis.subscribe(["c"], (text) => (message = text, resolve()), () => {}).then(() => own.publish("c", "hello"));
    });
    await got;
    assert.equal(message, "hello");
    redis.close();
    assert.equal(await own.ping(), "PONG");
    own.disconnect();
    await server.stop();
  });

  it("F61: is refused when it is a cluster", async () => {
    const cluster = { isCluster: true } as unknown as IoredisClient;
    await assert.rejects(fromIoredis(cluster), /Cluster is not supported/);
  });
});
