/** What comes along when somebody imports errand: no client, no command line, nothing from npm. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { Script } from "../../src/store/redis/script.ts";
import { findFaults } from "../../tools/build_npm.ts";
import { until } from "../support/wait.ts";
import { ROOT } from "./kit.ts";

const { exports } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));

/** An import, or an export from elsewhere; whether it is of types only, and of what. */
const IMPORT = /^(?:import|export)\s+(type\s)?(?:[\w*{][^;"'=()]*\sfrom\s+)?["']([^"']+)["'];/gm;

/** A file and all that it imports as it is loaded; packages by their names. Types are imported by nobody. */
function loadedWith(path: string, found: Set<string> = new Set()): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  if (!path.startsWith(ROOT)) return found;
  const code = readFileSync(path, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  for (const [, types, target] of code.matchAll(IMPORT)) {
    if (types === undefined) loadedWith(target!.startsWith(".") ? join(dirname(path), target!) : target!, found);
  }
  return found;
}

const namesOf = (paths: Iterable<string>): string[] => [...paths].map((path) => path.replace(ROOT, ""));

describe("importing errand", () => {
  const loaded = namesOf(loadedWith(join(ROOT, exports["."])));

  it("loads every file that it names", () => {
    assert.ok(loaded.includes("src/queue.ts") && loaded.includes("src/listener.ts"), loaded.join(" "));
    for (const path of loaded.filter((name) => name.endsWith(".ts"))) assert.ok(existsSync(join(ROOT, path)), path);
  });

  it("loads no package and no command line", () => {
    assert.deepEqual(loaded.filter((name) => !name.startsWith("src/") && !/^(mod\.ts$|node:)/.test(name)), []);
    assert.deepEqual(loaded.filter((name) => name.startsWith("src/cli")), []);
  });

  it("loads of the runtimes only what they share, and nothing that makes a connection", () => {
    assert.deepEqual(loaded.filter((name) => name.startsWith("node:")).sort(), ["node:async_hooks", "node:timers"]);
    assert.deepEqual(loaded.filter((name) => name.startsWith("src/adapters/")), ["src/adapters/connect.ts"]);
  });

  it("hashes no script: that waits for its first use", async () => {
    const script = new Script("late", "return 1");
    assert.equal(script.sha, null);
    assert.equal(await until(() => script.sha, "the hash is known"), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  });
});

describe("every other module of errand", () => {
  for (const [name, path] of Object.entries<string>(exports).filter(([name]) => name !== "." && name !== "./cli")) {
    it(`${name} loads no client, no command line, and at most the package that it is named after`, () => {
      const loaded = namesOf(loadedWith(join(ROOT, path)));
      const foreign = loaded.filter((file) =>
        !file.startsWith("src/") && file !== "mod.ts" && !file.startsWith("node:")
      );
      assert.deepEqual(foreign, foreign.length === 0 ? [] : [name.slice(2)]);
      assert.deepEqual(loaded.filter((file) => file.startsWith("src/cli")), []);
    });
  }
});

describe("building the npm package", () => {
  const manifest = {
    name: "x",
    version: "1.0.0",
    exports: { ".": { types: "./mod.d.ts", default: "./mod.js" } },
    bin: { x: "./cli.js" },
    dependencies: { used: "^1.0.0" },
    peerDependencies: { optional: "^1.0.0" },
    peerDependenciesMeta: { optional: { optional: true } },
  };
  const good: Record<string, string> = {
    "package.json": JSON.stringify(manifest),
    "mod.js": 'import "node:fs";\nimport { a } from "used";\n/* from "comment" */ await import("./b.js");\n',
    "mod.d.ts": 'export { b } from "optional/part";\n',
    "cli.js": "",
    "README.md": "",
    "LICENSE": "",
    "CHANGELOG.md": "",
  };
  const faultsWith = (files: Record<string, string>): string[] =>
    findFaults(new Map(Object.entries({ ...good, ...files })), "/some/where/");

  it("takes a whole one", () => {
    assert.deepEqual(faultsWith({}), []);
  });

  it("refuses what must not be published, and says why", () => {
    const bad: readonly (readonly [Record<string, string>, RegExp])[] = [
      [{ "a.js": 'import x from "@scope/other/part";' }, /^a\.js imports @scope\/other, which package\.json does not/],
      [{ "a.js": 'await import("jsr:@db/redis");' }, /^a\.js imports jsr:@db/],
      [{ "mod.js": "" }, /^used is declared, and nothing imports it$/],
      [{ "tests/a.js": "" }, /^tests\/a\.js is not for users$/],
      [{ "src/a_test.js": "" }, /is not for users$/],
      [{ "src/a.ts": "" }, /^src\/a\.ts is a source$/],
      [{ "a.js": "'/some/where/src'" }, /names a folder of this machine$/],
      [{ "a.js": "//# sourceMappingURL=data:x" }, /has a source map$/],
    ];
    for (const [files, message] of bad) {
      const faults = faultsWith(files);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0]!, message);
    }
    const incomplete = new Map(Object.entries(good).filter(([path]) => path !== "mod.js" && path !== "LICENSE"));
    const unused = "used is declared, and nothing imports it";
    assert.deepEqual(findFaults(incomplete, "/x"), ["./mod.js is missing", "./LICENSE is missing", unused]);
    const required = { ...manifest, peerDependenciesMeta: {} };
    assert.deepEqual(faultsWith({ "package.json": JSON.stringify(required) }), [
      "optional is a peer that is not optional",
    ]);
  });
});
