import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TaskRecord } from "../src/record.ts";
import { Suspects } from "../src/suspects.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { enqueue, listening, makeListener, openMemory, withVerbs } from "./support/listening.ts";
import { until } from "./support/wait.ts";

const task = (id: string, crashes: number) => ({ id, crashes }) as TaskRecord;
const ids = (tasks: readonly TaskRecord[]) => tasks.map(({ id }) => id).join(" ");

describe("suspects", () => {
  const open = () => {
    const clock = new FakeClock();
    const suspects = new Suspects({ clock, random: { id: () => "", unit: () => 0 } });
    const split = (...tasks: TaskRecord[]) => Object.values(suspects.split(tasks)).map(ids);
    /** Starts one; what it gives ends it. */
    const start = (record: TaskRecord) => {
      let settle = () => {};
      const settled = new Promise<void>((resolve) => settle = resolve);
      suspects.started(record, { settled });
      return async () => {
        settle();
        await settled;
        await Promise.resolve();
      };
    };
    return { clock, suspects, split, start };
  };

  it("F14: are started one at a time, the others later; what was lost once at most is no suspect", async () => {
    const { suspects, split, start } = open();
    const [twice, thrice] = [task("twice", 2), task("thrice", 3)];
    assert.deepEqual(split(task("new", 0), task("once", 1), twice, thrice), ["new once", "twice", "thrice"]);
    void start(task("once", 1));
    assert.deepEqual(split(twice), ["", "twice", ""], "one that is no suspect keeps nobody waiting");
    const end = start(twice);
    assert.deepEqual(split(thrice, task("other", 0)), ["other", "", "thrice"]);
    await end();
    assert.deepEqual(split(thrice), ["", "thrice", ""]);
    assert.equal(suspects.delay, 1_000);
  });

  it("F14: start beside one that has run for a second, but nothing beside one that has its last chance", async () => {
    const { clock, split, start } = open();
    const [one, other, last] = [task("one", 2), task("other", 2), task("last", 3)];
    const end = start(one);
    await clock.advance(999);
    assert.deepEqual(split(other, last), ["", "", "other last"]);
    await clock.advance(1);
    assert.deepEqual(split(last, other), ["", "other", "last"]);
    await end();
    const endLast = start(last);
    await clock.advance(5_000);
    assert.deepEqual(split(other), ["", "", "other"]);
    await endLast();
    assert.deepEqual(split(other), ["", "other", ""]);
  });

  it("keep the innocent of their claim waiting for nothing, while they are given back", async () => {
    const { store } = openMemory();
    for (const id of ["suspect", "other suspect", "innocent"]) await enqueue(store, id);
    let answer = () => {};
    const watched = withVerbs(store, {
      claim: async (request) => {
        const claimed = await store.claim(request);
        const crashed = (record: TaskRecord) => record.id === "innocent" ? record : { ...record, crashes: 2 };
        return { ...claimed, tasks: claimed.tasks.map(crashed) };
      },
      release: () => new Promise((resolve) => answer = () => resolve([])), // As a network that is slow now.
    });
    const started: string[] = [];
    await listening(makeListener(watched, (one) => void started.push(one.id), { workers: 8 }), async () => {
      await until(() => started.length > 0, "something starts");
      assert.deepEqual(started, ["innocent"]);
      answer();
      await until(() => started.length > 1, "a suspect starts");
      assert.deepEqual(started, ["innocent", "suspect"]);
    });
  });
});
