import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backoffDelay, DEFAULT_BACKOFF } from "../src/retry.ts";
import { RetryBudget } from "../src/retry_budget.ts";
import { FakeClock } from "./support/fake_clock.ts";

const ATTEMPTS = [1, 2, 3, 4, 9, 10, 11, 999];
const waits = (backoff: Parameters<typeof backoffDelay>[0], unit: number) =>
  ATTEMPTS.map((attempt) => backoffDelay(backoff, attempt, unit));

describe("backoffDelay", () => {
  it("doubles from 1 s to 5 min by default, less up to half", () => {
    assert.deepEqual(waits(DEFAULT_BACKOFF, 0), [1_000, 2_000, 4_000, 8_000, 256_000, 300_000, 300_000, 300_000]);
    assert.deepEqual(waits(DEFAULT_BACKOFF, 0.999_999).slice(0, 3), [500, 1_000, 2_000]);
    assert.deepEqual(waits({ delay: 1_000 }, 0), waits(DEFAULT_BACKOFF, 0));
  });

  it("is constant for a number and for a constant plan, without jitter unless asked for", () => {
    assert.deepEqual(new Set(waits(700, 0.5)), new Set([700]));
    assert.deepEqual(new Set(waits({ type: "constant", delay: 700 }, 0.5)), new Set([700]));
    assert.equal(backoffDelay({ type: "constant", delay: 700, jitter: 1 }, 3, 0.5), 350);
  });

  it("keeps to its largest wait, and never goes below the first one for it", () => {
    assert.equal(backoffDelay({ delay: 100, max: 250 }, 3, 0), 250);
    assert.equal(backoffDelay({ delay: 600_000 }, 1, 0), 600_000);
  });
});

describe("a retry budget", () => {
  it("lets a fifth of the attempts be retries, beside ten a second", async () => {
    const clock = new FakeClock();
    const budget = new RetryBudget(clock);
    const spendAll = () => {
      let spent = 0;
      while (budget.spend()) spent += 1;
      return spent;
    };
    assert.equal(spendAll(), 100, "what was saved");
    assert.equal(spendAll(), 0);
    for (let attempt = 0; attempt < 50; attempt += 1) budget.earn();
    assert.equal(spendAll(), 10);
    await clock.advance(1_000);
    assert.equal(spendAll(), 10);
    await clock.advance(60_000);
    assert.equal(spendAll(), 100, "no more is saved");
  });
});
