import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cellOf, numbersOf, readRows, staleRows, uncovered } from "../tools/ledger.mjs";

const page = `
| # | fault | what errand does | tests | runs on |
| --- | --- | --- | --- | --- |
| 1 | a \\| b | it ends | x | all |
| 2 | c | d | | no: it needs a power cut, which one machine cannot do |
| 3 | e | f | | Bun, Node |
`;

describe("the ledger of faults", () => {
  it("has one row for each fault, and each names the tests that are in the sources", () => {
    assert.deepEqual(staleRows(), []);
  });

  it("reads numbers from the names of tests, inside any describe", () => {
    assert.deepEqual(numbersOf("F1: dies"), [1]);
    assert.deepEqual(numbersOf("faults > F24 F25: cut > with ioredis"), [24, 25]);
    assert.deepEqual(numbersOf("F16 is a name without colon"), []);
    assert.deepEqual(numbersOf("no number"), []);
  });

  it("reads rows with the runtimes they must pass on", () => {
    const rows = readRows(page, ["deno", "bun", "node"]);
    assert.deepEqual(rows.map(({ number, runsOn }) => [number, runsOn]), [
      [1, ["deno", "bun", "node"]],
      [2, []],
      [3, ["bun", "node"]],
    ]);
  });

  it("tells rows that no test covers, that skip one, or that are not up to date", () => {
    const rows = readRows(page, ["deno", "bun"]);
    const passed = { name: "F1: a", status: "passed" };
    const runs = [
      { runtime: "deno", cases: [passed, { name: "F3: c", status: "skipped" }] },
      { runtime: "bun", cases: [{ ...passed, status: "failed" }, { name: "F3: c", status: "passed" }] },
    ];
    assert.deepEqual(uncovered(rows, runs), [
      { number: 1, reason: "no test passed on bun" },
      { number: 3, reason: 'deno skipped "F3: c"' },
    ]);
    const tests = [{ file: "tests/a_test.ts", name: "F1: dies | twice", numbers: [1] }];
    assert.equal(cellOf(1, tests), "[tests/a_test.ts](tests/a_test.ts): dies \\| twice");
    const told = staleRows(rows, tests).filter((finding) => /^Row/.test(finding));
    assert.deepEqual(told, [
      "Row 1 does not name its tests: run `node tools/ledger.mjs --write`",
      "Row 3 has no test",
    ]);
  });
});
