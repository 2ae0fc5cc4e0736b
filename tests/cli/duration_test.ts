import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDuration } from "../../src/cli/duration.ts";

describe("parseDuration", () => {
  it("reads milliseconds, seconds, minutes and hours", () => {
    const read = ["500ms", "30s", "5m", "2h", "1.5s", "0s", " 1s "].map(parseDuration);
    assert.deepEqual(read, [500, 30_000, 300_000, 7_200_000, 1_500, 0, 1_000]);
  });

  it("refuses a number without a unit and says the way out", () => {
    assert.throws(() => parseDuration("30"), {
      name: "SyntaxError",
      message: /"30": it needs a unit, as in 30ms, 30s/,
    });
  });

  it("refuses negative ones, other units and nothing at all", () => {
    assert.throws(() => parseDuration("-1s"), /cannot be negative/);
    for (const text of ["", "s", "5 days", "1d", "1e3s", "5S"]) assert.throws(() => parseDuration(text), SyntaxError);
  });

  it("refuses what no timer can wait for", () => {
    assert.throws(() => parseDuration("10000h"), { name: "RangeError", message: /the longest is 596h/ });
  });
});
