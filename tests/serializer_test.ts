import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  connect,
  jsonSerializer,
  type LogEntry,
  type RedisTask,
  RedisTaskQueue,
  SerializationError,
  type Serializer,
} from "../mod.ts";
import { keysOf } from "../src/keys.ts";
import { CODEC_LIMIT, type Codecs, decodeValue, encodeValue } from "../src/serializer.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { deferred, never } from "./support/listening.ts";
import { until, within } from "./support/wait.ts";

const context = { id: "7", name: "n", part: "params" } as const;

function codecs(serializer: Partial<Serializer>, clock?: FakeClock): Codecs {
  const whole: Serializer = { ...jsonSerializer, name: "own", ...serializer };
  return { serializer: whole, serializers: new Map([[whole.name, whole]]), ...(clock ? { clock } : {}) };
}

/** JSON that answers later. */
const slow: Serializer = {
  name: "slow",
  serialize: async (value) => await Promise.resolve(JSON.stringify(value)),
  deserialize: async (text) => await Promise.resolve(JSON.parse(text)),
};

describe("encodeValue and decodeValue", () => {
  it("answer at once where the serializer does", () => {
    const json = { serializer: jsonSerializer, serializers: new Map([["json", jsonSerializer]]) };
    assert.equal(encodeValue(json, { a: 1 }, context), 'json={"a":1}');
    assert.equal(encodeValue(json, undefined, context), "json-");
    assert.deepEqual(decodeValue(json, 'json={"a":1}', context), { a: 1 });
    assert.equal(decodeValue(json, "json-", context), undefined);
  });

  it("answer later where it needs time", async () => {
    assert.equal(await encodeValue(codecs(slow), [1], context), "slow=[1]");
    assert.deepEqual(await decodeValue(codecs(slow), "slow=[1]", context), [1]);
  });

  it("tell the serializer which value it is", async () => {
    const seen: unknown[] = [];
    const own = codecs({
      serialize: (_, given) => (seen.push(given), "x"),
      deserialize: (_, given) => seen.push(given),
    });
    encodeValue(own, 1, context);
    await decodeValue(own, "own=x", { ...context, part: "result" });
    assert.deepEqual(seen, [context, { ...context, part: "result" }]);
  });

  const failing: [string, Serializer["serialize"], RegExp][] = [
    ["throws", () => {
      throw new Error("no key");
    }, /: no key$/],
    ["throws no error", () => {
      throw "text";
    }, /: text$/],
    ["rejects", () => Promise.reject(new Error("no key")), /: no key$/],
    ["answers with a number", () => 7 as unknown as string, /a value of type number, not a text/],
    ["answers with nothing", () => undefined as unknown as string, /a value of type undefined/],
    ["answers with null, later", () => Promise.resolve(null as unknown as string), /with null, not a text/],
  ];
  for (const [what, serialize, message] of failing) {
    it(`name the serializer that ${what}`, async () => {
      await assert.rejects(async () => await encodeValue(codecs({ serialize }), 1, context), (error: Error) => {
        assert.ok(error instanceof SerializationError);
        assert.match(error.message, /^Cannot serialize the params of task 7 with "own": /);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  it("name the serializer that cannot read, and the one that is not there", async () => {
    for (const deserialize of [() => Promise.reject(new Error("bad")), (text: string) => JSON.parse(text)]) {
      await assert.rejects(async () => await decodeValue(codecs({ deserialize }), "own={", context), {
        name: "SerializationError",
        message: /^Cannot read the params of task 7 with "own": /,
      });
    }
    assert.throws(() => decodeValue(codecs({}), "cbor=x", context), {
      message: /no serializer named "cbor" here, only own/,
    });
  });

  it("give up a serializer that never answers", async () => {
    const clock = new FakeClock();
    const own = codecs({ serialize: () => never(), deserialize: () => never() }, clock);
    const given = [encodeValue(own, 1, context), decodeValue(own, "own=x", context)].map((value) =>
      assert.rejects(Promise.resolve(value), { name: "SerializationError", message: /"own": it did not answer within/ })
    );
    await clock.advance(CODEC_LIMIT);
    await Promise.all(given);
    assert.equal(clock.pending, 0);
  });
});

describe("json", () => {
  class Empty {}
  const lost: [unknown, RegExp][] = [
    [new Map(), /for a Map;/],
    [{ a: [1, new Set([1])] }, /for a Set \(at \.a\[1\]\); send plain data, or .* @errand\/errand\/devalue/],
    [{ "a b": { c: /x/ } }, /for a RegExp \(at \["a b"\]\.c\)/],
    [{ f() {} }, /for a function \(at \.f\)/],
    [[Symbol("s")], /for a symbol \(at \[0\]\)/],
    [() => 1, /for a function/],
    [{ n: 1n }, /for a bigint \(at \.n\)/],
    [new Uint8Array(2), /for a Uint8Array/],
    [{ e: new RangeError("m") }, /for a Error \(at \.e\)/],
    [{ p: Promise.resolve() }, /for a Promise \(at \.p\)/],
  ];
  it("refuses what it would lose, and says where", () => {
    for (const [value, message] of lost) {
      assert.throws(() => jsonSerializer.serialize(value), { name: "TypeError", message });
    }
  });

  it("writes what JSON writes: dates, what has toJSON, instances, boxes, missing members", () => {
    const kept: [unknown, string][] = [
      [new Date(0), '"1970-01-01T00:00:00.000Z"'],
      [{ toJSON: () => "x", map: new Map() }, '"x"'],
      [new Empty(), "{}"],
      [Object.assign(Object.create(null), { a: Object("s") }), '{"a":"s"}'],
      [{ a: undefined, n: NaN }, '{"n":null}'],
    ];
    for (const [value, text] of kept) assert.equal(jsonSerializer.serialize(value), text);
  });

  it("says of a cycle what JSON says", () => {
    const cycle: Record<string, unknown> = {};
    cycle.list = [cycle];
    assert.throws(() => jsonSerializer.serialize(cycle), TypeError);
  });
});

describe("a serializer that answers later", () => {
  const params = { n: 1 };

  async function openQueue(options: ConstructorParameters<typeof RedisTaskQueue>[2]) {
    const redis = await connect("memory:");
    const log: LogEntry[] = [];
    const queue = new RedisTaskQueue(redis, "later", { log: (entry) => void log.push(entry), ...options });
    const stop = new AbortController();
    const listening = options?.taskFn ? queue.listen("n", { signal: stop.signal, grace: 0 }) : Promise.resolve();
    const record = (id: string) => redis.get(keysOf("later", "task-queue").record(id), Date.now());
    const close = async () => {
      stop.abort();
      await listening;
      await queue.close();
    };
    return { queue, record, log, close };
  }

  it("carries params and results by every policy, and tasks as data", async () => {
    const { queue, record, close } = await openQueue({ serializer: slow, taskFn: (task) => task.params });
    for (const policy of ["auto", "remote", "local", "local-first", "remote-first"] as const) {
      assert.deepEqual(await queue.query(policy, "n", params, { policy }), params, policy);
      const task = await queue.getTask(policy);
      assert.deepEqual([task?.params, task?.result], [params, params], policy);
    }
    assert.match(record("remote")!, /slow=\{"n":1\}\nslow=\{"n":1\}$/);
    const task = queue.buildTask("data", "n", params);
    task.result = params;
    await queue.setTask(task);
    assert.deepEqual((await queue.getTask("data"))?.result, params);
    assert.equal((await queue.enqueue("job", "n", params)).state, "queued");
    await until(async () => (await queue.getTask("job"))?.result, "the job is done");
    await close();
  });

  it("is stopped by the deadline while it reads params, and the handler never starts", async () => {
    const gate = deferred<unknown>();
    let starts = 0;
    const stuck = { ...slow, deserialize: () => gate.promise };
    const { queue, record, close } = await openQueue({ serializer: stuck, taskFn: () => starts += 1 });
    await assert.rejects(queue.query("t", "n", params, { policy: "remote", timeout: 100 }), {
      name: "TaskTimeoutError",
    });
    await until(() => record("t")?.[1] === "7", "it has expired");
    gate.resolve(params);
    await gate.promise;
    await close();
    assert.equal(starts, 0);
  });

  it("is stopped by the attempt's limit, and by a cancel, while it writes a result", async () => {
    const writing = deferred();
    const stuck: Serializer = {
      ...slow,
      serialize: (value, { part }) => part === "params" ? JSON.stringify(value) : (writing.resolve(), never()),
    };
    const options = { serializer: stuck, taskFn: () => "done" };
    const limited = await openQueue({ ...options, attemptTimeout: 50 });
    await assert.rejects(limited.queue.query("t", "n", params, { policy: "remote" }), { message: /attemptTimeout/ });
    await limited.close();
    const free = await openQueue(options);
    const asked = assert.rejects(free.queue.query("t", "n", params, { policy: "remote" }), {
      name: "TaskCancelledError",
    });
    await writing.promise;
    await until(() => free.record("t")?.[1] === "3", "it runs");
    await free.queue.cancel("t");
    await within(asked, "the cancel");
    await free.close();
  });

  it("keeps no caller longer than its limits, and nothing is sent after them", async () => {
    const gate = deferred<string>();
    const { queue, close } = await openQueue({ serializer: { ...slow, serialize: () => gate.promise } });
    await assert.rejects(queue.query("t", "n", params, { policy: "remote", timeout: 50 }), {
      name: "TaskTimeoutError",
    });
    const signal = AbortSignal.abort(new Error("gone"));
    const controller = new AbortController();
    const asked = assert.rejects(
      queue.query("u", "n", params, { policy: "remote", signal: controller.signal }),
      /gone/,
    );
    controller.abort(signal.reason);
    await asked;
    gate.resolve("{}");
    await gate.promise;
    assert.deepEqual([await queue.hasTask("t"), await queue.hasTask("u")], [false, false]);
    await close();
  });

  it("gives a handler's save what it needs, and fails a result that rejects", async () => {
    const picky: Serializer = {
      ...slow,
      serialize: async (value) => {
        if (value === "bad") throw new Error("refused");
        return await slow.serialize(value, context);
      },
    };
    const taskFn = async (task: RedisTask<string>) => {
      task.result = "half";
      await task.save();
      return task.params === "fail" ? "bad" : "whole";
    };
    const { queue, close } = await openQueue({ serializer: picky, taskFn });
    assert.equal(await queue.query("t", "n", "go", { policy: "remote" }), "whole");
    await assert.rejects(queue.query("u", "n", "fail", { policy: "remote" }), {
      name: "SerializationError",
      message: /Cannot serialize the result of task u with "slow": refused/,
    });
    await assert.rejects(queue.query("v", "n", "bad", { policy: "remote" }), { name: "SerializationError" });
    await close();
  });
});
