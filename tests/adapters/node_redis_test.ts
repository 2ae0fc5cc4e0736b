import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient, createCluster } from "redis";
import { connect } from "../../src/adapters/connect.ts";
import type { NodeRedisClient } from "../../src/adapters/node_redis.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { lost } from "../conformance/redis_port_life.ts";
import { testRedisPort } from "../conformance/redis_port.ts";
import { freePort, startRedis } from "../support/redis_server.ts";
import { runScript } from "../support/run_script.ts";
import { until, within } from "../support/wait.ts";

const open = (url: string) => connect(url, { client: "redis" }) as Promise<RedisPort>;

testRedisPort("redis", "node-redis", open);

describe("connect with node-redis", () => {
  it("speaks through a Unix socket, as a user with a password, in a database", async () => {
    const folder = mkdtempSync(join(tmpdir(), "errand-socket-"));
    const path = join(folder, "redis.sock");
    const server = await startRedis({
      args: ["--unixsocket", path, "--user", "ada", "on", ">p@ss", "~*", "&*", "+@all"],
    });
    const redis = await open(`redis+unix://ada:p%40ss@localhost${path}?db=2`);
    assert.deepEqual(await redis.exec([["SET", "here", "1"], ["ACL", "WHOAMI"]]), ["OK", "ada"]);
    assert.equal(await server.cli("-n", "2", "GET", "here"), "1");
    redis.close();
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  it("says why a host name cannot be reached", async () => {
    const refused = open(`redis://localhost:${await freePort()}`);
    await assert.rejects(refused, (error) => /REFUSED/.test(String(error)) && lost(false)(error));
  });

  it("closes the socket that it gave up while it was dialling", async () => {
    let sockets = 0;
    const silent = createServer((socket) => {
      sockets++;
      socket.on("error", () => {}).on("close", () => sockets--).resume();
    });
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const dialled = assert.rejects(open(`rediss://127.0.0.1:${port}`), lost(false)); // It waits for a TLS handshake.
    await until(() => sockets === 1, "it dials");
    await within(dialled, "the end of its patience", 8000);
    await until(() => sockets === 0, "no socket is left", 500);
    silent.close();
  });

  it("says how to install the package where that is missing", async () => {
    const folder = mkdtempSync(join(tmpdir(), "errand-bare-"));
    cpSync(fileURLToPath(new URL("../../src", import.meta.url)), join(folder, "src"), { recursive: true });
    mkdirSync(join(folder, "node_modules")); // Without one, Bun would install what is imported.
    const script = join(folder, "script.ts");
    writeFileSync(
      script,
      `import { connect } from "./src/adapters/connect.ts";
      connect("redis://localhost", { client: "redis" }).catch((error) => console.log(error.name, error.message));`,
    );
    const { code, output } = await runScript(script, []);
    assert.match(output, /TypeError .*npm install redis.*deno add npm:redis.*bun add redis/);
    assert.equal(code, 0);
    rmSync(folder, { recursive: true });
  });
});

describe("a node-redis client that the caller has", () => {
  it("lends its settings, and is left alone", async () => {
    const server = await startRedis({ password: "secret" });
    const own = createClient({ url: `${server.url}/2`, keyPrefix: "app:", RESP: 3, clientSideCache: { ttl: 0 } });
    await own.connect();
    const redis = await connect(own);
    assert.deepEqual(await redis.exec([["SET", "k", "v"], ["GET", "k"]]), ["OK", "v"]);
    assert.equal(await server.cli("-n", "2", "GET", "k"), "v", "no prefix, the same database");
    let heard = "";
    await redis.subscribe(["c"], (message) => heard = message, () => {});
    await own.publish("c", "hello");
    await until(() => heard === "hello", "the message arrives");
    redis.close();
    assert.equal(await own.ping(), "PONG");
    own.destroy();
    await server.stop();
  });

  it("need not be connected, and is told at once when it has the wrong password", async () => {
    const server = await startRedis({ password: "right" });
    const own = createClient({ url: server.url.replace("right", "wrong") });
    await assert.rejects(
      within(connect(own), "an answer"),
      (error) => /WRONGPASS/.test(String(error)) && lost(false)(error),
    );
    own.destroy();
    await server.stop();
  });

  it("F61: is refused when it is a cluster", async () => {
    const cluster = createCluster({ rootNodes: [] });
    await assert.rejects(connect(cluster as unknown as NodeRedisClient), /only what createClient\(\) makes/);
  });
});
