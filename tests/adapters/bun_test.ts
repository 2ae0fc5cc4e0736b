import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bunRedis } from "../../src/adapters/bun.ts";
import { connect } from "../../src/adapters/connect.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { testRedisPort } from "../conformance/redis_port.ts";
import { startRedis } from "../support/redis_server.ts";
import { until } from "../support/wait.ts";

const RedisClient = bunRedis();

if (RedisClient) {
  testRedisPort("bun", "Bun.RedisClient", (url) => connect(url, { client: "bun" }) as Promise<RedisPort>);

  describe("a Bun.RedisClient that the caller has", () => {
    it("lends its settings, and is left alone", async () => {
      const server = await startRedis({ password: "secret" });
      const own = new RedisClient(`${server.url}/2`, {});
      const redis = await connect(own);
      assert.deepEqual(await redis.exec([["SET", "k", "v"], ["GET", "k"]]), ["OK", "v"]);
      assert.equal(await server.cli("-n", "2", "GET", "k"), "v", "the same database");
      const seen: string[] = [];
      let gaps = 0;
      await redis.subscribe(["c"], (text) => seen.push(text), () => gaps++);
      await server.cli("CLIENT", "KILL", "TYPE", "pubsub");
      await until(() => gaps === 1, "it is restored");
      await redis.exec([["PUBLISH", "c", "hello"]]);
      await until(() => seen.length > 0, "the message arrives");
      assert.deepEqual(seen, ["hello"]);
      redis.close();
      assert.equal(await own.send("PING", []), "PONG");
      own.close();
      await server.stop();
    });
  });
} else {
  describe("Bun's client on another runtime", () => {
    it("is refused by name", async () => {
      await assert.rejects(connect("redis://127.0.0.1:1", { client: "bun" }), /no Bun\.RedisClient/);
    });
  });
}
