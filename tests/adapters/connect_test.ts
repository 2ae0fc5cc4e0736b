import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect, type ConnectOptions } from "../../src/adapters/connect.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { MemoryRedis } from "../../src/store/memory/memory_redis.ts";
import { startRedis } from "../support/redis_server.ts";

describe("connect", () => {
  it("makes a memory world of its own for memory:", async () => {
    const one = await connect("memory:");
    assert.ok(one instanceof MemoryRedis);
    assert.notEqual(one, await connect("memory:"));
  });

  it("refuses unknown options, clients and targets", async () => {
    const refuse = (promise: Promise<unknown>, reason: RegExp) =>
      assert.rejects(promise, (error) => error instanceof TypeError && reason.test(error.message));
    await refuse(connect("redis://h", { clent: "bun" } as ConnectOptions), /unknown option "clent"/);
    await refuse(connect("redis://h", { client: "node" } as unknown as ConnectOptions), /unknown client "node"/);
    await refuse(connect({} as never), /expected a URL, a client of ioredis or node-redis, or a Bun.RedisClient/);
    await refuse(connect(undefined as never), /expected a URL/);
    await refuse(connect("memory"), /not a URL/);
  });

  it("speaks through a Unix socket, with database and password", async () => {
    const folder = mkdtempSync(join(tmpdir(), "errand-socket-"));
    const path = join(folder, "redis.sock");
    for (const password of [undefined, "secret"]) {
      const server = await startRedis({ args: ["--unixsocket", path], ...(password ? { password } : {}) });
      const login = password ? `:${password}@localhost` : "";
      const redis = await connect(`redis+unix://${login}${path}?db=2`) as RedisPort;
      await redis.exec([["SET", "here", "1"]]);
      assert.equal(await server.cli("-n", "2", "GET", "here"), "1");
      redis.close();
      await server.stop();
    }
    rmSync(folder, { recursive: true });
  });
});
