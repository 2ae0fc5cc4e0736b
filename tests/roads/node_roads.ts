/**
 * The roads of those who have Node and npm.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import {
  emptyFolder,
  NAME,
  pathWith,
  ROOT,
  run,
  serve,
  SERVICE,
  SLOW,
  succeed,
  tarballPath,
  TASKS_MJS,
  TASKS_TS,
  VERSION,
  walk,
} from "./kit.ts";
import { type Registry, startRegistry } from "./registry.ts";

const INSTALL = ["install", "--no-audit", "--no-fund", "--prefer-offline"] as const;
const NODE_22 = join(ROOT, "tools/node22/node_modules/.bin");
/** Where npm has a Node 22, as tools/node22/package.json lists them. */
const HAS_NODE_22 = ["linux x64", "linux arm64", "darwin x64"].includes(`${process.platform} ${process.arch}`);

/** Uses the types of what the package is for; the other exports are added to it. */
const TYPED = `
import { connect, RedisTask, RedisTaskQueue, TaskExecutePolicy, TaskFailedError } from "${NAME}";
const redis = await connect("memory:");
await using queue = new RedisTaskQueue(redis, "app", {
  taskFn: { double: (task: RedisTask<number>): number => task.params * 2 },
});
export const doubled: number = await queue.query("a", "double", 21, { policy: TaskExecutePolicy.Local });
// @ts-expect-error the params of "double" are a number
await queue.query("b", "double", "21");
export const failed: string = TaskFailedError.name;
`;

/** Declares the tests. */
export function nodeRoads(): void {
  describe("from an empty folder, npm:", () => {
    let redis: RedisServer;
    let registry: Registry;
    const folder = emptyFolder({ "tasks.mjs": TASKS_MJS, "tasks.ts": TASKS_TS, "service.mjs": SERVICE });
    /** Everything that the package exports, but the command line, which runs when it is loaded. */
    let modules: string[] = [];

    before(async () => void (redis = await startRedis()));
    after(() => Promise.all([redis?.stop(), registry?.stop()]));

    it("npm install takes the tarball", SLOW, async () => { // No hook: Node's report would not say why it failed.
      registry = await startRegistry();
      await succeed(["npm", ...INSTALL], [await tarballPath(), ...optionalPeers()], { cwd: folder });
      const manifest = JSON.parse(readFileSync(join(folder, "node_modules", NAME, "package.json"), "utf8"));
      const exported = Object.keys(manifest.exports);
      modules = exported.filter((path) => path !== "./cli").map((path) => join(NAME, path));
    });

    it("npx errand: a listener and an answer", SLOW, async () => {
      assert.equal(await succeed(["npx"], ["errand", "--version"], { cwd: folder }), VERSION);
      await walk({ redis, listen: ["npx", "errand"], module: "./tasks.mjs", cwd: folder });
    });

    it("has what deno.json exports, one command, and every page that its README leads to", SLOW, () => {
      const home = join(folder, "node_modules", NAME);
      const [deno, own, built] = [join(ROOT, "deno.json"), join(ROOT, "package.json"), join(home, "package.json")]
        .map((path) => JSON.parse(readFileSync(path, "utf8")));
      for (const key of ["name", "version", "license"]) assert.equal(built[key], deno[key]);
      for (const key of ["description", "keywords", "engines"]) assert.deepEqual(built[key], own[key]);
      assert.deepEqual(Object.keys(built.exports), Object.keys(deno.exports));
      assert.deepEqual(Object.keys(built.bin), ["errand"]);
      assert.deepEqual(Object.keys(built.dependencies), Object.keys(own.dependencies));
      assert.deepEqual(built.peerDependencies, own.peerDependencies);
      const links = readFileSync(join(home, "README.md"), "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g);
      assert.deepEqual([...links].map(([, path]) => path!).filter((path) => !existsSync(join(home, path))), []);
    });

    it(`npx ${NAME}, found by its name in a registry`, SLOW, async () => {
      const cwd = emptyFolder({ "tasks.mjs": TASKS_MJS });
      await walk({ redis, listen: ["npx", NAME], module: "./tasks.mjs", cwd, env: registry.env });
      assert.deepEqual(readdirSync(cwd).sort(), ["tasks.mjs"]); // npx leaves nothing in the folder.
    });

    it("npx -p ./x.tgz errand", SLOW, async () => {
      const args = ["-p", await tarballPath(), "errand", "--version"];
      assert.equal(await succeed(["npx"], args, { cwd: emptyFolder() }), VERSION);
    });

    it("a service that imports it, on ioredis and on node-redis, and every other module of it", SLOW, async () => {
      await serve(["node", "service.mjs"], redis, { cwd: folder });
      await serve(["node", "service.mjs"], redis, { cwd: folder, env: { CLIENT: "redis" } });
      await importAll(folder, modules);
    });

    it("a TypeScript module on Node 20 is refused with what to do instead", SLOW, async () => {
      const { code, stderr } = await run(["npx", "errand"], ["listen", "./tasks.ts"], { cwd: folder });
      assert.equal(code, 2, stderr);
      assert.match(
        stderr,
        /^errand: Cannot load \.\/tasks\.ts: .*\.mjs.*bunx --bun errand.*deno run.*node --import tsx/m,
      );
    });

    if (HAS_NODE_22) {
      it("Node 22: a service, and a listener with a TypeScript module", SLOW, async () => {
        assert.ok(existsSync(NODE_22), "there is no Node 22: run `node tools/setup.mjs`");
        const env = pathWith(NODE_22);
        assert.match(await succeed(["node"], ["--version"], { cwd: folder, env }), /^v22/);
        await serve(["node", "service.mjs"], redis, { cwd: folder, env });
        await importAll(folder, modules, env);
        await walk({ redis, listen: ["npx", "errand"], module: "./tasks.ts", cwd: folder, env });
      });
    }

    it("tsc --strict takes the types of every export", SLOW, async () => {
      const others = modules.map((module, index) => `import * as module${index} from "${module}";\n`);
      const used = modules.map((_, index) => `export const use${index}: object = module${index};\n`);
      writeFileSync(join(folder, "typed.mts"), [...others, TYPED, ...used].join(""));
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      const strict = ["--noEmit", "--strict", "--target", "es2022", "--lib", "esnext,dom"];
      const worlds = [["nodenext", "nodenext"], ["esnext", "bundler"]] as const;
      await Promise.all(worlds.map(([module, resolution]) => {
        const args = [...strict, "--module", module, "--moduleResolution", resolution, "typed.mts"];
        return succeed(["node", tsc], args, { cwd: folder });
      }));
    });

    it("without any other package: the memory store works, and connect says what it lacks", SLOW, async () => {
      const cwd = emptyFolder({ "service.mjs": SERVICE });
      const home = join(cwd, "node_modules", NAME);
      mkdirSync(home, { recursive: true }); // npm would not leave out what the package depends on.
      await succeed(["tar"], ["-xzf", await tarballPath(), "-C", home, "--strip-components=1"], { cwd });
      const env = { REDIS_URL: "memory:", PREFIX: "alone" };
      assert.equal(await succeed(["node", "service.mjs"], [], { cwd, env }), "42");
      const { code, stderr } = await run(["node", "service.mjs"], [], { cwd, env: { ...env, REDIS_URL: redis.url } });
      assert.equal(code, 1);
      assert.match(stderr, /ioredis/);
    });
  });
}

/** The optional packages in the versions that the tests of this checkout use. */
function optionalPeers(): string[] {
  const { peerDependencies = {}, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  return Object.keys(peerDependencies).map((name) => `${name}@${devDependencies[name]}`);
}

async function importAll(cwd: string, modules: readonly string[], env = {}): Promise<void> {
  const code = `for (const name of ${JSON.stringify(modules)}) await import(name); console.log("imported");`;
  assert.equal(await succeed(["node", "--input-type=module"], ["--eval", code], { cwd, env }), "imported");
}
