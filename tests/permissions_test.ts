import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Authority } from "./support/certificates.ts";
import { CLIENTS } from "./support/clients.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";

const PAGE = readFileSync(new URL("../SECURITY.md", import.meta.url), "utf8");
const SCRIPT = fileURLToPath(new URL("fixtures/least_rights.ts", import.meta.url));
/** Bun's own client is on Bun only. */
const ON_DENO = CLIENTS.filter((client) => client !== "bun");

describe("the permissions in SECURITY.md", () => {
  it("are named for each client", () => {
    for (const client of ON_DENO) assert.match(flagsOf(client), /^--allow-net=redis\.example:6380/);
    assert.match(socketFlags(), /^--allow-net=unix:/);
  });
});

if ("Deno" in globalThis) {
  describe("a process with the permissions in SECURITY.md", () => {
    const folder = mkdtempSync(join(tmpdir(), "errand-least-"));
    const socket = join(folder, "redis.sock");
    const authority = new Authority("an authority");
    let server: RedisServer;
    before(async () => {
      const tls = { ...authority.issue({ name: "a server", hosts: ["127.0.0.1"] }), ca: authority.cert };
      server = await startRedis({ args: ["--unixsocket", socket], tls: { ...tls, wantsCertificate: false } });
    });
    after(async () => {
      await server.stop();
      rmSync(folder, { recursive: true });
    });

    for (const client of ON_DENO) {
      it(`can listen and ask with ${client}, by TCP, TLS and a Unix socket`, { timeout: 60_000 }, async () => {
        const flags = flagsOf(client);
        const at = (port: number) => flags.replace("redis.example:6380", `127.0.0.1:${port}`).split(" ");
        const rest = flags.split(" ").slice(1);
        const onSocket = [...socketFlags().replaceAll("/run/redis.sock", socket).split(" "), ...rest];
        const runs = await Promise.all([
          deno(at(server.port), [`redis://127.0.0.1:${server.port}`, client]),
          deno(at(server.tlsPort), [`rediss://127.0.0.1:${server.tlsPort}`, client, authority.cert]),
          deno(onSocket, [`unix://${socket}`, client]),
        ]);
        assert.deepEqual(runs, ["answer 42\n", "answer 42\n", "answer 42\n"]);
      });

      it(`says which of them it lacks with ${client}`, { timeout: 60_000 }, async () => {
        const [net = "", ...rest] = flagsOf(client).replace("redis.example:6380", `127.0.0.1:${server.port}`).split(
          " ",
        );
        const args = [`redis://127.0.0.1:${server.port}`, client];
        // Another port, not none: from a process that may do all, Deno starts one without any --allow as -A.
        assert.match(await deno(["--allow-net=127.0.0.1:1", ...rest], args), /Cannot reach Redis .*--allow-net/);
        for (const flag of rest) assert.ok((await deno([net], args)).includes(`run with ${flag}`), flag);
      });
    }
  });
}

/** What the table says for a client. */
function flagsOf(client: string): string {
  return new RegExp(`^\\| \`${client}\` +\\| \`([^\`]+)\``, "m").exec(PAGE)?.[1] ?? "";
}

/** What stands in place of the address for a Unix socket. */
function socketFlags(): string {
  return /`(--allow-net=unix:[^`]+)`/.exec(PAGE)?.[1]?.replaceAll(/\s+/g, " ") ?? "";
}

/** Runs the script under exactly these flags: all that it prints. */
function deno(flags: readonly string[], args: readonly string[]): Promise<string> {
  const command = ["run", "--no-check", "--no-prompt", ...flags, SCRIPT, ...args];
  const env = { ...process.env, NO_COLOR: "1" };
  return new Promise((resolve) => {
    execFile(process.execPath, command, { env, timeout: 30_000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}
