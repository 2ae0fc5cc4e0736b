import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { TaskTimeoutError } from "../src/errors.ts";
import type { Progress } from "../src/outcome.ts";
import { handlerFor, RedisTask } from "../src/task.ts";

describe("RedisTask", () => {
  it("is complete when made by hand", () => {
    const task = new RedisTask({ id: "a", name: "n", params: { x: 1 } });
    assert.deepEqual({ ...task }, {
      ...{ id: "a", name: "n", params: { x: 1 }, expiry: Infinity, result: undefined, error: undefined },
      ...{
        state: "stored",
        fence: 0,
        attempt: 0,
        maxAttempts: 1,
        attempts: [],
        currentProgress: null,
        totalProgress: null,
      },
      updateProgressTime: null,
    });
    assert.equal(task.signal.aborted, false);
  });

  it("update sets the progress and reports it", async () => {
    const reported: Progress[] = [];
    const report = (progress: Progress) => Promise.resolve(void reported.push(progress));
    const task = new RedisTask({ id: "a", name: "n", params: null, now: () => 77, report });
    await task.update(1, 3);
    assert.deepEqual([task.currentProgress, task.totalProgress, task.updateProgressTime], [1, 3, 77]);
    assert.deepEqual(reported, [{ current: 1, total: 3, updatedAt: 77 }]);
  });

  it("update refuses an expired task, and anything but finite numbers", async () => {
    const late = new RedisTask({ id: "a", name: "n", params: null, expiry: 100, now: () => 150 });
    await assert.rejects(late.update(1, 2), TaskTimeoutError);
    const task = new RedisTask({ id: "a", name: "n", params: null });
    await assert.rejects(task.update(NaN, 2), TypeError);
    await assert.rejects(task.update(1, Infinity), TypeError);
    assert.equal(task.currentProgress, null);
  });

  it("update that nobody awaits harms nobody", async () => {
    const late = new RedisTask({ id: "a", name: "n", params: null, expiry: 100, now: () => 150 });
    void late.update(1, 2);
    await new Promise((resolve) => setTimeout(resolve));
  });

  it("save calls its hook, and says what to do without one", async () => {
    const saved: RedisTask[] = [];
    const task = new RedisTask({ id: "a", name: "n", params: 1, save: (one) => Promise.resolve(void saved.push(one)) });
    await task.save();
    assert.deepEqual(saved, [task]);
    await assert.rejects(new RedisTask({ id: "a", name: "n", params: 1 }).save(), {
      name: "TypeError",
      message: "Cannot save task a: it belongs to no queue; use queue.setTask(task)",
    });
  });
});

describe("handlerFor", () => {
  it("takes one function for all names, or the own member of a map", () => {
    const double = () => 2;
    assert.equal(handlerFor(double, "anything"), double);
    assert.equal(handlerFor({ double }, "double"), double);
    assert.equal(handlerFor({ double }, "constructor"), undefined);
    assert.equal(handlerFor({ double }, "toString"), undefined);
    assert.equal(handlerFor(undefined, "double"), undefined);
  });
});
