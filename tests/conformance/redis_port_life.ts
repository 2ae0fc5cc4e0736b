/**
 * What every {@linkcode RedisPort} must do at its beginning and at the end of its process. Part of `redis_port.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { ConnectionLostError } from "../../src/errors.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { startProxy } from "../support/proxy.ts";
import { freePort, type RedisServer, startRedis } from "../support/redis_server.ts";
import { runScript } from "../support/run_script.ts";
import { until, within } from "../support/wait.ts";

/** Opens the port under test. */
export type ConnectFn = (url: string) => Promise<RedisPort>;
/** The server of the suite, once it runs. */
export type Server = () => RedisServer;

/** How it begins: what is said when it cannot. */
export function testConnect(server: Server, connectFn: ConnectFn): void {
  it("logs in with a password of special characters, and chooses the database", async () => {
    const secret = await startRedis({ password: "p@s/s wörd%#" });
    const redis = await connectFn(`${secret.url}/3`);
    await redis.exec([["SET", "here", "1"]]);
    assert.equal(await secret.cli("-n", "3", "GET", "here"), "1");
    redis.close();
    await secret.stop();
  });

  it("F39: names a wrong or missing password, and never shows it", async () => {
    const secret = await startRedis({ password: "right" });
    const wrong = secret.url.replace("right", "topsecret");
    await assert.rejects(within(connectFn(wrong), "an answer"), (error) => {
      assert.match(String(error), /WRONGPASS/);
      assert.doesNotMatch(`${error}${(error as Error).stack}`, /topsecret/);
      return lost(false)(error);
    });
    const none = within(connectFn(`redis://127.0.0.1:${secret.port}`), "an answer");
    await assert.rejects(none, (error) => /NOAUTH/.test(String(error)) && lost(false)(error));
    await secret.stop();
  });

  it("F29: names an address that refuses, and one that does not exist", async () => {
    const port = await freePort();
    const refused = within(connectFn(`redis://127.0.0.1:${port}`), "an answer");
    await assert.rejects(
      refused,
      (error) => new RegExp(`${port}.*REFUSED`, "i").test(String(error)) && lost(false)(error),
    );
    const unknown = within(connectFn("redis://no-such-host.invalid:6379"), "an answer", 8000);
    await assert.rejects(unknown, (error) => /no-such-host/.test(String(error)) && lost(false)(error));
  });

  it("refuses a database that the server does not have", async () => {
    const refused = within(connectFn(`${server().url}/99`), "an answer");
    await assert.rejects(refused, (error) => /out of range/.test(String(error)) && lost(false)(error));
  });

  it("F27: gives up a server that accepts and never answers", async () => {
    const silent = await startProxy(server().port);
    silent.freeze();
    const refused = within(connectFn(silent.url), "an answer", 8000);
    await assert.rejects(refused, (error) => /no answer within/.test(String(error)) && lost(false)(error));
    await silent.close();
  });
}

/** How it ends: nothing of it keeps a process alive that waits for nothing. */
export function testProcessEnd(server: Server, client: string): void {
  const run = (task: string) => runScript("tests/adapters/idle_script.ts", [server().url, client, task]);

  it("comes by itself when the connection is idle, also after it was made anew", async () => {
    for (const task of ["idle", "reconnect"]) {
      const { code, output } = await run(task);
      assert.match(output, /pong/);
      assert.equal(code, 0, `${task}: ${output}`);
    }
  });

  it("comes at once after close, also when the server has closed the connection before, or refused it", async () => {
    for (const task of ["close", "broken", "refused"]) {
      const { code, output } = await run(task);
      const ended = Number(/ended after (\d+) ms/.exec(output)?.[1]);
      assert.ok(code === 0 && ended < 1000, `${task}: ${output}`);
    }
  });

  it("waits for a blocking call", async () => {
    const { code, output } = await run("blocking");
    assert.match(output, /popped null/);
    assert.equal(code, 0, output);
  });

  it("waits for a subscription", async () => {
    const end = run("subscription");
    const publish = async () => await server().cli("PUBLISH", "idle-channel", "bye") === "1";
    await until(publish, "it listens", 10_000);
    const { code, output } = await end;
    assert.match(output, /message bye/);
    assert.equal(code, 0, output);
  });
}

/** A validator: a `ConnectionLostError` with this `sent`. */
export function lost(sent: boolean): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ConnectionLostError, String(error));
    assert.equal(error.sent, sent, error.message);
    return true;
  };
}
