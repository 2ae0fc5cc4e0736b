/**
 * What every {@linkcode RedisPort} must do, whatever client it stands on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ClientName } from "../../src/adapters/connect.ts";
import { type RedisPort, RedisReplyError } from "../../src/port/redis.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until, within } from "../support/wait.ts";
import { type ConnectFn, lost, type Server, testConnect, testProcessEnd } from "./redis_port_life.ts";

/**
 * Runs the suite; `client` is how `connect` calls what `connectFn` uses, or the URL of a module whose default export is
 * `connectFn`: some of it is tested in a process of its own.
 */
export function testRedisPort(client: ClientName | URL, name: string, connectFn: ConnectFn): void {
  describe(`${name} as a Redis port`, () => {
    let server: RedisServer;
    before(async () => void (server = await startRedis()));
    after(() => server.stop());
    describe("exec", () => testExec(() => server, connectFn));
    describe("a broken connection", () => testBreaks(() => server, connectFn));
    describe("blocking", () => testBlocking(() => server, connectFn));
    describe("subscribe", () => testSubscribe(() => server, connectFn));
    describe("connect", () => testConnect(() => server, connectFn));
    describe("the end of a process", () => testProcessEnd(() => server, String(client)));
  });
}

function testExec(server: Server, connectFn: ConnectFn): void {
  const open = () => connectFn(server().url);
  let redis: RedisPort;
  before(async () => void (redis = await open()));
  after(() => redis.close());

  it("answers in order, in one call and across calls", async () => {
    const words = Array.from({ length: 500 }, (_, index) => `w${index}`);
    assert.deepEqual(await redis.exec(words.map((word) => ["ECHO", word])), words);
    const calls = await Promise.all(words.map((word) => redis.exec([["ECHO", word]])));
    assert.deepEqual(calls.flat(), words);
    assert.deepEqual(await redis.exec([]), []);
  });

  it("gives server errors as values with their code, beside the other answers", async () => {
    const replies = await redis.exec([["SET", "text", "a"], ["LPUSH", "text", "b"], ["GET", "text"], ["NOSUCH"]]);
    assert.equal(replies[0], "OK");
    assert.equal(codeOf(replies[1]), "WRONGTYPE");
    assert.equal(replies[2], "a");
    assert.equal(codeOf(replies[3]), "ERR");
    assert.equal(codeOf((await redis.exec([["LPUSH", "text", "b"]]))[0]), "WRONGTYPE");
  });

  it("carries any text unchanged", async () => {
    const text = "é漢🎈\u0000\r\n\"'{}|" + "x".repeat(100_000);
    assert.deepEqual(await redis.exec([["SET", text.slice(0, 30), text], ["GET", text.slice(0, 30)]]), ["OK", text]);
    assert.deepEqual(await redis.exec([["SET", "", ""], ["GET", ""], ["GET", "absent"]]), ["OK", "", null]);
  });

  it("gives what scripts return: strings, integers, nulls, nested arrays, own error codes", async () => {
    const script = "return {1, 'two', false, {ARGV[1], {}}, 1700000000000001}";
    const own = "return redis.error_reply('TASKGONE task ' .. KEYS[1])";
    const replies = await redis.exec([["EVAL", script, "0", "ü"], ["EVAL", own, "1", "k"], ["EVAL", "return 7", "0"]]);
    assert.deepEqual(replies[0], [1, "two", null, ["ü", []], 1700000000000001]);
    assert.equal(codeOf(replies[1]), "TASKGONE");
    assert.match(String((replies[1] as RedisReplyError).message), /^TASKGONE task k/);
    assert.equal(replies[2], 7);
  });

  it("gives NOSCRIPT as a value and runs the script once it is loaded", async () => {
    const [sha] = await redis.exec([["EVAL", "return redis.sha1hex('return 42')", "0"]]);
    assert.equal(codeOf((await redis.exec([["EVALSHA", String(sha), "0"]]))[0]), "NOSCRIPT");
    const replies = await redis.exec([["SCRIPT", "LOAD", "return 42"], ["EVALSHA", String(sha), "0"]]);
    assert.deepEqual(replies, [sha, 42]);
  });

  it("rejects after close, and says that nothing was sent", async () => {
    const other = await open();
    other.close();
    await assert.rejects(other.exec([["PING"]]), lost(false));
    assert.equal(await server().cli("PING"), "PONG");
  });
}

function testBreaks(server: Server, connectFn: ConnectFn): void {
  let redis: RedisPort;
  let proxy: Proxy;
  before(async () => {
    proxy = await startProxy(server().port);
    redis = await connectFn(proxy.url);
  });
  after(async () => {
    redis.close();
    await proxy.close();
  });

  it("F25 F32: rejects what was in flight with sent: true, runs it once, and recovers", async () => {
    await server().cli("SET", "count", "0");
    const id = String((await redis.exec([["CLIENT", "ID"]]))[0]);
    const pending = redis.exec([["INCR", "count"], ["CLIENT", "KILL", "ID", id, "SKIPME", "no"], ["INCR", "never"]]);
    await assert.rejects(pending, lost(true));
    await until(() => answers(redis), "it answers again");
    assert.equal(await server().cli("GET", "count"), "1");
  });

  it("F32: does not send again what lost its answer", async () => {
    await server().cli("SET", "count", "0");
    proxy.cutAfter(1);
    await assert.rejects(redis.exec([["INCR", "count"], ["INCR", "count"]]), lost(true));
    await until(() => answers(redis), "it answers again");
    assert.equal(await server().cli("GET", "count"), "2");
  });

  it("waits a short while when Redis is away, and then says that nothing was sent", async () => {
    proxy.refuse(true);
    proxy.reset();
    await until(() => proxy.connections === 0, "the connection is gone");
    await redis.exec([["PING"]]).catch(() => {});
    const start = performance.now();
    await assert.rejects(redis.exec([["INCR", "unsent"]]), lost(false));
    assert.ok(performance.now() - start < 3000, "fails fast while it is known to be down");
    const early = redis.exec([["INCR", "unsent"]]);
    proxy.refuse(false);
    await early.catch(lost(false));
    await until(() => answers(redis), "it answers again");
    assert.match(await server().cli("GET", "unsent"), /^1?$/);
  });

  it("F30: survives a restart of the server", async () => {
    await server().kill9();
    await redis.exec([["PING"]]).catch(() => {});
    await server().restart();
    await until(() => answers(redis), "it answers again");
  });
}

function testBlocking(server: Server, connectFn: ConnectFn): void {
  let redis: RedisPort;
  before(async () => void (redis = await connectFn(server().url)));
  after(() => redis.close());
  const waiters = async () =>
    (await server().cli("CLIENT", "LIST")).split("\n").filter((line) => / flags=\w*b/.test(line)).length;

  it("F34: gives the value, or null when the time is over, while exec goes on", async () => {
    const blocking = await redis.blocking();
    const popped = blocking.call(["BLPOP", "bell", "0"], 5000);
    await until(async () => await waiters() === 1, "it waits");
    assert.deepEqual(await redis.exec([["RPUSH", "bell", "ding"]]), [1]);
    assert.deepEqual(await popped, ["bell", "ding"]);
    assert.equal(await blocking.call(["BLPOP", "bell", "0.01"], 5000), null);
    blocking.close();
  });

  it("F35: leaves no waiter on the server after cancel, and can be used again", async () => {
    const blocking = await redis.blocking();
    for (let round = 0; round < 5; round++) {
      const pending = assert.rejects(blocking.call(["BLPOP", "bell", "0"], 60_000), lost(true));
      await until(async () => await waiters() === 1, "it waits");
      await blocking.cancel();
      const [list] = await redis.exec([["CLIENT", "LIST"]]);
      assert.doesNotMatch(String(list), / flags=\w*b/);
      await pending;
    }
    await redis.exec([["RPUSH", "bell", "ding"]]);
    assert.deepEqual(await blocking.call(["BLPOP", "bell", "1"], 5000), ["bell", "ding"]);
    blocking.close();
  });

  it("ends a call that is cancelled while it is still dialling, and sends nothing", async () => {
    const blocking = await redis.blocking();
    const pending = assert.rejects(blocking.call(["BLPOP", "bell", "0"], 60_000), lost(false));
    await blocking.cancel();
    await within(pending, "the call to end");
    assert.equal(await waiters(), 0);
    await blocking.cancel();
    blocking.close();
  });

  it("rejects when its connection is killed, or closed, and leaves no waiter", async () => {
    const blocking = await redis.blocking();
    const killed = assert.rejects(blocking.call(["BLPOP", "bell", "0"], 60_000), lost(true));
    await until(async () => await waiters() === 1, "it waits");
    const line = (await server().cli("CLIENT", "LIST")).split("\n").find((entry) => / flags=\w*b/.test(entry));
    await server().cli("CLIENT", "KILL", "ID", /id=(\d+)/.exec(line ?? "")?.[1] ?? "");
    await killed;
    const closed = assert.rejects(blocking.call(["BLPOP", "bell", "0"], 60_000), lost(true));
    await until(async () => await waiters() === 1, "it waits again");
    blocking.close();
    await closed;
    await until(async () => await waiters() === 0, "no waiter is left");
  });

  it("F27: gives up a dead link at its deadline, frees the server of it, and dials again", async () => {
    const proxy = await startProxy(server().port);
    const direct = await connectFn(server().url);
    const redis = await connectFn(proxy.url);
    const blocking = await redis.blocking();
    assert.equal(await blocking.call(["BLPOP", "bell", "0.01"], 5000), null);
    proxy.freeze();
    await assert.rejects(blocking.call(["BLPOP", "bell", "0"], 300), lost(true));
    proxy.thaw();
    await until(async () => await waiters() === 0, "the server has forgotten it");
    await direct.exec([["RPUSH", "bell", "ding"]]);
    assert.deepEqual(await blocking.call(["BLPOP", "bell", "1"], 5000), ["bell", "ding"]);
    redis.close();
    direct.close();
    await proxy.close();
  });
}

function testSubscribe(server: Server, connectFn: ConnectFn): void {
  it("receives messages of its channels until it is closed", async () => {
    const redis = await connectFn(server().url);
    const seen: string[] = [];
    const subscription = await redis.subscribe(
      ["a", "b|é"],
      (message, channel) => seen.push(`${channel}:${message}`),
      () => {},
    );
    await redis.exec([["PUBLISH", "a", "1"], ["PUBLISH", "b|é", "zwei ü"], ["PUBLISH", "c", "3"]]);
    await until(() => seen.length === 2, "both messages are there");
    assert.deepEqual(seen, ["a:1", "b|é:zwei ü"]);
    subscription.close();
    await until(async () => (await redis.exec([["PUBLISH", "a", "4"]]))[0] === 0, "nobody listens any more");
    assert.equal(seen.length, 2);
    redis.close();
  });

  it("F36: restores itself when it was killed, several times, and says that messages may be missing", async () => {
    const redis = await connectFn(server().url);
    const seen: string[] = [];
    let gaps = 0;
    const subscription = await redis.subscribe(["a"], (message) => seen.push(message), () => gaps++);
    assert.equal(gaps, 0);
    for (let round = 1; round <= 3; round++) {
      await server().cli("CLIENT", "KILL", "TYPE", "pubsub");
      await until(() => gaps === round, "it is restored");
      await redis.exec([["PUBLISH", "a", String(round)]]);
      await until(() => seen.length === round, "the message arrives");
    }
    assert.deepEqual(seen, ["1", "2", "3"], "each message once");
    subscription.close();
    redis.close();
  });

  it("restores itself after an outage", async () => {
    const proxy = await startProxy(server().port);
    const redis = await connectFn(proxy.url);
    let gaps = 0;
    let last = "";
    await redis.subscribe(["a"], (message) => last = message, () => gaps++);
    proxy.refuse(true);
    proxy.reset();
    await redis.exec([["PING"]]).catch(() => {});
    await redis.exec([["PING"]]).catch(() => {});
    assert.equal(gaps, 0);
    proxy.refuse(false);
    await until(() => gaps === 1, "it is restored");
    await server().cli("PUBLISH", "a", "back");
    await until(() => last === "back", "the message arrives");
    redis.close();
    await proxy.close();
  });
}

function codeOf(reply: unknown): string {
  assert.ok(reply instanceof RedisReplyError, `an error value, not ${String(reply)}`);
  return reply.code;
}

function answers(redis: RedisPort): Promise<boolean> {
  return redis.exec([["PING"]]).then(() => true, () => false);
}
