/**
 * The names of the keys are a contract with every other program on the same Redis.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keysOf } from "../src/keys.ts";

describe("keysOf", () => {
  it("names every key and channel as docs/wire.md says", () => {
    const keys = keysOf("app", "task-queue");
    const names = [
      keys.base,
      keys.none,
      keys.record("7"),
      keys.joined("7"),
      keys.queue("greet"),
      keys.scheduled("greet"),
      keys.lease("greet"),
      keys.bell("greet"),
      keys.listen("greet"),
      keys.listener("0123456789ab"),
      keys.inbox("ba9876543210"),
      keys.control("0123456789ab"),
    ];
    assert.deepEqual(names, [
      "app|task-queue",
      "app|task-queue|task-none",
      "app|task-queue|task-result:7",
      "app|task-queue|task-joined:7",
      "app|task-queue|task-queue|greet",
      "app|task-queue|task-scheduled|greet",
      "app|task-queue|task-lease|greet",
      "app|task-queue|task-bell|greet",
      "app|task-queue|task-listen|greet",
      "app|task-queue|task-listener|0123456789ab",
      "app|task-queue|inbox|ba9876543210",
      "app|task-queue|control|0123456789ab",
    ]);
  });

  it("F78: takes any character in ids and names", () => {
    const keys = keysOf("app", "q");
    for (const text of ["", "a:b", "a|b", "{x}", "}{", "NUL\0", "日本 😀"]) {
      assert.equal(keys.record(text), `app|q|task-result:${text}`);
      assert.equal(keys.queue(text), `app|q|task-queue|${text}`);
    }
  });

  it("F60: takes one balanced pair of braces, in prefix or suffix", () => {
    for (const [prefix, suffix] of [["{app}", "q"], ["app", "{q}"], ["a{p}p", "q"], ["{app", "q}"], ["", ""]]) {
      assert.equal(keysOf(prefix!, suffix!).base, `${prefix}|${suffix}`);
    }
  });

  it("F60: refuses braces that would scatter the keys of one task over a cluster", () => {
    for (
      const [prefix, suffix] of [["{}", "q"], ["{app", "q"], ["app}", "q"], ["}app{", "q"], ["{a}", "{b}"], [
        "{{a}}",
        "",
      ]]
    ) {
      assert.throws(() => keysOf(prefix!, suffix!), {
        name: "TypeError",
        message: /balanced, non-empty pair of braces/,
      });
    }
  });
});
