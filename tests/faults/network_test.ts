/** Answers that are no answers, and a subscriber that cannot keep up: nobody gets another's answer, nobody waits for ever. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { connect, type RedisPort, type RedisTask, RedisTaskQueue } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { deferred } from "../support/listening.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { until, within } from "../support/wait.ts";

const SLOW = { timeout: 60_000 };
const keys = keysOf("net", "task-queue");

describe("a client behind a bad network", () => {
  let server: RedisServer;
  let proxy: Proxy;
  let ports: RedisPort[];
  let worker: RedisTaskQueue;
  let client: RedisTaskQueue;
  let gate = deferred();

  before(async () => void (server = await startRedis()));
  after(() => server.stop());
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    proxy = await startProxy(server.port);
    ports = await Promise.all([server.url, proxy.url].map((url) => connect(url) as Promise<RedisPort>));
    gate = deferred();
    const taskFn = {
      echo: (task: RedisTask) => task.params,
      gated: () => gate.promise.then(() => "through"),
    };
    worker = new RedisTaskQueue(ports[0]!, "net", { taskFn, interval: 200, log: () => {} }) as RedisTaskQueue;
    client = new RedisTaskQueue(ports[1]!, "net", { interval: 200, timeout: 40_000, log: () => {} });
    void worker.listen(["echo", "gated"]);
  });
  afterEach(async () => {
    proxy.thaw();
    gate.resolve();
    await Promise.all([client.close(), worker.close({ atOnce: true })]);
    for (const port of ports) port.close();
    await proxy.close();
  });

  it("F38: bytes that are no protocol end the connection, and no answer reaches the wrong caller", SLOW, async () => {
    for (let round = 0; round < 5; round++) {
      const ids = Array.from({ length: 20 }, (_, at) => `r${round}-${at}`);
      const answers = ids.map((id) => client.query(id, "echo", id, { policy: "remote" }));
      proxy.inject(new TextEncoder().encode("\x01 no reply\r\n"));
      assert.deepEqual(await within(Promise.all(answers), "all answers", 40_000), ids);
    }
  });

  it("F37: a subscriber that Redis cuts off for its backlog finds its answer by its looks", SLOW, async () => {
    await server.cli("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1");
    const answer = client.query("t", "gated", null, { policy: "remote" });
    const channel = await until(
      async () => await server.cli("PUBSUB", "CHANNELS", `${keys.base}|inbox|*`),
      "it listens",
    );
    await until(async () => (await worker.getTask("t"))?.state === "running", "it runs");
    const subscribers = async () =>
      (await ports[0]!.exec([["PUBSUB", "NUMSUB", channel]]) as unknown as [[string, number]])[0][1];
    proxy.freeze();
    const flood = "x".repeat(250_000);
    await until(
      async () => {
        await ports[0]!.exec([["PUBLISH", channel, `${flood.length}:${flood}`]]);
        return await subscribers() === 0;
      },
      "Redis has cut it off",
      20_000,
    );
    gate.resolve();
    await until(async () => (await worker.getTask("t"))?.state === "succeeded", "it is done, and nobody heard");
    proxy.thaw();
    assert.equal(await within(answer, "the answer", 30_000), "through");
  });
});
