import assert from "node:assert/strict";
import { describe, it } from "node:test";
import process from "node:process";
import { connect, jsonSerializer, RedisTaskQueue, type Serializer } from "../../mod.ts";
import { compressed } from "../../src/serializers/compressed.ts";
import { devalueSerializer } from "../../src/serializers/devalue.ts";

const context = { id: "t", name: "n", part: "params" } as const;
const long = { text: "all work and no play ".repeat(1_000), sign: "é𝄞" };

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  return `z${btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join(""))}`;
}

describe("compressed", () => {
  it("makes large values small, and leaves small ones as they are, at once", async () => {
    const serializer = compressed(jsonSerializer);
    assert.equal(serializer.name, "json+gzip");
    assert.equal(serializer.serialize({ a: 1 }, context), 'p{"a":1}');
    assert.deepEqual(serializer.deserialize('p{"a":1}', context), { a: 1 });
    const text = await serializer.serialize(long, context);
    assert.ok(text.startsWith("z") && text.length < 500, `${text.length} characters`);
    assert.deepEqual(await serializer.deserialize(text, context), long);
  });

  it("keeps the plain text of what gzip would make longer", async () => {
    const noise = Array.from(crypto.getRandomValues(new Uint8Array(2_000)), (byte) => byte.toString(36)).join("");
    const serializer = compressed(jsonSerializer, { threshold: 10 });
    for (const value of ["x".repeat(9), noise.slice(0, 20)]) {
      assert.equal(await serializer.serialize(value, context), `p"${value}"`);
    }
  });

  it("compresses from its threshold on", async () => {
    const serializer = compressed(jsonSerializer, { threshold: 200 });
    assert.match(await serializer.serialize("x".repeat(197), context), /^p/);
    assert.match(await serializer.serialize("x".repeat(198), context), /^z/);
  });

  it("refuses what is larger than its limit, before it is compressed and while it is read", async () => {
    const serializer = compressed(jsonSerializer, { limit: 1_000 });
    assert.throws(() => serializer.serialize("x".repeat(999), context), { name: "RangeError", message: /1000 bytes/ });
    assert.throws(() => serializer.serialize("é".repeat(500), context), { name: "RangeError" });
    const packed = await compressed(jsonSerializer).serialize("x".repeat(2_000), context);
    await assert.rejects(async () => await serializer.deserialize(packed, context), { name: "RangeError" });
  });

  it("gives up a bomb as soon as it has passed the limit", async () => {
    // 256 MiB of zeros in about 350,000 characters.
    const bomb = await gzip(new Uint8Array(1 << 28));
    assert.ok(bomb.length < 400_000, `${bomb.length}`);
    const before = process.memoryUsage().rss;
    const serializer = compressed(jsonSerializer);
    await assert.rejects(async () => await serializer.deserialize(bomb, context), {
      name: "RangeError",
      message: /more than 1048576 bytes/,
    });
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 128 * 1024 * 1024, `memory grew by ${grown} bytes`);
  });

  it("reads no text that was changed", async () => {
    const serializer = compressed(jsonSerializer);
    const text = await serializer.serialize(long, context);
    const changed = ["", "x", "z", "z!", text.slice(0, -8), text.replace("z", "z!"), `p${text}`];
    for (const at of [20, Math.floor(text.length / 2), text.length - 12]) {
      changed.push(`${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`);
    }
    for (const other of changed) {
      await assert.rejects(async () => await serializer.deserialize(other, context), Error, other.slice(0, 20));
    }
  });

  it("wraps others, says its name, and refuses what it cannot wrap", async () => {
    assert.equal(compressed(devalueSerializer).name, "devalue+gzip");
    const map = new Map([["a", long]]);
    const serializer = compressed(devalueSerializer);
    assert.deepEqual(await serializer.deserialize(await serializer.serialize(map, context), context), map);
    assert.throws(() => compressed({ ...jsonSerializer, name: "x".repeat(28) }), {
      name: "TypeError",
      message: /1 to 32/,
    });
    assert.throws(() => compressed(undefined as unknown as Serializer), TypeError);
    for (const wrong of [-1, 1.5, NaN]) {
      assert.throws(() => compressed(jsonSerializer, { threshold: wrong }), RangeError);
      assert.throws(() => compressed(jsonSerializer, { limit: wrong }), RangeError);
    }
  });

  it("carries params and results of a queue", async () => {
    const serializer = compressed(jsonSerializer);
    const redis = await connect("memory:");
    const queue = new RedisTaskQueue(redis, "gzip", { serializer, taskFn: (task) => task.params });
    const stop = new AbortController();
    const listening = queue.listen("n", { signal: stop.signal });
    assert.deepEqual(await queue.query("t", "n", long, { policy: "remote" }), long);
    const task = await queue.getTask("t");
    assert.deepEqual([task?.params, task?.result], [long, long]);
    stop.abort();
    await listening;
    await queue.close();
  });
});
