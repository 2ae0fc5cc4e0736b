import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { checkDuration, checkText } from "../src/checks.ts";
import {
  checkEnqueue,
  checkQuery,
  listenSettings,
  type QueueOptions,
  resultTtlFor,
  settingsOf,
} from "../src/options.ts";
import type { Serializer } from "../src/serializer.ts";

/** Options as a JavaScript user may write them. */
function wrong<Options>(options: Record<string, unknown>): Options {
  return options as Options;
}

describe("settingsOf", () => {
  it("has the model's defaults, in milliseconds", () => {
    const { suffix, timeout, interval, lease, taskFn, serializer, serializers } = settingsOf({});
    assert.deepEqual([suffix, timeout, interval, lease, taskFn], ["task-queue", 300_000, 5_000, 30_000, undefined]);
    assert.equal(serializer.name, "json");
    assert.deepEqual([...serializers.keys()], ["json"]);
  });

  it("refuses an unknown key and names the nearest known one", () => {
    assert.throws(() => settingsOf(wrong({ timeOut: 5 })), {
      name: "TypeError",
      message: 'Cannot use the option "timeOut" of new RedisTaskQueue: did you mean "timeout"?',
    });
    assert.throws(() => settingsOf(wrong({ task_fn: 5 })), /did you mean "taskFn"/);
    assert.throws(() => settingsOf(wrong({ concurrency: 5 })), /it knows suffix, timeout/);
  });

  it("refuses durations that are none", () => {
    for (const value of [-1, NaN, "5s", true]) {
      assert.throws(() => settingsOf(wrong({ timeout: value })), /Cannot use timeout/, String(value));
    }
    assert.throws(() => settingsOf({ interval: 0 }), RangeError);
    assert.throws(() => settingsOf({ lease: Infinity }), RangeError);
    assert.throws(() => settingsOf({ resultTtl: 29_999 }), RangeError);
    assert.equal(settingsOf({ timeout: Infinity }).timeout, Infinity);
  });

  it("refuses a taskFn that is neither a function nor a map of functions, and names the member", () => {
    assert.throws(
      () => settingsOf(wrong<QueueOptions>({ taskFn: { double: 2 } })),
      /its member "double" is no function/,
    );
    assert.throws(() => settingsOf(wrong<QueueOptions>({ taskFn: "double" })), TypeError);
  });

  it("can read JSON, its own serializer and the others", () => {
    const codec = (name: string): Serializer => ({ name, serialize: String, deserialize: (text) => text });
    const { serializer, serializers } = settingsOf({ serializer: codec("own"), serializers: [codec("other")] });
    assert.equal(serializer.name, "own");
    assert.deepEqual([...serializers.keys()].sort(), ["json", "other", "own"]);
    assert.throws(() => settingsOf({ serializer: codec("a-b") }), TypeError);
    assert.throws(() => settingsOf({ serializers: [codec("")] }), TypeError);
  });
});

describe("checkText", () => {
  it("F78: takes any text of 1 to 512 bytes", () => {
    for (const text of ["a", "a|b{c}:\n\0", "😀", "\ufeff😀", "x".repeat(512), "é".repeat(256)]) {
      assert.equal(checkText("id", text), text);
    }
  });

  it("F78: refuses what is empty, too long, no string, or half of a character", () => {
    for (const text of ["", "x".repeat(513), "é".repeat(257), 7, null, undefined, "a\ud800", "\udc00b"]) {
      assert.throws(() => checkText("id", text), TypeError, String(text));
    }
  });
});

describe("options of a call", () => {
  it("are checked", () => {
    assert.throws(() => checkQuery(wrong({ policy: "Auto" })), /one of local, remote, local-first, remote-first, auto/);
    assert.throws(() => checkQuery(wrong({ onse: true })), /did you mean "once"/);
    assert.throws(() => checkQuery({ startWithin: -1, policy: "remote-first" }), RangeError);
    assert.throws(() => checkEnqueue(wrong({ ifExists: "ignore" })), TypeError);
    assert.throws(() => checkEnqueue({ delay: Infinity }), RangeError);
    assert.throws(() => listenSettings({ workers: 1.5 }), RangeError);
    assert.throws(() => listenSettings({ workers: 0 }), RangeError);
    assert.deepEqual(listenSettings({}), { workers: 128, grace: 10_000 });
    assert.throws(() => checkDuration("timeout", Infinity), RangeError);
  });

  it("durations that no record can hold are refused, naming value and limit", () => {
    const tooLong = { name: "RangeError", message: /2000000000000: .* to 1000000000000/ };
    for (const what of ["timeout", "interval", "lease", "attemptTimeout"]) {
      assert.throws(() => settingsOf(wrong({ [what]: 2e12 })), tooLong, what);
    }
    assert.throws(() => checkQuery({ timeout: 2e12 }), tooLong);
    assert.throws(() => checkQuery({ startWithin: 2e12, policy: "remote-first" }), tooLong);
    assert.throws(() => checkEnqueue({ delay: 2e12 }), tooLong);
    assert.throws(() => listenSettings({ grace: 2e12 }), tooLong);
    assert.throws(() => checkEnqueue({ resultTtl: 1e10 }), {
      name: "RangeError",
      message: /resultTtl 10000000000: .*9999999999/,
    });
    assert.doesNotThrow(() => checkQuery({ timeout: Infinity, resultTtl: 9_999_999_999 }));
    assert.equal(resultTtlFor(settingsOf({}), undefined, 1e12), 9_999_999_999);
  });

  it("a result is kept as long as the task may take, and never under 30 s", () => {
    const settings = settingsOf({});
    assert.equal(resultTtlFor(settings, undefined, 1_000), 30_000);
    assert.equal(resultTtlFor(settings, undefined, 60_000), 60_000);
    assert.equal(resultTtlFor(settings, undefined, Infinity), 300_000);
    assert.equal(resultTtlFor(settings, 40_000, 60_000), 40_000);
    assert.equal(resultTtlFor(settingsOf({ resultTtl: 31_000 }), undefined, 60_000), 31_000);
  });
});
