import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { checkSources, readSources } from "../tools/check.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TOP = "/** What this is. */\n";

/** What the check says about one file beside an innocent one. */
function findingsOf(path: string, text: string): string[] {
  return checkSources(new Map([["src/errors.ts", `${TOP}export {};\n`], [path, text]]));
}

function assertOne(findings: readonly string[], expected: RegExp): void {
  assert.equal(findings.length, 1, findings.join("\n"));
  assert.match(findings[0]!, expected);
}

describe("architecture", () => {
  it("holds for the whole of the sources", () => {
    const sources = readSources(ROOT);
    assert.ok(sources.size > 10, `found only ${[...sources.keys()].join(", ")}`);
    assert.deepEqual(checkSources(sources), []);
  });
});

describe("the architecture check", () => {
  it("finds nothing in a good module", () => {
    const text = `${TOP}import { A } from "./errors.ts";\n\n/** Does. */\nexport function f(): A {\n  return A;\n}\n`;
    assert.deepEqual(findingsOf("src/task.ts", text), []);
  });

  it("refuses an import against the layers, of types too", () => {
    const text = `${TOP}import type { Queue } from "./queue.ts";\n`;
    const sources = new Map([["src/task.ts", text], ["src/queue.ts", TOP]]);
    assertOne(checkSources(sources), /src\/task\.ts \(pure\) must not import src\/queue\.ts \(queue\)/);
    const dynamic = `${TOP}const { Queue } = await import("../../queue.ts");\n`;
    assertOne(findingsOf("src/store/redis/claim.ts", dynamic), /must not import src\/queue\.ts/);
  });

  it("refuses a file that has no layer", () => {
    assertOne(findingsOf("src/helpers/misc.ts", TOP), /belongs to no layer/);
  });

  it("refuses imports that go round", () => {
    const sources = new Map([
      ["src/task.ts", `${TOP}import { a } from "./keys.ts";\n`],
      ["src/keys.ts", `${TOP}import type { b } from "./task.ts";\n`],
    ]);
    assertOne(checkSources(sources), /imports go round: src\/task\.ts → src\/keys\.ts → src\/task\.ts/);
  });

  for (const code of ["Deno.exit(1);", "globalThis.process.exit(1);", 'import "node:fs";', "Buffer.from(x);"]) {
    it(`refuses ${code} in the core and allows it in an adapter`, () => {
      assertOne(findingsOf("src/task.ts", `${TOP}${code}\n`), /src\/task\.ts:2 names a runtime/);
      assert.deepEqual(findingsOf("src/adapters/bun.ts", `${TOP}${code}\n`), []);
    });
  }

  it("does not mind a runtime's name in a comment", () => {
    assert.deepEqual(findingsOf("src/task.ts", `${TOP}// Unlike Deno.serve, and process.exit too.\n`), []);
  });

  it("refuses keys that are built outside of keys.ts", () => {
    const text = TOP + "const key = `${base}|task-" + "queue|${name}`;\n";
    assertOne(findingsOf("src/task.ts", text), /builds a Redis key/);
    assert.deepEqual(findingsOf("src/keys.ts", text), []);
  });

  it("refuses long files, long functions and deep nesting", () => {
    assertOne(findingsOf("src/task.ts", TOP + "f();\n".repeat(300)), /has 301 lines/);
    const long = `function f() {\n${"  g();\n".repeat(49)}}\n`;
    assertOne(findingsOf("src/task.ts", TOP + long), /src\/task\.ts:2 begins a function of 51 lines/);
    const method = `class A {\n  async #f(\n    a: B,\n  ): Promise<C> {\n${"    g();\n".repeat(49)}  }\n}\n`;
    assertOne(findingsOf("src/task.ts", TOP + method), /a function of 51 lines/);
    const levels = [1, 2, 3, 4].map((level) => "  ".repeat(level));
    const deep = `function f() {\n${levels.map((space) => `${space}if (a) {\n`).join("")}${
      levels.toReversed().map((space) => `${space}}\n`).join("")
    }}\n`;
    assertOne(findingsOf("src/task.ts", TOP + deep), /src\/task\.ts:6 is nested 4 deep/);
  });

  it("refuses exports and files without a comment", () => {
    assertOne(findingsOf("src/task.ts", `${TOP}\nexport function f(): void {}\n`), /exports f without a JSDoc comment/);
    assertOne(findingsOf("src/task.ts", "const a = 1;\n"), /does not begin with a module comment/);
  });
});
