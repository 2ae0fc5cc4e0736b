/**
 * The roads of those who have Deno: from npm without an installation, beside a package.json, and the sources as JSR
 * has them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { emptyFolder, NAME, ROOT, serve, SERVICE, SLOW, succeed, TASKS_TS, VERSION, walk } from "./kit.ts";
import { type Registry, startRegistry } from "./registry.ts";

const RUN = ["deno", "run", "-A"] as const;

/** Declares the tests. */
export function denoRoads(): void {
  describe("from an empty folder, Deno:", () => {
    let redis: RedisServer;
    let registry: Registry;

    before(async () => {
      registry = await startRegistry();
      redis = await startRedis();
    }, SLOW);
    after(() => Promise.all([redis?.stop(), registry?.stop()]));

    it(`deno run npm:${NAME}, found by its name in a registry: a listener and an answer`, SLOW, async () => {
      const cwd = emptyFolder({ "tasks.ts": TASKS_TS });
      assert.equal(await succeed([...RUN, `npm:${NAME}`], ["--version"], { cwd, env: registry.env }), VERSION);
      await walk({ redis, listen: [...RUN, `npm:${NAME}`], module: "./tasks.ts", cwd, env: registry.env });
    });

    it("deno add npm:…, then a service that imports it", SLOW, async () => {
      const cwd = emptyFolder({ "service.ts": SERVICE });
      await succeed(["deno", "add"], [`npm:${NAME}`], { cwd, env: registry.env });
      await serve([...RUN, "service.ts"], redis, { cwd, env: registry.env });
    });

    it("the sources, as from JSR: a service that imports them, and the command line", SLOW, async () => {
      const cwd = emptyFolder({ "tasks.ts": TASKS_TS, "service.ts": SERVICE, "deno.json": asFromJsr() });
      await serve([...RUN, "service.ts"], redis, { cwd });
      await walk({ redis, listen: [...RUN, `${NAME}/cli`], module: "./tasks.ts", cwd });
    });
  });
}

/** A deno.json whose imports lead to the sources, and their packages to npm, as `deno publish` writes it into them. */
function asFromJsr(): string {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const modules = Object.entries<string>(exports).map(([name, path]) => [
    join(NAME, name),
    pathToFileURL(join(ROOT, path)).href,
  ]);
  const packages = Object.entries({ ...devDependencies, ...dependencies })
    .map(([name, version]) => [name, `npm:${name}@${version}`]);
  return JSON.stringify({ imports: Object.fromEntries([...modules, ...packages]) });
}
