import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { keysOf } from "../src/keys.ts";
import { HEADER_FIELDS, HEADER_LENGTH, STATES } from "../src/record.ts";
import { brokenFiles, readJUnit, withoutParents } from "../tools/junit.mjs";
import { staleFiles } from "../tools/sync_version.ts";

const ROOT = new URL("../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");

/** The cells of the table rows under a heading that begin with a backticked word or a digit. */
function rowsUnder(page: string, heading: string): string[][] {
  const section = page.split(/^(?=#+ )/m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(section, `the page has no heading "${heading}"`);
  const rows = section.split("\n").filter((line) => /^\| (?:`|\d)/.test(line));
  return rows.map((row) => row.replaceAll("\\|", "¦").split("|").slice(1, -1).map((cell) => cell.trim()));
}

/** Keys and channels of a table, with its placeholders for names and ids. */
function keysUnder(page: string, heading: string): string[] {
  return rowsUnder(page, heading).map(([key]) => key!.replaceAll("`", "").replaceAll("¦", "|")).sort();
}

/** What src/keys.ts builds for the placeholders of the tables. */
function builtKeys(): string[] {
  const keys = keysOf("<prefix>", "<suffix>");
  const built = [keys.none, keys.record("<id>"), keys.joined("<id>"), keys.inbox("<client>")];
  const ofName = [keys.queue, keys.scheduled, keys.lease, keys.dead, keys.done, keys.stats, keys.bell, keys.listen];
  for (const build of ofName) built.push(build("<name>"));
  built.push(keys.listener("<listener>"), keys.control("<owner>"));
  return built.map((key) => key.replace(keys.base, "base")).sort();
}

describe("docs/wire.md", () => {
  const page = read("docs/wire.md");

  it("names every field of the header with its offset and length", () => {
    const fields = rowsUnder(page, "## The record: `base|task-result:<id>`");
    const told = fields.map(([name, first, length]) => [name!.replaceAll("`", ""), [Number(first), Number(length)]]);
    assert.deepEqual(told, Object.entries(HEADER_FIELDS));
    assert.ok(page.includes(`The header is ${HEADER_LENGTH} bytes`));
    assert.ok(page.includes(`outcome = ${HEADER_LENGTH} + int(`));
  });

  it("names every state with its digit", () => {
    const told = rowsUnder(page, "### States").map(([digit, state]) => [Number(digit), state!.replaceAll("`", "")]);
    assert.deepEqual(told, STATES.map((state, digit) => [digit, state]));
  });

  it("names every key and channel that src/keys.ts builds", () => {
    assert.deepEqual(keysUnder(page, "## Keys"), builtKeys());
  });

  it("cuts a record where its example says", () => {
    const slices = [...page.matchAll(/record\[(\d+):(\d+)\]\)/g)].map(([, first, end]) => [+first!, +end! - +first!]);
    const { state, nameLength, optionsLength, paramsLength } = HEADER_FIELDS;
    assert.deepEqual(slices, [state, nameLength, optionsLength, paramsLength]);
  });
});

describe("the header's layout", () => {
  it("has no gaps and no overlaps", () => {
    let next = 0;
    for (const [name, [first, length]] of Object.entries(HEADER_FIELDS)) {
      assert.equal(first, next, name);
      next = first + length;
    }
    assert.equal(next, HEADER_LENGTH);
  });
});

describe("ARCHITECTURE.md", () => {
  it("names every key and channel that src/keys.ts builds", () => {
    assert.deepEqual(keysUnder(read("ARCHITECTURE.md"), "## Keys"), builtKeys());
  });
});

describe("the manifests", () => {
  it("say the same in deno.json, jsr.json and package.json", () => {
    assert.deepEqual(staleFiles(ROOT), []);
  });

  it("give every module that users import a comment with an example, by the name that it has for them", () => {
    const { name, exports } = JSON.parse(read("deno.json"));
    for (const [path, file] of Object.entries<string>(exports)) {
      const comment = /^(?:#!.*\n)?\/\*\*[^]*?\*\//.exec(read(file))?.[0] ?? "";
      assert.match(comment, /@module/, file);
      assert.match(comment, /^ \* ```(ts|sh)$/m, file);
      if (path !== "./cli") assert.ok(comment.includes(`from "${name}${path.slice(1)}"`), `${file} in its example`);
    }
  });

  it("say the version that the command line prints and the change log describes", () => {
    const { version } = JSON.parse(read("deno.json"));
    assert.equal(/VERSION = "([^"]+)"/.exec(read("src/cli/main.ts"))?.[1], version);
    assert.ok(read("CHANGELOG.md").includes(`## [${version}]`));
  });

  it("name no registry in the lock files", () => {
    for (const lock of ["package-lock.json", "tools/package-lock.json", "tools/node22/package-lock.json"]) {
      assert.doesNotMatch(read(lock), /"resolved"|https?:\/\/[^"]*registry/, lock);
    }
  });
});

describe("reading JUnit files", () => {
  it("counts the steps of Deno and not what stands for them, unless that failed by itself", () => {
    const xml =
      `<testcase name="a" classname="./a_test.ts"><failure message="x">1 test step failed.</failure></testcase>
      <testcase name="a &gt; b" classname="ext:core/01_core.js"></testcase>
      <testcase name="a &gt; c" classname="ext:x.ts"><failure message="x">AssertionError</failure></testcase>
      <testcase name="d" classname="./a_test.ts"><failure message="x">hook broke</failure></testcase>
      <testcase name="d &gt; e" classname="ext:x.ts"><skipped/></testcase>`;
    const told = withoutParents(readJUnit(xml)).map(({ name, status }) => `${name}: ${status}`);
    assert.deepEqual(told, ["a > b: passed", "a > c: failed", "d: failed", "d > e: skipped"]);
  });

  it("reads self-closed cases and Bun's order of describes", () => {
    const xml =
      `<testcase name="c &lt;x&gt;" classname="inner &gt; outer" time="0" /><testcase name="t" classname="" />`;
    assert.deepEqual(readJUnit(xml).map(({ name }) => name), ["outer > inner > c <x>", "t"]);
  });

  it("sees files that could not be loaded", () => {
    assert.deepEqual(brokenFiles("Uncaught error from ./b_test.ts FAILED\n"), ["./b_test.ts"]);
    assert.equal(brokenFiles(" 3 pass\n 2 fail\n 1 error\nRan 6 tests").length, 1);
    assert.deepEqual(brokenFiles("ok | 3 passed"), []);
  });
});
