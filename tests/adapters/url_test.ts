import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRedisUrl, redact } from "../../src/adapters/url.ts";

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
