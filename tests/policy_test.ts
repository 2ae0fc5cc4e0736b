import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { type Places, runByPolicy, TaskExecutePolicy } from "../src/policy.ts";

class Unreachable extends Error {}
class Failure extends Error {}
class Final extends Error {}

/** Places that note what is asked of them; each entry is a result, or an error to reject with. */
function places(
  entries: { here?: unknown; remote?: unknown; canRunHere?: boolean },
): Places<unknown> & { log: string[] } {
  const log: string[] = [];
  const answer = (value: unknown) => value instanceof Error ? Promise.reject(value) : Promise.resolve(value);
  return {
    log,
    canRunHere: entries.canRunHere ?? true,
    here: (keep) => {
      log.push(`here, keeps ${keep}`);
      return answer(entries.here ?? "local");
    },
    remote: (mode) => {
      log.push(`remote${mode.ownIfUnattended ? ", own if unattended" : ""}, take back ${mode.takeBack}`);
      return answer(entries.remote ?? "remote");
    },
    isUnreachable: (error) => error instanceof Unreachable,
    isFailure: (error) => error instanceof Failure,
  };
}

const { Local, Remote, LocalFirst, RemoteFirst, Auto } = TaskExecutePolicy;
const PLAIN = "remote, take back null";
const HERE = "here, keeps every end";

describe("runByPolicy", () => {
  it("Local runs here only", async () => {
    const one = places({});
    assert.equal(await runByPolicy(Local, one), "local");
    assert.deepEqual(one.log, [HERE]);
    await assert.rejects(runByPolicy(Local, places({ here: new Failure() })), Failure);
  });

  it("Remote asks only, whatever happens", async () => {
    for (const error of [new Unreachable(), new Failure(), new Final()]) {
      const one = places({ remote: error });
      await assert.rejects(runByPolicy(Remote, one), error);
      assert.deepEqual(one.log, [PLAIN]);
    }
  });

  it("Auto asks, and runs here only when the queue does not have the task", async () => {
    const one = places({});
    assert.equal(await runByPolicy(Auto, one), "remote");
    assert.deepEqual(one.log, ["remote, own if unattended, take back unattended"]);
    assert.equal(await runByPolicy(Auto, places({ remote: new Unreachable() })), "local");
    await assert.rejects(runByPolicy(Auto, places({ remote: new Failure() })), Failure);
    await assert.rejects(runByPolicy(Auto, places({ remote: new Final() })), Final);
  });

  it("RemoteFirst runs here after a failure too, but not after a timeout or a cancel", async () => {
    const one = places({ remote: new Failure() });
    assert.equal(await runByPolicy(RemoteFirst, one), "local");
    assert.deepEqual(one.log, ["remote, own if unattended, take back not started", HERE]);
    assert.equal(await runByPolicy(RemoteFirst, places({ remote: new Unreachable() })), "local");
    await assert.rejects(runByPolicy(RemoteFirst, places({ remote: new Final() })), Final);
  });

  it("LocalFirst asks after a failure, and gives the failure back when it cannot ask", async () => {
    const one = places({ here: new Failure() });
    assert.equal(await runByPolicy(LocalFirst, one), "remote");
    assert.deepEqual(one.log, ["here, keeps success", PLAIN]);
    await assert.rejects(runByPolicy(LocalFirst, places({ here: new Failure(), remote: new Unreachable() })), Failure);
    await assert.rejects(runByPolicy(LocalFirst, places({ here: new Failure(), remote: new Final() })), Final);
    const final = places({ here: new Final() });
    await assert.rejects(runByPolicy(LocalFirst, final), Final);
    assert.deepEqual(final.log, ["here, keeps success"]);
  });

  it("without a function here Auto, LocalFirst and RemoteFirst mean Remote", async () => {
    for (const policy of [Auto, LocalFirst, RemoteFirst]) {
      const one = places({ canRunHere: false });
      assert.equal(await runByPolicy(policy, one), "remote");
      assert.deepEqual(one.log, [PLAIN]);
    }
  });
});

describe("TaskExecutePolicy", () => {
  it("is frozen, and names what goes on the command line", () => {
    assert.ok(Object.isFrozen(TaskExecutePolicy));
    assert.deepEqual(Object.values(TaskExecutePolicy), ["local", "remote", "local-first", "remote-first", "auto"]);
  });
});
