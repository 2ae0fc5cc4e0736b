import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/adapters/connect.ts";
import { isReadableOnTheWay, warnOfPlainTcp } from "../../src/adapters/plain_tcp.ts";
import { parseRedisUrl, redact } from "../../src/adapters/url.ts";
import { ConnectionLostError } from "../../src/errors.ts";
import type { LogEntry } from "../../src/log.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { CLIENTS } from "../support/clients.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";

describe("parseRedisUrl", () => {
  const parse = (url: string) => {
    const { shown: _, ...target } = parseRedisUrl(url);
    return target;
  };
  const plain = { host: "localhost", port: 6379, tls: false, db: 0 };

  it("fills in what is left out", () => {
    assert.deepEqual(parse("redis://"), plain);
    assert.deepEqual(parse("redis://h"), { ...plain, host: "h" });
    assert.deepEqual(parse("redis://h/"), { ...plain, host: "h" });
    assert.deepEqual(parse("rediss://h:7000"), { ...plain, host: "h", port: 7000, tls: true });
  });

  it("reads user, password with escapes, database in path or query, and IPv6", () => {
    const login = { username: "me", password: "p@ss:w/ö%" };
    assert.deepEqual(parse("redis://me:p%40ss:w%2F%C3%B6%25@h:1/2"), { ...plain, ...login, host: "h", port: 1, db: 2 });
    assert.deepEqual(parse("redis://:pw@h?db=3"), { ...plain, password: "pw", host: "h", db: 3 });
    assert.deepEqual(parse("redis://[::1]:7/4"), { ...plain, host: "::1", port: 7, db: 4 });
  });

  it("reads Unix sockets", () => {
    assert.deepEqual(parse("unix:///run/redis.sock"), { ...plain, path: "/run/redis.sock" });
    assert.deepEqual(parse("redis+unix:///a%20b.sock?db=2"), { ...plain, path: "/a b.sock", db: 2 });
    const login = { username: "me", password: "p/w" };
    for (const host of ["", "localhost"]) {
      assert.deepEqual(parse(`unix://me:p%2Fw@${host}/run/redis.sock`), {
        ...plain,
        ...login,
        path: "/run/redis.sock",
      });
    }
  });

  it("refuses anything else, naming what is wrong and never the password", () => {
    const wrong: [url: string, reason: RegExp][] = [
      ["localhost", /not a URL/],
      ["", /not a URL/],
      ["http://h", /unknown scheme "http:"/],
      ["redis://:topsecret#1@h", /not a URL|%23/],
      ["redis://u:topsecret@h/x", /database "x"/],
      ["redis://u:topsecret@h/-1", /database/],
      ["redis://u:topsecret@h?timeout=1", /unknown parameter "timeout"/],
      ["redis://u:topsecret%zz@h", /begins no escape/],
      ["redis://u:topsecret@h:99999", /its port 99999 is greater than 65535/],
      ["redis://127.0.0.1:65536/1", /its port 65536/],
      ["redis://[::1]:99999", /its port 99999/],
      ["unix://", /path of the socket is missing/],
      ["redis://u:topsecret@h?insecure=yes", /insecure "yes" is not true/],
      ["rediss://u:topsecret@h?insecure=true", /for redis:\/\/ only\. Certificates are always checked/],
      ["unix:///s?insecure=true", /for redis:\/\/ only/],
    ];
    for (const [url, reason] of wrong) {
      assert.throws(() => parseRedisUrl(url), (error) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, reason);
        assert.doesNotMatch(`${error.message}${error.stack}`, /topsecret/);
        return true;
      });
    }
  });
});

describe("redact", () => {
  it("hides the password, also where it is not escaped", () => {
    assert.equal(redact("redis://me:secret@h:1/2"), "redis://me:***@h:1/2");
    assert.equal(redact("redis://:secret@h"), "redis://:***@h");
    assert.equal(redact("redis://me:se@cr:et@h"), "redis://me:***@h");
    assert.equal(redact("redis://me:sec/ret@h"), "redis://me:***@h");
    assert.equal(redact("me:secret@h"), "me:***@h");
    assert.equal(redact("redis://me@h"), "redis://me@h");
    assert.equal(redact("redis://h:6379/0"), "redis://h:6379/0");
  });
});

/** Every character that means something in a URL, and some that no URL has. */
const ODD = "@:/#?%25+&=;é ü😀%\\\"'[]";
const USER = ODD.replaceAll(" ", "_"); // Redis allows no space in the name of a user.
const escaped = encodeURIComponent;

describe("URLs of a Redis whose users and passwords are odd", () => {
  const folder = mkdtempSync(join(tmpdir(), "errand-url-"));
  const socket = join(folder, "a socket.sock");
  let server: RedisServer;
  before(async () => {
    server = await startRedis({ password: ODD, args: ["--unixsocket", socket] });
    await server.cli("ACL", "SETUSER", USER, "on", `>${ODD}`, "~*", "&*", "+@all");
    await server.cli("ACL", "SETUSER", "plain", "on", ">a+b é", "~*", "&*", "+@all");
  });
  after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  for (const client of CLIENTS) {
    it(`log in with ${client}, as the default user and as another, into a database`, async () => {
      const place = `127.0.0.1:${server.port}`;
      const urls: [url: string, user: string, db: string][] = [
        [`redis://:${escaped(ODD)}@${place}`, "default", "0"],
        [`redis://default:${escaped(ODD)}@${place}/3`, "default", "3"],
        [`redis://${escaped(USER)}:${escaped(ODD)}@${place}/4`, USER, "4"],
        [`redis://plain:a+b é@${place}?db=5`, "plain", "5"],
      ];
      for (const [url, user, db] of urls) assert.deepEqual(await whoAndWhere(url, client), [user, db]);
    });

    it(`refuse a wrong password with ${client}, without showing it`, async () => {
      for (const login of [`:wrong${escaped(ODD)}`, `${escaped(USER)}:wrong${escaped(ODD)}`, "plain:a b wrong"]) {
        await assert.rejects(connect(`redis://${login}@127.0.0.1:${server.port}`, { client }), (error) => {
          assert.ok(error instanceof ConnectionLostError);
          assert.match(error.message, /WRONGPASS/);
          assert.doesNotMatch(`${error.message}${error.stack}`, /wrong/);
          return true;
        });
      }
    });

    // Bun's client takes no password for a Unix socket, which `connect` refuses by name and else avoids.
    const sockets = client === "bun" ? undefined : client;
    it(`log in through a Unix socket with ${sockets ?? "the client that is chosen instead of bun"}`, async () => {
      const path = socket.replace(" ", "%20");
      const [byPassword, byUser] = [
        `unix://:${escaped(ODD)}@${path}`,
        `unix://${escaped(USER)}:${escaped(ODD)}@${path}?db=6`,
      ];
      assert.deepEqual(await whoAndWhere(byPassword, sockets), ["default", "0"]);
      assert.deepEqual(await whoAndWhere(byUser, sockets), [USER, "6"]);
      if (client === "bun") await assert.rejects(connect(byUser, { client }), /takes no password for a Unix socket/);
    });
  }

  /** The user and the database of a connection. */
  async function whoAndWhere(url: string, client?: (typeof CLIENTS)[number]): Promise<string[]> {
    const redis = await connect(url, client ? { client } : {}) as RedisPort;
    const [user, info] = await redis.exec([["ACL", "WHOAMI"], ["CLIENT", "LIST", "ID", await idOf(redis)]]);
    redis.close();
    return [String(user), /\bdb=(\d+)/.exec(String(info))?.[1] ?? ""];
  }

  async function idOf(redis: RedisPort): Promise<string> {
    return String((await redis.exec([["CLIENT", "ID"]]))[0]);
  }
});

describe("plain TCP to another machine", () => {
  const isReadable = (url: string) => isReadableOnTheWay(parseRedisUrl(url));

  it("is what can be read on its way; this machine, TLS and Unix sockets are not", () => {
    const open = [
      "redis.example",
      "10.0.0.1",
      "128.0.0.1",
      "127.example",
      "localhost.example",
      "0.0.0.0",
      "[fe80::1]",
      "[::2]",
    ];
    for (const host of open) assert.equal(isReadable(`redis://u:p@${host}:1/2`), true, host);
    const here = ["127.0.0.1", "127.8.9.10", "localhost", "LOCALHOST", "app.localhost", "[::1]", "[::ffff:127.0.0.1]"];
    for (const host of here) assert.equal(isReadable(`redis://u:p@${host}:1/2`), false, host);
    for (const url of ["redis://", "rediss://redis.example", "unix:///run/redis.sock"]) {
      assert.equal(isReadable(url), false);
    }
  });

  it("is warned of once per address, with the risk and the ways out, and without the password", () => {
    const log: LogEntry[] = [];
    const warn = (url: string) => warnOfPlainTcp(parseRedisUrl(url), (entry) => void log.push(entry));
    for (const url of ["redis://:topsecret@one.example", "redis://:topsecret@one.example:6379/2"]) warn(url);
    assert.deepEqual(log.map(({ level }) => level), ["warn"]);
    assert.match(log[0]!.message, /one\.example:6379 is not encrypted: whoever is on the way can read and change/);
    assert.match(log[0]!.message, /rediss:\/\/.*Unix socket.*\?insecure=true/);
    assert.doesNotMatch(log[0]!.message, /topsecret/);
    warn("redis://one.example:6380");
    warn("redis://[fe80::1]");
    warn("redis://two.example?insecure=true");
    assert.deepEqual(log.slice(1).map(({ message }) => /at (\S+)/.exec(message)?.[1]), [
      "one.example:6380",
      "[fe80::1]:6379",
    ]);
  });

  it("is warned of by connect, on the log that it was given", async () => {
    const server = await startRedis();
    const log: LogEntry[] = [];
    const say = (entry: LogEntry) => {
      log.push(entry);
      throw new Error("a log that fails harms nothing");
    };
    // 0.0.0.0 leads to this machine, but nothing says so.
    for (const host of ["127.0.0.1", "localhost", "0.0.0.0", "0.0.0.0"]) {
      (await connect(`redis://${host}:${server.port}`, { log: say }) as RedisPort).close();
    }
    const warnings = log.filter(({ level }) => level === "warn");
    assert.deepEqual(warnings.map(({ message }) => /at (\S+)/.exec(message)?.[1]), [`0.0.0.0:${server.port}`]);
    await server.stop();
  });
});
