/**
 * The client of Deno: held to the port where it can be imported (see `scriptArguments` for how), and elsewhere to saying
 * how it can be had.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/adapters/connect.ts";
import { dbRedisDialer, dbRedisUnfit, isDbRedis } from "../../src/adapters/db_redis.ts";
import { type DbRedisModule, importDbRedis, isDeno } from "../../src/adapters/db_redis_module.ts";
import { parseRedisUrl } from "../../src/adapters/url.ts";
import type { Wire } from "../../src/adapters/wire.ts";
import type { LogEntry } from "../../src/log.ts";
import type { RedisPort, RedisReplyError } from "../../src/port/redis.ts";
import { lost } from "../conformance/redis_port_life.ts";
import { testRedisPort } from "../conformance/redis_port.ts";
import { CutProxy } from "../cuts/cut_proxy.ts";
import { Authority } from "../support/certificates.ts";
import { startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until, within } from "../support/wait.ts";

const CLIENT = "@db/redis";
const open = (url: string, options = {}) => connect(url, { client: CLIENT, ...options }) as Promise<RedisPort>;
const NESTED = "return {1, redis.error_reply('ODD one'), 'a', 'b'}";
const redis = await importDbRedis().catch((error: TypeError) => error);

if (redis instanceof Error) testAbsent(redis);
else {
  testRedisPort(CLIENT, CLIENT, open);
  testPeculiarities(redis);
  testWire(redis);
}
testLimits();

function testAbsent(failure: TypeError): void {
  describe("@db/redis where it cannot be had", () => {
    it("is refused by name, with the way to it", async () => {
      const expected = isDeno()
        ? /`deno add jsr:@db\/redis`, map "jsr:@db\/redis@\^0\.41\.0".* \{ client: redis \}/
        : /it needs Deno/;
      await assert.rejects(open("redis://127.0.0.1:1"), (error) => error === failure && expected.test(failure.message));
    });

    it("gives way to another client by default, which is said once, and only where it would have been the default", async () => {
      const server = await startRedis();
      const entries: LogEntry[] = [];
      const log = (entry: LogEntry) => void entries.push(entry);
      const quiet = await connect(server.url, { client: "ioredis", log }) as RedisPort;
      assert.deepEqual(entries, []);
      const ports = [await connect(server.url, { log }), await connect(server.url, { log })] as RedisPort[];
      for (const port of [quiet, ...ports]) {
        assert.deepEqual(await port.exec([["PING"]]), ["PONG"]);
        port.close();
      }
      assert.equal(entries.length, isDeno() ? 1 : 0);
      for (const { level, message, error } of entries) {
        assert.equal(level, "info");
        assert.match(message, /ioredis is used, .*faster.*`deno add jsr:@db\/redis`.*\{ client: "ioredis" \}/);
        assert.equal(error, failure);
      }
      await server.stop();
    });
  });
}

function testPeculiarities(module: DbRedisModule): void {
  describe("@db/redis", () => {
    let server: RedisServer;
    before(async () => void (server = await startRedis()));
    after(() => server.stop());

    it("is the default, and says nothing then", async () => {
      const entries: LogEntry[] = [];
      const port = await connect(server.url, { log: (entry) => void entries.push(entry) }) as RedisPort;
      await assert.rejects(port.exec([["EVAL", NESTED, "0"]]), lost(true)); // No other client minds.
      assert.deepEqual(entries, []);
      port.close();
    });

    it("can be handed over as a module, which is what errand from npm needs", async () => {
      const port = await connect(server.url, { client: module }) as RedisPort;
      await assert.rejects(port.exec([["EVAL", NESTED, "0"]]), lost(true)); // No other client minds.
      port.close();
      await assert.rejects(connect("unix:///s", { client: module }), /client "@db\/redis" for unix/);
    });

    it("keeps a byte order mark in front of a text, as other clients do", async () => {
      const port = await open(server.url);
      const [text, list] = await port.exec([["ECHO", "\uFEFFx"], ["EVAL", "return {ARGV[1]}", "0", "\uFEFFy"]]);
      assert.deepEqual([text, list], ["\uFEFFx", ["\uFEFFy"]]);
      const heard = new Promise<string>((resolve) => {
        port.subscribe(["c"], resolve, () => {}).then(() => port.exec([["PUBLISH", "c", "\uFEFFz"]]));
      });
      assert.equal(await within(heard, "the message"), "\uFEFFz");
      port.close();
    });

    it("drops a connection whose replies are shifted after an error within an array", async () => {
      const port = await open(server.url);
      const early = port.exec([["ECHO", "1"], ["EVAL", NESTED, "0"], ["ECHO", "2"]]);
      const late = port.exec([["ECHO", "3"]]);
      await assert.rejects(early, (error) => lost(true)(error) && /within an array/.test(String(error)));
      await assert.rejects(late, lost(true));
      await assert.rejects(port.exec([["EVAL", NESTED, "0"]]), lost(true));
      assert.deepEqual(await port.exec([["ECHO", "4"], ["ECHO", "5"]]), ["4", "5"]);
      port.close();
    });

    it("takes no half reply for an answer: where a connection ends, half a number is a number to the client", async () => {
      const proxy = new CutProxy(server.port);
      await proxy.listen();
      const port = await open(proxy.url);
      await server.cli("SET", "k", "text");
      for (let after = 0; after <= 24; after++) {
        await until(() => port.exec([["PING"]]).then(() => true, () => false), "the connection is there");
        proxy.count({ direction: "answer", after, how: "end" });
        const calls = [
          port.exec([["GET", "k"], ["STRLEN", "k"], ["EVAL", "return 1234", "0"]]),
          port.exec([["ECHO", "x"]]),
        ];
        for (const [index, expected] of [["text", 4, 1234], ["x"]].entries()) {
          const answer = await calls[index]!.catch((error) => lost(true)(error) ? expected : error);
          assert.deepEqual(answer, expected, `after byte ${after}`);
        }
      }
      port.close();
      await proxy.close();
    });

    it("takes an error for an answer also when PING itself is forbidden", async () => {
      await server.cli("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+get", "+set");
      const port = await open(server.url.replace("//", "//mute:pw@"));
      const [set, ping, get] = await port.exec([["SET", "k", "v"], ["PING"], ["GET", "k"]]);
      assert.deepEqual([set, (ping as RedisReplyError).code, get], ["OK", "NOPERM", "v"]);
      port.close();
    });

    it("logs in as a user whose name and password are full of odd characters", async () => {
      await server.cli("ACL", "SETUSER", "ü@:/", "on", ">p w%", "~*", "+@all");
      const login = `${encodeURIComponent("ü@:/")}:${encodeURIComponent("p w%")}`;
      const port = await open(server.url.replace("//", `//${login}@`));
      assert.deepEqual(await port.exec([["ACL", "WHOAMI"]]), ["ü@:/"]);
      port.close();
    });

    it("speaks TLS to a server whose authority it is given, as text or bytes, and to no other", async () => {
      const authority = new Authority("ours");
      const { cert, key } = authority.issue({ name: "a server", hosts: ["localhost"] });
      const secure = await startRedis({ tls: { cert, key, ca: authority.cert, wantsCertificate: false } });
      const url = `rediss://localhost:${secure.tlsPort}`;
      for (const ca of [authority.cert, [new TextEncoder().encode(authority.cert)]]) {
        const port = await open(url, { tls: { ca } });
        assert.deepEqual(await port.exec([["PING"]]), ["PONG"]);
        const seen: string[] = [];
        let gaps = 0;
        await port.subscribe(["c"], (message) => seen.push(message), () => gaps++);
        await secure.cli("CLIENT", "KILL", "TYPE", "pubsub");
        await until(() => gaps === 1, "it is restored");
        await port.exec([["PUBLISH", "c", "hello"]]);
        await until(() => seen.length === 1, "the message arrives");
        port.close();
      }
      await assert.rejects(open(url), (error) => /certificate/i.test(String(error)) && lost(false)(error));
      await secure.stop();
    });

    it("is refused when it is given as a client, since no second one can be made of it", async () => {
      const own = module.createLazyClient({
        ...{ hostname: "127.0.0.1", port: server.port, db: 0, tls: false, maxRetryCount: 1, noDelay: true },
      });
      assert.ok(isDbRedis(own));
      await assert.rejects(connect(own as never), (error) => {
        return error instanceof TypeError && /connect\(url, \{ client: "@db\/redis" \}\)/.test(error.message);
      });
    });
  });
}

/** One wire: what the port above it cannot show within seconds. */
function testWire(module: DbRedisModule): void {
  describe("a wire of @db/redis", () => {
    let server: RedisServer;
    before(async () => void (server = await startRedis()));
    after(() => server.stop());
    const dial = (url: string, onEnd = (_reason: unknown) => {}): Wire =>
      dbRedisDialer(module, parseRedisUrl(url)).open(onEnd);

    it("proves that it lives while it is subscribed, and loses no message by that", async () => {
      const wire = dial(server.url);
      await wire.opened;
      const seen: string[] = [];
      await wire.subscribe(["a", "b"], (message, channel) => seen.push(channel + message));
      assert.equal(await server.cli("PUBLISH", "b", "0"), "1", "confirmed means that every channel is");
      for (let round = 1; round <= 20; round++) {
        const proof = wire.send([["PING"]]);
        await server.cli("PUBLISH", round % 2 ? "a" : "b", String(round));
        assert.deepEqual(await proof, ["PONG"]);
      }
      await until(() => seen.length === 21, "all messages are there");
      assert.deepEqual(seen, Array.from({ length: 21 }, (_, round) => (round % 2 ? "a" : "b") + round));
      wire.destroy();
    });

    it("gives no proof over a dead link, and ends what waits for one", async () => {
      const proxy = await startProxy(server.port);
      let ended: unknown;
      const wire = dial(proxy.url, (reason) => ended ??= reason);
      await wire.opened;
      await wire.subscribe(["a"], () => {});
      proxy.freeze();
      const proof = wire.send([["PING"]]).then(() => "a proof", () => "none");
      wire.destroy();
      assert.equal(await within(proof, "its end"), "none");
      assert.ok(ended instanceof Error);
      await proxy.close();
    });

    it("refuses a subscription to a channel that its user may not hear", async () => {
      await server.cli("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels", "&open");
      const wire = dial(server.url.replace("//", "//deaf:pw@"));
      await wire.opened;
      await assert.rejects(wire.subscribe(["open", "shut"], () => {}), /^RedisReplyError: NOPERM/);
      wire.destroy();
    });

    it("can be destroyed at any time, twice, and dials no more", async () => {
      const proxy = await startProxy(server.port);
      const before = dial(proxy.url);
      before.destroy();
      before.destroy();
      await assert.rejects(within(before.opened, "its end"));
      const dialled = dial(proxy.url);
      await until(() => proxy.connections > 0, "it dials");
      dialled.destroy();
      await dialled.opened.catch(() => {});
      const blocked = dial(proxy.url);
      await blocked.opened;
      const popped = assert.rejects(blocked.send([["BLPOP", "none", "0"]]));
      const listening = dial(proxy.url);
      await listening.opened;
      await listening.subscribe(["a"], () => {});
      blocked.destroy();
      listening.destroy();
      await within(popped, "the blocked call to end");
      await until(() => proxy.connections === 0, "no connection is left");
      await proxy.close();
    });
  });
}

function testLimits(): void {
  describe("what @db/redis cannot do", () => {
    it("is left to another client, or refused when it is asked for by name", async () => {
      const unfit = (url: string, tls?: Record<string, unknown>) =>
        dbRedisUnfit(parseRedisUrl(url), tls === undefined ? {} : { tls });
      assert.equal(unfit("redis://h"), undefined);
      assert.equal(unfit("rediss://h", { ca: "…" }), undefined);
      assert.match(unfit("unix:///s") ?? "", /Unix/);
      assert.match(unfit("rediss://h", { ca: "…", cert: "…" }) ?? "", /"cert"/);
      await assert.rejects(
        open("unix:///s"),
        (error) => error instanceof TypeError && /"@db\/redis" for unix:\/\/\/s: it knows no Unix/.test(error.message),
      );
    });
  });
}
