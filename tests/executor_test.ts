import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  LeaseLostError,
  ListenerStoppedError,
  TaskCancelledError,
  TaskFailedError,
  TaskTimeoutError,
} from "../src/errors.ts";
import { execute, type ExecuteRequest, type Execution } from "../src/executor.ts";
import { Stopper } from "../src/stopper.ts";
import { RedisTask, type TaskFn } from "../src/task.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { deferred, never } from "./support/listening.ts";

function start(taskFn: TaskFn, change: Partial<ExecuteRequest> = {}) {
  const clock = new FakeClock();
  const stopper = new Stopper();
  const expiry = clock.now() + (change.deadline ?? Infinity);
  const task = new RedisTask({
    id: "a",
    name: "work",
    params: {},
    signal: stopper.signal,
    expiry,
    now: () => clock.now(),
  });
  return { clock, stopper, task, execution: execute({ task, taskFn, stopper, clock, ...change }) };
}

function errorOf(execution: Execution): Error {
  assert.ok("error" in execution, execution.state);
  return execution.error;
}

describe("execute", () => {
  it("gives the value of a plain, an async and a thenable answer, undefined included", async () => {
    assert.deepEqual(await start(() => 7).execution, { state: "succeeded", value: 7 });
    assert.deepEqual(await start(async () => await Promise.resolve(null)).execution, {
      state: "succeeded",
      value: null,
    });
    assert.deepEqual(await start(() => undefined).execution, { state: "succeeded", value: undefined });
    const thenable = { then: (resolve: (value: number) => void) => resolve(8) };
    assert.deepEqual(await start(() => thenable).execution, { state: "succeeded", value: 8 });
  });

  it("fails with what the handler threw, and wraps what is no Error", async () => {
    const thrown = new RangeError("no");
    const sync = await start(() => {
      throw thrown;
    }).execution;
    assert.equal(sync.state, "failed");
    assert.equal(errorOf(sync), thrown);
    const wrapped = errorOf(await start(() => Promise.reject({ code: 3 })).execution);
    assert.ok(wrapped instanceof Error);
    assert.deepEqual(wrapped.cause, { code: 3 });
  });

  it("is decided by the reason of an abort, also when the handler never settles", async () => {
    const cases = [
      [new TaskTimeoutError("r"), "expired"],
      [new TaskCancelledError("r"), "cancelled"],
      [new LeaseLostError("r"), "abandoned"],
      [new ListenerStoppedError("r"), "abandoned"],
      [new TypeError("r"), "failed"],
      ["text", "failed"],
    ] as const;
    for (const [reason, state] of cases) {
      const { stopper, execution } = start(() => never());
      stopper.abort(reason);
      assert.equal((await execution).state, state);
    }
  });

  it("expires at the deadline and tells the handler by its signal", async () => {
    const { clock, task, execution } = start(() => never(), { deadline: 1_000 });
    await clock.advance(999);
    assert.equal(task.signal.aborted, false);
    await clock.advance(1);
    assert.equal((await execution).state, "expired");
    assert.ok(task.signal.reason instanceof TaskTimeoutError);
    assert.equal(clock.pending, 0);
  });

  it("F9: fails at the limit of the attempt", async () => {
    const { clock, execution } = start(() => never(), { deadline: 9_000, attemptTimeout: 1_000 });
    await clock.advance(1_000);
    const error = errorOf(await execution);
    assert.ok(error instanceof TaskFailedError);
    assert.match(error.message, /attemptTimeout \(1000 ms\)/);
    assert.equal(clock.pending, 0);
  });

  it("does not call the handler of a task whose time is over or that is aborted already", async () => {
    let calls = 0;
    const late = start(() => void (calls += 1), { deadline: 0 });
    assert.equal((await late.execution).state, "expired");
    const stopper = new Stopper();
    stopper.abort(new TaskCancelledError("r"));
    assert.equal((await start(() => void (calls += 1), { stopper }).execution).state, "cancelled");
    assert.equal(calls, 0);
  });

  it("F9: ignores a handler that settles after its end", async () => {
    const gate = deferred();
    const { stopper, execution } = start(async () => {
      await gate.promise;
      throw new Error("too late");
    });
    stopper.abort(new TaskCancelledError("r"));
    assert.equal((await execution).state, "cancelled");
    gate.resolve();
    await new Promise((resolve) => setTimeout(resolve)); // an unhandled rejection would end this process
  });

  it("tells the task's own time-out from one that the handler met", async () => {
    const foreign = await start(() => Promise.reject(new TaskTimeoutError("another task")), { deadline: 1_000 })
      .execution;
    assert.equal(foreign.state, "failed");
    const late = new Stopper();
    const clock = new FakeClock();
    const task = new RedisTask({ id: "a", name: "work", params: {}, expiry: clock.now() - 1, now: () => clock.now() });
    const taskFn: TaskFn = (task) => task.update(1, 2);
    const own = await execute({ task, taskFn, stopper: late, clock });
    assert.equal(own.state, "expired");
  });

  it("leaves no timer behind, and keeps deadlines longer than one timer lasts", async () => {
    const done = start(() => 1, { deadline: 1_000, attemptTimeout: 1_000 });
    await done.execution;
    assert.equal(done.clock.pending, 0);
    const days = 86_400_000;
    const long = start(() => never(), { deadline: 40 * days });
    await long.clock.advance(40 * days - 1);
    assert.equal(long.stopper.aborted, false);
    await long.clock.advance(1);
    assert.equal((await long.execution).state, "expired");
  });
});
