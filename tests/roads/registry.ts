/**
 * A registry that has one package, the one of this checkout, so that it is found by its name as after a release.
 *
 * An `.npmrc` at home sends the package's scope here and leaves the rest of the world where it is; npm, Bun and Deno
 * read it there, and bunx nowhere else.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { emptyFolder, NAME, ROOT, succeed, tarballPath, VERSION } from "./kit.ts";

/** A registry that runs. */
export interface Registry {
  /** The variables under which programs find it. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Serves the tarball on a free loopback port. */
export async function startRegistry(): Promise<Registry> {
  const path = await tarballPath();
  const tarball = readFileSync(path);
  const manifest = JSON.parse(await succeed(["tar"], ["-xzOf", path, "package/package.json"], { cwd: ROOT }));
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(request.url ?? "");
    if (asked.endsWith(".tgz")) return void response.end(tarball);
    if (asked !== `/${NAME}`) return void response.writeHead(404).end();
    const dist = { tarball: `http://${request.headers.host}/errand.tgz`, integrity: hash(tarball) };
    const versions = { [VERSION]: { ...manifest, dist } };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name: NAME, "dist-tags": { latest: VERSION }, versions }));
  });
  return { env: homeThatFinds(await listen(server)), stop: () => stop(server) };
}

function homeThatFinds(port: number): Readonly<Record<string, string>> {
  const usual = process.env.npm_config_userconfig ?? join(homedir(), ".npmrc");
  const settings = existsSync(usual) ? readFileSync(usual, "utf8") : "";
  const scope = `${NAME.split("/")[0]}:registry=http://127.0.0.1:${port}/`;
  const home = emptyFolder({ ".npmrc": `${settings}\n${scope}\n` });
  return { HOME: home, XDG_CONFIG_HOME: home, npm_config_userconfig: join(home, ".npmrc") };
}

function hash(bytes: Uint8Array): string {
  return `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });
}

function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
