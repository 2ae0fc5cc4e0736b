/**
 * The simulation itself: that it replays, that it finds nothing where nothing is wrong, and that it finds what is
 * planted. Thousands of fresh seeds are `deno task sim`.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Coverage } from "./sim/coverage.ts";
import { FAULTS } from "./sim/faults.ts";
import { PLANTS } from "./sim/plants.ts";
import { runSeed } from "./sim/run.ts";
import { VERBS } from "./sim/verbs.ts";

/** Where the search for each plant begins: not far from where it is found, so that the test is short. */
const FROM: Readonly<Record<string, number>> = { fence: 7, order: 1, replay: 62, inbox: 1, poll: 1 };

describe("the simulation", () => {
  it("finds nothing wrong in a few seeds, each of which did much and met much", async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const { violations, ops, faults } = await runSeed(seed);
      assert.deepEqual(violations, [], `seed ${seed}: deno task sim --seed ${seed} --trace`);
      assert.ok(ops >= 150, `${ops} calls`);
      assert.ok(faults >= 5, `${faults} faults`);
    }
  });

  it("replays a seed event by event", async () => {
    const [first, second] = [await runSeed(2 ** 40 + 1), await runSeed(2 ** 40 + 1)];
    assert.deepEqual(first, second);
    assert.notEqual(first.hash, (await runSeed(8)).hash);
  });

  it("has a search for each plant", () => {
    assert.deepEqual(Object.keys(FROM), Object.keys(PLANTS));
  });

  it("counts which verbs met which faults", async () => {
    const coverage = new Coverage();
    for (let seed = 1; seed <= 2; seed++) await runSeed(seed, { coverage });
    assert.ok(coverage.missing(VERBS, FAULTS).length < VERBS.length * FAULTS.length);
    assert.equal(coverage.table(VERBS, FAULTS).split("\n").length, VERBS.length + 2);
  });

  for (const [plant, from] of Object.entries(FROM)) {
    it(`finds a planted fault within 1,000 seeds: ${plant}`, async () => {
      for (let seed = from; seed < from + 1_000; seed++) {
        if ((await runSeed(seed, { plant })).violations.length > 0) return;
      }
      assert.fail("it was not found");
    });
  }
});
