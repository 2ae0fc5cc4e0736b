/**
 * The roads of those who have Bun: bunx, a service, and a binary that needs no runtime.
 *
 * @module
 */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import {
  emptyFolder,
  NAME,
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

/** Declares the tests. */
export function bunRoads(): void {
  describe("from an empty folder, Bun:", () => {
    let redis: RedisServer;
    let registry: Registry;
    const folder = emptyFolder({ "tasks.mjs": TASKS_MJS, "tasks.ts": TASKS_TS, "service.ts": SERVICE });

    before(async () => {
      registry = await startRegistry();
      redis = await startRedis();
      await succeed(["bun", "add"], [await tarballPath()], { cwd: folder });
    }, SLOW);
    after(() => Promise.all([redis?.stop(), registry?.stop()]));

    it("bun add, then bunx errand: a listener and an answer", SLOW, async () => {
      assert.equal(await succeed(["bunx"], ["errand", "--version"], { cwd: folder }), VERSION);
      await walk({ redis, listen: ["bunx", "errand"], module: "./tasks.mjs", cwd: folder });
    });

    it("bunx --bun errand, with a module in TypeScript", SLOW, async () => {
      await walk({ redis, listen: ["bunx", "--bun", "errand"], module: "./tasks.ts", cwd: folder });
    });

    it(`bunx --bun ${NAME}, found by its name in a registry`, SLOW, async () => {
      const cwd = emptyFolder({ "tasks.ts": TASKS_TS });
      await walk({ redis, listen: ["bunx", "--bun", NAME], module: "./tasks.ts", cwd, env: registry.env });
    });

    it("bunx -p ./x.tgz errand", SLOW, async () => {
      const args = ["-p", await tarballPath(), "errand", "--version"];
      assert.equal(await succeed(["bunx"], args, { cwd: emptyFolder() }), VERSION);
    });

    it("a service in TypeScript that imports it", SLOW, async () => {
      await serve(["bun", "service.ts"], redis, { cwd: folder });
    });
  });

  describe("a binary of bun build --compile:", () => {
    const folder = emptyFolder({
      "tasks.ts": TASKS_TS,
      "broken.ts": 'import "no-such-package";\nexport default {};\n',
    });
    const binary = join(folder, "errand");
    let redis: RedisServer;

    before(async () => void (redis = await startRedis()));
    after(async () => {
      rmSync(folder, { recursive: true, force: true }); // About 100 MB.
      await redis.stop();
    });

    it("is built", SLOW, async () => {
      const args = ["--compile", join(ROOT, "cli.ts"), "--outfile", binary];
      await succeed(["bun", "build"], args, { cwd: folder });
    });

    it(
      "listens with a TypeScript module given by its path, and asks, without any runtime or package",
      SLOW,
      async () => {
        await walk({ redis, listen: [binary], module: "./tasks.ts", cwd: folder, env: { PATH: "" } });
      },
    );

    it("shows the demo on the memory store, and says why", SLOW, async () => {
      const shown = await succeed([binary], ["demo"], { cwd: folder });
      assert.match(shown, /this is a single binary, .*the memory store.*\n.*npx, bunx or Deno[^]*\nDone in /);
    });

    it("says what a module lacks", SLOW, async () => {
      const { code, stderr } = await run([binary], ["listen", "./broken.ts"], { cwd: folder });
      assert.equal(code, 2);
      assert.match(stderr, /^errand: Cannot load \.\/broken\.ts: .*no-such-package/);
    });
  });
}
