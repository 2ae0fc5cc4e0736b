import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Alarms } from "../src/alarms.ts";
import { FakeClock } from "./support/fake_clock.ts";

function setUp() {
  const clock = new FakeClock();
  const alarms = new Alarms(clock);
  const rung: number[] = [];
  const set = (due: number) => alarms.set(due, () => rung.push(due));
  return { clock, alarms, rung, set };
}

describe("Alarms", () => {
  it("ring in the order of their instants, each once, on one timer", async () => {
    const { clock, rung, set } = setUp();
    for (const due of [50, 10, 40, 10, 30, 20, 60]) set(due);
    assert.equal(clock.pending, 1);
    await clock.advance(35);
    assert.deepEqual(rung, [10, 10, 20, 30]);
    await clock.advance(100);
    assert.deepEqual(rung, [10, 10, 20, 30, 40, 50, 60]);
    assert.equal(clock.pending, 0);
  });

  it("do not ring once cancelled, and leave no timer when none is left", async () => {
    const { clock, alarms, rung, set } = setUp();
    const first = set(10);
    const second = set(20);
    alarms.cancel(first);
    alarms.cancel(first);
    await clock.advance(15);
    assert.equal(clock.pending, 1);
    alarms.cancel(second);
    assert.equal(clock.pending, 0);
    await clock.advance(100);
    assert.deepEqual(rung, []);
    set(200);
    await clock.advance(100);
    assert.deepEqual(rung, [200]);
  });

  it("keep their order when most of thousands are cancelled", async () => {
    const { clock, alarms, rung, set } = setUp();
    const all = Array.from({ length: 3_000 }, (_, at) => set(1 + (at * 7_919) % 3_000));
    for (const [at, alarm] of all.entries()) if (at % 10 !== 0) alarms.cancel(alarm);
    await clock.advance(3_001);
    assert.equal(rung.length, 300);
    assert.deepEqual(rung, rung.toSorted((one, other) => one - other));
  });

  it("may set and cancel others as they ring; Infinity never comes", async () => {
    const { clock, alarms, rung, set } = setUp();
    const victim = set(20);
    alarms.set(10, () => (alarms.cancel(victim), set(15)));
    alarms.cancel(set(Infinity));
    set(Infinity);
    await clock.advance(1_000);
    assert.deepEqual(rung, [15]);
    assert.equal(clock.pending, 0);
  });

  it("reach further than one timer lasts", async () => {
    const { clock, rung, set } = setUp();
    set(2 ** 31 + 5);
    await clock.advance(2 ** 31 + 4);
    assert.deepEqual(rung, []);
    await clock.advance(1);
    assert.deepEqual(rung, [2 ** 31 + 5]);
  });
});
