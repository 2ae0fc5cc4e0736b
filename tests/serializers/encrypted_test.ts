import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, jsonSerializer, RedisTaskQueue, SerializationError, type ValueContext } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { compressed } from "../../src/serializers/compressed.ts";
import { encrypted } from "../../src/serializers/encrypted.ts";
import { until } from "../support/wait.ts";

const context: ValueContext = { id: "t", name: "n", part: "params" };
const short = btoa("0123456789abcdef");
const long = btoa("0123456789abcdef0123456789ABCDEF");
const secret = { card: "4111-1111", sign: "é𝄞" };

describe("encrypted", () => {
  const serializer = encrypted(jsonSerializer, { keys: { k1: short, k2: long }, current: "k2" });

  it("hides what it writes, each time in another text, and reads it", async () => {
    const texts = await Promise.all(Array.from({ length: 100 }, () => serializer.serialize(secret, context)));
    assert.equal(new Set(texts.map((text) => text.slice(0, 21))).size, 100, "each has a nonce of its own");
    for (const text of texts) {
      assert.match(text, /^1\.k2\.[A-Za-z0-9+/]+=*$/);
      assert.deepEqual(await serializer.deserialize(text, context), secret);
    }
  });

  it("takes keys of WebCrypto and their bytes in base64", async () => {
    const raw = new TextEncoder().encode(atob(short));
    const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    const text = await encrypted(jsonSerializer, { keys: { k1: key }, current: "k1" }).serialize(secret, context);
    assert.deepEqual(await serializer.deserialize(text, context), secret);
    const reading = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
    const reader = encrypted(jsonSerializer, { keys: { k1: reading, k2: long }, current: "k2" });
    assert.deepEqual(await reader.deserialize(text, context), secret);
  });

  it("rotates keys: old ids are read, an unknown one is named", async () => {
    const old = encrypted(jsonSerializer, { keys: { k1: short }, current: "k1" });
    assert.deepEqual(await serializer.deserialize(await old.serialize(secret, context), context), secret);
    await assert.rejects(async () => await old.deserialize(await serializer.serialize(secret, context), context), {
      message: /no key "k2" here, only k1/,
    });
  });

  it("reads nothing that was changed, cut, or encrypted with another key of the same id", async () => {
    const text = await serializer.serialize(secret, context);
    for (let at = 5; at < text.length; at += 1) {
      const other = text[at] === "A" ? "Q" : "A";
      const changed = text.slice(0, at) + other + text.slice(at + 1);
      await assert.rejects(async () => await serializer.deserialize(changed, context), TypeError, changed);
    }
    const cut = [
      "",
      "1",
      "1.k2",
      "1.k2.",
      "1.k2.AAAA",
      text.slice(0, -4),
      `${text}.x`,
      text.replace("1.", "2."),
      `x${text}`,
    ];
    for (const other of [...cut, text.replace("k2", "k1")]) {
      await assert.rejects(async () => await serializer.deserialize(other, context), TypeError, other);
    }
    const impostor = encrypted(jsonSerializer, { keys: { k2: short }, current: "k2" });
    await assert.rejects(async () => await impostor.deserialize(text, context), { message: /is another key/ });
  });

  it("is bound to the task, its part and the codec: nothing can be put in another's place", async () => {
    const text = await serializer.serialize(secret, context);
    const others: ValueContext[] = [
      { ...context, id: "u" },
      { ...context, name: "m" },
      { ...context, part: "result" },
      { id: 't","n', name: "n", part: "params" },
    ];
    for (const other of others) {
      await assert.rejects(async () => await serializer.deserialize(text, other), { message: /for another task/ });
    }
    const packed = encrypted(compressed(jsonSerializer), { keys: { k2: long }, current: "k2" });
    await assert.rejects(async () => await packed.deserialize(text, context), { message: /was changed/ });
  });

  it("refuses keys and ids that are none, without showing them", () => {
    const wrong: [Record<string, unknown>, string, RegExp][] = [
      [{}, "k", /there is only none/],
      [{ k: short }, "j", /there is only k/],
      [{ "a.b": short }, "a.b", /an id is 1 to 32/],
      [{ k: btoa("too short") }, "k", /is 9 bytes/],
      [{ k: "secret!" }, "k", /is no base64/],
      [{ k: 7 }, "k", /must be an AES-GCM CryptoKey/],
    ];
    for (const [keys, current, message] of wrong) {
      const make = () => encrypted(jsonSerializer, { keys: keys as Record<string, string>, current });
      assert.throws(
        make,
        (error) => error instanceof TypeError && message.test(error.message) && !/secret/.test(error.message),
      );
    }
  });

  it("composes with compression, and its name stays short enough", async () => {
    const both = encrypted(compressed(jsonSerializer), { keys: { k: short }, current: "k" });
    assert.equal(both.name, "json+gzip+aes");
    const value = "x".repeat(10_000);
    const text = await both.serialize(value, context);
    assert.ok(text.length < 300, `${text.length} characters`);
    assert.equal(await both.deserialize(text, context), value);
  });

  it("keeps params and results of a queue out of Redis; a tampered or swapped value fails as such", async () => {
    const redis = await connect("memory:");
    const at = keysOf("aes", "task-queue");
    const options = { serializer, log: () => {} };
    const queue = new RedisTaskQueue(redis, "aes", { ...options, taskFn: (task) => task.params });
    await queue.enqueue("a", "n", secret);
    await queue.enqueue("b", "n", { ...secret, card: "5500-0000" });
    const record = (id: string) => redis.get(at.record(id), Date.now())!;
    assert.doesNotMatch(record("a") + record("b"), /card|4111|5500/);
    // Somebody with write access puts one task's params in the place of the other's.
    const sealed = (id: string) => /json\+aes=[^\n]*/.exec(record(id))![0];
    redis.set(at.record("a"), record("a").replace(sealed("a"), sealed("b")));
    const swapped = assert.rejects(queue.query("a", "n", secret, { policy: "remote" }), {
      name: "SerializationError",
      message: /Cannot read the params of task a with "json\+aes": it was changed, or written for another task/,
    });
    await until(() => record("a")[3] === "1", "the query has joined");
    const stop = new AbortController();
    const listening = queue.listen("n", { signal: stop.signal });
    await swapped;
    assert.deepEqual(await queue.query("c", "n", secret, { policy: "remote" }), secret);
    redis.set(at.record("c"), record("c").replace(/(json\+aes=[^\n]*\n?)$/, (text) => `${text.slice(0, -6)}AAAAAA`));
    await assert.rejects(queue.query("c", "n", secret, { policy: "remote" }), SerializationError);
    await assert.rejects(queue.getTask("c"), { name: "SerializationError", message: /the result of task c/ });
    stop.abort();
    await listening;
    await queue.close();
  });
});
