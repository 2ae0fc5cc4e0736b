import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadTaskFns, namesToListen } from "../../src/cli/task_module.ts";

describe("loadTaskFns", () => {
  let folder = "";
  before(() => void (folder = mkdtempSync(join(tmpdir(), "errand-module-"))));
  after(() => rmSync(folder, { recursive: true }));

  function write(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  it("takes one function or a map, from JavaScript and TypeScript", async () => {
    const one = await loadTaskFns(write("one.mjs", "export default () => 1;"));
    assert.equal(typeof one, "function");
    const map = await loadTaskFns(write("map.ts", "const a = (x: number): number => x;\nexport default { a };"));
    assert.deepEqual(Object.keys(map), ["a"]);
  });

  it("says what is wrong with another default export", async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["export const a = 1;", /not nothing/],
      ["export default 5;", /not a number/],
      ["export default {};", /not an empty map/],
      ["export default { a: () => 1, b: 2 };", /a map in which "b" is no function/],
    ];
    for (const [index, [text, message]] of cases.entries()) {
      await assert.rejects(loadTaskFns(write(`bad${index}.mjs`, text)), { name: "CliError", exitCode: 2, message });
    }
  });

  it("says that a file is missing, or why it cannot be loaded", async () => {
    await assert.rejects(loadTaskFns(join(folder, "missing.ts")), { exitCode: 2, message: /there is no file/ });
    const broken = write("broken.mjs", 'throw new RangeError("at load");');
    await assert.rejects(loadTaskFns(broken), { exitCode: 2, message: /RangeError: at load/ });
  });
});

describe("namesToListen", () => {
  const map = { resize: (): void => {}, "send-mail": (): void => {} };

  it("takes all names of a map unless some are asked for", () => {
    assert.deepEqual(namesToListen(map, undefined), ["resize", "send-mail"]);
    assert.deepEqual(namesToListen(map, ["resize"]), ["resize"]);
  });

  it("suggests the name that was meant", () => {
    assert.throws(() => namesToListen(map, ["resise"]), { exitCode: 2, message: /did you mean "resize"\?/ });
    assert.throws(() => namesToListen(map, ["toString"]), { exitCode: 2, message: /it has resize, send-mail/ });
  });

  it("needs names for one function", () => {
    assert.throws(() => namesToListen(() => 1, undefined), { exitCode: 2, message: /without --names/ });
    assert.deepEqual(namesToListen(() => 1, ["a"]), ["a"]);
  });
});
