/** F85: keys that reach a prototype are refused by every serializer, on the way in and on the way out. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, jsonSerializer, RedisTaskQueue, SerializationError, type Serializer } from "../../mod.ts";
import { keysOf } from "../../src/keys.ts";
import { isSuspicious } from "../../src/pollution.ts";
import { decodeError, encodeError } from "../../src/remote_error.ts";
import { compressed } from "../../src/serializers/compressed.ts";
import { devalueSerializer } from "../../src/serializers/devalue.ts";
import { encrypted } from "../../src/serializers/encrypted.ts";
import { msgpackrSerializer } from "../../src/serializers/msgpackr.ts";
import { until } from "../support/wait.ts";

const context = { id: "t", name: "n", part: "params" } as const;
const keys = { k: btoa("0123456789abcdef") };
const SERIALIZERS: readonly Serializer[] = [
  jsonSerializer,
  devalueSerializer,
  msgpackrSerializer,
  compressed(jsonSerializer, { threshold: 0 }),
  encrypted(devalueSerializer, { keys, current: "k" }),
];

/** JSON that reaches a prototype once its value is merged into another one. */
const EVIL = [
  '{"__proto__":{"polluted":1}}',
  '{"__proto__":1}',
  '{"__proto__":null}',
  '{"a":[1,{"__proto__":{"polluted":1}}]}',
  '{"\\u005f\\u005fproto\\u005f\\u005f":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"a":{"b":{"constructor":{"prototype":1,"name":"x"}}}}',
  '{"construct\\u006fr":{"\\u0070rototype":{"polluted":1}}}',
  '[{"constructor":{"prototype":[]}}]',
];

/** What only looks like it. */
const HARMLESS = [
  '{"constructor":"Acme Ltd."}',
  '{"constructor":{"name":"Acme"}}',
  '{"constructor":null,"prototype":{"a":1}}',
  '{"prototype":{"constructor":1}}',
  '{"text":"\\"__proto__\\": and {\\"constructor\\":{\\"prototype\\":1}}"}',
  '["__proto__","constructor","prototype"]',
  '{"proto":1,"_proto_":2,"__proto":3}',
];

describe("F85: pollution", () => {
  for (const serializer of SERIALIZERS) {
    it(`${serializer.name} refuses to write what reaches a prototype`, async () => {
      for (const text of EVIL) {
        await assert.rejects(async () => await serializer.serialize(JSON.parse(text), context), Error, text);
      }
    });

    it(`${serializer.name} writes and reads what only looks like it`, async () => {
      for (const text of HARMLESS) {
        const value = JSON.parse(text);
        assert.deepEqual(await serializer.deserialize(await serializer.serialize(value, context), context), value);
      }
    });
  }

  it("json refuses to read it, and the global prototype stays clean", () => {
    for (const text of EVIL) assert.throws(() => jsonSerializer.deserialize(text), TypeError, text);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  it("devalue refuses to read it, also from maps, sets and the causes of errors", () => {
    const forged = [
      '[{"__proto__":1},{"polluted":2},1]',
      '[["null","__proto__",1],1]',
      '[{"\\u005f_proto__":1},1]',
      '[{"constructor":1},{"prototype":2},1]',
      '[["Map",1,2],"k",{"constructor":3},{"prototype":1}]',
      '[["Set",1],{"constructor":2},{"prototype":3},1]',
      '[["Error",1],{"name":2,"message":2,"cause":3},"m",{"constructor":4},{"prototype":2}]',
    ];
    for (const text of forged) assert.throws(() => devalueSerializer.deserialize(text, context), Error, text);
  });

  it("msgpackr refuses to read it, whatever it renames it to", () => {
    // Maps and records as other programs would write them: fixmap of one, and a record definition.
    const names = ["__proto__", "__proto_"].map((name) => [0xa0 + name.length, ...new TextEncoder().encode(name)]);
    for (const name of names) {
      const record = btoa(String.fromCharCode(0xd4, 0x72, 0x40, 0x91, ...name, 0x01));
      assert.throws(() => msgpackrSerializer.deserialize(record, context), TypeError);
    }
    const text = (value: string) => [0xa0 + value.length, ...new TextEncoder().encode(value)];
    const nested = [0xd4, 0x72, 0x41, 0x91, ...text("prototype"), 0x01];
    const record = [0xd4, 0x72, 0x40, 0x91, ...text("constructor"), ...nested];
    assert.throws(() => msgpackrSerializer.deserialize(btoa(String.fromCharCode(...record)), context), TypeError);
  });

  it("errors are read without it, and what they carry is written without it", () => {
    for (const text of EVIL) {
      const wire = `{"name":"Error","message":"m","fields":{"x":${text}}}`;
      assert.ok(decodeError(wire) instanceof SerializationError, text);
      assert.ok(decodeError(`{"name":"Error","message":"m","cause":{"value":${text}}}`) instanceof SerializationError);
      const error = Object.assign(new Error("m", { cause: JSON.parse(text) }), { detail: JSON.parse(text) });
      const read = decodeError(encodeError(error));
      assert.equal(read.message, "m", text);
      assert.equal(isSuspicious(JSON.stringify([read.cause, Object.values(read)])), false, text);
    }
  });

  it("a bare JSON task of another program fails with it, and says why", async () => {
    const redis = await connect("memory:");
    const at = keysOf("pollution", "task-queue");
    const queue = new RedisTaskQueue(redis, "pollution", { taskFn: () => "ran", log: () => {} });
    EVIL.forEach((text, index) => {
      redis.set(at.record(`t${index}`), `{"params":${text}}`);
      redis.list(at.queue("n")).push(`t${index}`);
    });
    const stop = new AbortController();
    const listening = queue.listen("n", { signal: stop.signal });
    for (const index of EVIL.keys()) {
      const says = () => /SerializationError.*is refused/.test(redis.get(at.record(`t${index}`), Date.now()) ?? "");
      await until(says, `task ${index} has failed`);
    }
    stop.abort();
    await listening;
    await queue.close();
  });
});
