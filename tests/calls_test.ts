import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { Calls } from "../src/calls.ts";
import { systemClock } from "../src/clock.ts";
import { ConnectionLostError, QueueFullError } from "../src/errors.ts";
import { keysOf } from "../src/keys.ts";
import { settingsOf } from "../src/options.ts";
import { TaskExecutePolicy } from "../src/policy.ts";
import { MemoryRedis } from "../src/store/memory/memory_redis.ts";
import { MemoryStore } from "../src/store/memory/memory_store.ts";
import type { EnqueueRequest } from "../src/store/store.ts";
import { within } from "./support/wait.ts";

/** A store that refuses every enqueue with an error. */
class Refusing extends MemoryStore {
  readonly #error: Error;
  sent = 0;

  constructor(error: Error) {
    super(new MemoryRedis(), keysOf("test", "calls"), systemClock);
    this.#error = error;
  }

  override enqueue(_: EnqueueRequest): Promise<never> {
    this.sent += 1;
    return Promise.reject(this.#error);
  }
}

function make(error: Error): { calls: Calls; store: Refusing } {
  const store = new Refusing(error);
  const settings = settingsOf({ taskFn: () => "here", log: () => {} });
  return { store, calls: new Calls({ store, client: "client000001", settings }) };
}

const { Remote, RemoteFirst, LocalFirst, Auto } = TaskExecutePolicy;
const call = { id: "a", name: "n", params: 1, timeout: 2_000 };

describe("Calls", () => {
  it("run here what a full Redis or one out of reach did not take, unless the policy is Remote", async () => {
    for (const error of [new QueueFullError("full"), new ConnectionLostError("away", { sent: false })]) {
      for (const policy of [Auto, RemoteFirst, LocalFirst]) {
        const { calls } = make(error);
        assert.equal(await within(calls.call({ ...call, policy }), policy), "here");
        calls.close();
      }
      const { calls, store } = make(error);
      await assert.rejects(calls.call({ ...call, policy: Remote }), error);
      assert.equal(store.sent, 1);
      calls.close();
    }
  });

  it("never run here what may have reached Redis", async () => {
    const error = new ConnectionLostError("unknown", { sent: true });
    for (const policy of [Auto, RemoteFirst, Remote]) {
      const { calls } = make(error);
      await assert.rejects(calls.call({ ...call, policy }), error);
      calls.close();
    }
  });

  it("give each submission a nonce of its own", () => {
    const { calls } = make(new Error());
    const nonces = [1, 2, 3].map(() => calls.submit(call).nonce);
    assert.deepEqual(nonces, ["client00000100000001", "client00000100000002", "client00000100000003"]);
  });

  it("end when the inbox of a store that hangs cannot be opened in time", async () => {
    const { calls, store } = make(new Error());
    store.openInbox = () => new Promise(() => {});
    const asked = calls.call({ ...call, policy: Auto, timeout: 50 });
    await within(assert.rejects(asked, { name: "TaskTimeoutError" }), "the timeout");
    calls.close();
  });
});
