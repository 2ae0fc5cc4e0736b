import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { plainRecord } from "../../src/cli/raw_record.ts";
import type { TaskRecord } from "../../src/record.ts";
import { bareRecord } from "../../src/store/foreign.ts";

describe("plainRecord", () => {
  const record: TaskRecord = {
    ...bareRecord("one", 'json={"a":1}'),
    name: "add",
    kind: "enqueued",
    state: "succeeded",
    outcome: "\njson=3",
  };

  function shown(change: Partial<TaskRecord>): readonly unknown[] {
    const { id, name, state, params, result } = plainRecord({ ...record, ...change });
    return [id, name, state, params, result];
  }

  it("shows what can be read as it is", () => {
    assert.deepEqual(shown({}), ["one", "add", "succeeded", { a: 1 }, 3]);
  });

  it("shows unreadable params as raw text, with the rest", () => {
    assert.deepEqual(shown({ params: "dates=1-2" }), ["one", "add", "succeeded", "dates=1-2", 3]);
  });

  it("shows an unreadable result as raw text, with the rest", () => {
    assert.deepEqual(shown({ outcome: "\ndates=1-2" }), ["one", "add", "succeeded", { a: 1 }, "dates=1-2"]);
    assert.deepEqual(shown({ outcome: "{junk\nx" }), ["one", "add", "succeeded", { a: 1 }, "{junk\nx"]);
  });
});
