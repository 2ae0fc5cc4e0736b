import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Stopper } from "../src/stopper.ts";

describe("Stopper", () => {
  it("stops for the first reason, and calls back before its signal does", () => {
    const stopper = new Stopper();
    const heard: string[] = [];
    stopper.signal.addEventListener("abort", () => heard.push("signal"));
    stopper.onAbort(() => heard.push("callback"));
    const reason = new Error("first");
    stopper.abort(reason);
    stopper.abort(new Error("second"));
    assert.deepEqual(heard, ["callback", "signal"]);
    assert.equal(stopper.reason, reason);
    assert.equal(stopper.signal.reason, reason);
    assert.throws(() => stopper.throwIfAborted(), reason);
  });

  it("has a signal that says the same when it is asked for late, and one only", () => {
    const stopper = new Stopper();
    stopper.abort(7);
    assert.equal(stopper.signal.aborted, true);
    assert.equal(stopper.signal.reason, 7);
    assert.equal(stopper.signal, stopper.signal);
  });

  it("calls back at once when it has stopped, and not those that it was told to forget", () => {
    const stopper = new Stopper();
    let calls = 0;
    const count = () => void (calls += 1);
    stopper.onAbort(count);
    stopper.forget(count);
    stopper.abort(new Error("stop"));
    assert.equal(calls, 0);
    stopper.onAbort(count);
    assert.equal(calls, 1);
  });
});
