import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { usageError } from "../../src/cli/exit_codes.ts";
import { describeBriefly, describeFully } from "../../src/cli/output.ts";

describe("describeBriefly", () => {
  it("says an error and its causes, one line each", () => {
    const error = new TypeError("one\n  two", { cause: new Error("three", { cause: "four" }) });
    assert.equal(describeBriefly(error), "TypeError: one two\n  caused by Error: three\n  caused by four");
  });

  it("leaves out a cause that the message has told already", () => {
    assert.equal(describeBriefly(new Error("Cannot do it: no", { cause: new Error("no") })), "Error: Cannot do it: no");
    assert.equal(describeBriefly(usageError("Wrong", { cause: new Error("internal") })), "Wrong");
  });

  it("ends with causes that form a ring, and lets no control character through", () => {
    const ring = new Error("a\u001b[2J");
    ring.cause = ring;
    assert.equal(describeBriefly(ring), "Error: a [2J");
  });
});

describe("describeFully", () => {
  it("shows the stacks of an error and its causes", () => {
    const text = describeFully(new Error("one", { cause: new RangeError("two") }));
    assert.match(text, /Error: one\n\s+at [^]*\ncaused by RangeError: two\n\s+at /);
  });
});
