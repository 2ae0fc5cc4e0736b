/** A call in doubt is repeated word by word, and stays in doubt (protocol rule 4). */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { ConnectionLostError } from "../../src/errors.ts";
import { keysOf } from "../../src/keys.ts";
import type { Command, RedisPort, Reply } from "../../src/port/redis.ts";
import { RedisStore } from "../../src/store/redis/redis_store.ts";
import type { EnqueueRequest } from "../../src/store/store.ts";
import { FakeClock } from "../support/fake_clock.ts";

const REQUEST: EnqueueRequest = {
  id: "t",
  name: "a",
  nonce: "client00000100000001",
  kind: "asked",
  timeout: 60_000,
  resultTtl: 60_000,
  delay: 0,
  maxAttempts: 1,
  options: "",
  params: "json=1",
  ifExists: "join",
};

function storeOver(answer: (call: number) => Reply | Error): { store: RedisStore; clock: FakeClock; calls: Command[] } {
  const calls: Command[] = [];
  const clock = new FakeClock();
  const port = {
    exec(commands: readonly Command[]): Promise<Reply[]> {
      calls.push(...commands);
      const reply = answer(calls.length);
      return reply instanceof Error ? Promise.reject(reply) : Promise.resolve(commands.map(() => reply));
    },
  } as RedisPort;
  return { store: new RedisStore(port, keysOf("repeat", "q"), { clock }), clock, calls };
}

const lost = (sent: boolean) => new ConnectionLostError("broke", { sent });

describe("a call in doubt", () => {
  it("is repeated with the same nonce until it is answered", async () => {
    const { store, clock, calls } = storeOver((call) => call < 3 ? lost(call === 1) : [["a", "2"]]);
    const answer = store.enqueue(REQUEST);
    await clock.advance(1_000);
    assert.deepEqual(await answer, { verdict: "accepted", state: "queued" });
    assert.equal(calls.length, 3);
    assert.ok(calls.every((command) => command.some((word) => word.includes(REQUEST.nonce))));
  });

  it("stays in doubt when the repetitions could not be sent: nothing may run here instead", async () => {
    const { store, clock } = storeOver((call) => lost(call === 1));
    const answer = store.enqueue(REQUEST);
    const rejected = assert.rejects(answer, (error) => error instanceof ConnectionLostError && error.sent);
    for (let second = 0; second < 32; second++) await clock.advance(1_000);
    await rejected;
  });

  it("of which nothing was ever sent rejects at once, as unsent", async () => {
    const { store, calls } = storeOver(() => lost(false));
    await assert.rejects(store.enqueue(REQUEST), (error) => error instanceof ConnectionLostError && !error.sent);
    assert.equal(calls.length, 1);
  });

  it("an outcome is repeated also when it could not be sent", async () => {
    const { store, clock } = storeOver((call) => call < 3 ? lost(false) : ["a40"]);
    const answer = store.complete({ id: "t", name: "a", owner: "listener0001", fence: "0".repeat(16) }, "\njson=1");
    await clock.advance(1_000);
    assert.equal((await answer).verdict, "accepted");
  });

  it("a server that refuses for now did nothing: the call counts as unsent", async () => {
    const { store } = storeOver(() => [["!", "NOREPLICAS Not enough good replicas to write."]]);
    await assert.rejects(store.enqueue(REQUEST), (error) => error instanceof ConnectionLostError && !error.sent);
  });
});
