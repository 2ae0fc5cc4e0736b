import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TaskRecord } from "../src/record.ts";
import { Suspects } from "../src/suspects.ts";

const task = (id: string, crashes: number) => ({ id, crashes }) as TaskRecord;
const ids = (tasks: readonly TaskRecord[]) => tasks.map(({ id }) => id).join(" ");

describe("suspects", () => {
  it("F14: are started one at a time, the others later; what was lost once at most is no suspect", async () => {
    const suspects = new Suspects({ id: () => "", unit: () => 0 });
    const claimed = [task("new", 0), task("once", 1), task("twice", 2), task("thrice", 3)];
    const first = suspects.split(claimed);
    assert.deepEqual([ids(first.now), ids(first.later)], ["new once twice", "thrice"]);
    let settle = () => {};
    const settled = new Promise<void>((resolve) => settle = resolve);
    for (const record of first.now) {
      suspects.started(record, { settled: record.crashes >= 2 ? settled : Promise.resolve() });
    }
    const second = suspects.split([task("thrice", 3), task("other", 0)]);
    assert.deepEqual([ids(second.now), ids(second.later)], ["other", "thrice"]);
    settle();
    await settled;
    await Promise.resolve();
    assert.deepEqual(ids(suspects.split([task("thrice", 3)]).now), "thrice");
    assert.equal(suspects.delay, 1_000);
  });
});
