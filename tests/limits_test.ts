/** Every bound that a user can run into is said in a typed error that names the value and the way out. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { connect, type LogEntry, type RedisTask, RedisTaskQueue, SerializationError } from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { jsonSerializer } from "../src/serializer.ts";

describe("limits", () => {
  it("F84: refuses params of more than 1 MiB before they are sent, naming their size", async () => {
    const queue = new RedisTaskQueue(await connect("memory:"), "limits", { taskFn: () => 1 });
    const params = "x".repeat(1_048_576);
    for (const policy of ["remote", "auto"] as const) {
      await assert.rejects(queue.query("big", "any", params, { policy, timeout: 1_000 }), {
        name: "RangeError",
        message: /params of task big: its 1048583 bytes are more than the limit of 1048576/,
      });
    }
    await assert.rejects(queue.enqueue("big", "any", params), { name: "RangeError" });
    assert.equal(await queue.hasTask("big"), false);
    await queue.close();
  });

  it("F85: refuses a __proto__ key on the way in and on the way out, and lets the text of it pass", async () => {
    assert.throws(() => jsonSerializer.serialize(JSON.parse('{"a":{"__proto__":1}}')), TypeError);
    assert.throws(() => jsonSerializer.deserialize('{"__proto__":1}'), TypeError);
    const text = 'the key "__proto__": is refused';
    assert.equal(jsonSerializer.deserialize(jsonSerializer.serialize(text)), text);
    const queue = new RedisTaskQueue(await connect("memory:"), "limits");
    await assert.rejects(
      queue.enqueue("p", "any", JSON.parse('{"__proto__":1}')),
      (error) => error instanceof SerializationError && /params of task p.*__proto__/.test(error.message),
    );
    await queue.close();
  });

  it("refuses a lease that is over before it can be renewed", async () => {
    const redis = await connect("memory:");
    assert.throws(() => new RedisTaskQueue(redis, "limits", { lease: 1 }), {
      name: "RangeError",
      message: /lease.*100/,
    });
  });

  it("says in the log when a lease was lost", async () => {
    const redis = await connect("memory:");
    const entries: LogEntry[] = [];
    const stop = new AbortController();
    const lost = resolvers();
    const queue = new RedisTaskQueue(redis, "limits", {
      interval: 50,
      lease: 200,
      log: (entry) => {
        entries.push(entry);
        if (/lease is lost|record is gone/.test(entry.message)) lost.resolve();
      },
      taskFn: async (task: RedisTask) => {
        // What a flush does to a running task: its record is gone, and so is the ownership.
        redis.delete(keysOf("limits", "task-queue").record(task.id));
        await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
      },
    });
    const listening = queue.listen("any", { signal: stop.signal, grace: 0 });
    await queue.enqueue("t", "any", null);
    await lost.promise;
    stop.abort();
    await listening;
    assert.equal(entries.filter(({ id }) => id === "t").length, 1);
    await queue.close();
  });
});

function resolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => resolve = done);
  return { promise, resolve };
}
