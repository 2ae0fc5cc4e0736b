import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type ClientName, connect } from "../../src/adapters/connect.ts";
import { tlsAdvice } from "../../src/adapters/tls_advice.ts";
import { parseRedisUrl } from "../../src/adapters/url.ts";
import { ConnectionLostError } from "../../src/errors.ts";
import type { RedisPort } from "../../src/port/redis.ts";
import { runCli } from "../fixtures/run_cli.ts";
import { Authority, type Certificate } from "../support/certificates.ts";
import { CLIENTS } from "../support/clients.ts";
import { runScript } from "../support/run_script.ts";
import { type RedisServer, type RedisServerOptions, startRedis } from "../support/redis_server.ts";

const ours = new Authority("errand's test authority");
const theirs = new Authority("another authority");
const ca = ours.cert;
const client = ours.issue({ name: "a client" });

type Tls = Record<string, string>;
type Reached = { lost: string; took: number };

describe("rediss://", () => {
  /** Its certificate is of 127.0.0.1 and localhost. */
  let open: RedisServer;
  /** Wants a certificate of ours from its clients. */
  let mutual: RedisServer;
  /** Its certificate is of another host. */
  let misnamed: RedisServer;

  before(async () => {
    const here = ours.issue({ name: "a server", hosts: ["127.0.0.1", "localhost"] });
    const elsewhere = ours.issue({ name: "a server", hosts: ["redis.example"] });
    [open, mutual, misnamed] = await Promise.all([
      startRedis({ tls: tlsOf(here, false), password: "secret" }),
      startRedis({ tls: tlsOf(here, true) }),
      startRedis({ tls: tlsOf(elsewhere, false) }),
    ]);
  });
  after(() => Promise.all([open, mutual, misnamed].map((server) => server.stop())));

  for (const name of CLIENTS) {
    describe(`with ${name}`, () => {
      it("works with the certificate of the right authority, on all of a port's connections", async () => {
        const redis = await connect(`rediss://:secret@localhost:${open.tlsPort}/3`, { client: name, tls: { ca } });
        await proveAll(redis as RedisPort);
        assert.equal(await open.cli("-n", "3", "GET", "here"), "yes");
        redis.close();
      });

      it("refuses a certificate of an authority that it does not know, and says how to make it known", async () => {
        for (const tls of [undefined, { ca: theirs.cert }, { ca: "no certificate at all" }]) {
          const { lost } = await refused(name, urlOf(open), tls);
          assert.match(lost, /certificate|Invalid CA/);
          assert.match(lost, /is not trusted here: pass the certificate of its CA as `tls: \{ ca \}`/);
          assert.doesNotMatch(lost, /secret/);
        }
      });

      it("refuses the certificate of another host, unless that is the one that is meant", async () => {
        const { lost } = await refused(name, urlOf(misnamed), { ca });
        assert.match(lost, /127\.0\.0\.1 is not in the cert's list/);
        assert.match(lost, /certificate is of another host: .*`tls: \{ servername \}`/);
        const tls = { ca, servername: "redis.example" };
        const redis = await connect(urlOf(misnamed), { client: name, tls });
        await proveAll(redis as RedisPort);
        redis.close();
      });

      it("shows a certificate of its own where the server wants one, and says so when it is none or another", async () => {
        const redis = await connect(urlOf(mutual), { client: name, tls: { ca, ...client } });
        await proveAll(redis as RedisPort);
        redis.close();
        for (const wrong of [{}, theirs.issue({ name: "a stranger" })]) {
          const { lost } = await refused(name, urlOf(mutual), { ca, ...wrong });
          assert.match(lost, /certificate.*`tls: \{ cert, key \}`/i);
        }
      });

      it("survives refusals, whatever else the socket says after the first error", { timeout: 60_000 }, async () => {
        const { code, output } = await runScript("tests/fixtures/refused_often.ts", [urlOf(mutual), name, ca], 50_000);
        assert.deepEqual([code, output], [0, "refused 20 times\n"]);
      });

      it("says soon that a port speaks no TLS, or nothing else", async () => {
        const plain = await refused(name, `rediss://:secret@127.0.0.1:${open.port}`, { ca });
        assert.match(plain.lost, /it answers, but without TLS\. Write redis:\/\//);
        assert.doesNotMatch(plain.lost, /secret/);
        const secured = await refused(name, `redis://127.0.0.1:${open.tlsPort}`);
        assert.match(secured.lost, /When it speaks TLS only, write rediss:\/\//);
        for (const { took } of [plain, secured]) assert.ok(took < 3_500, `${took} ms`);
      });
    });
  }

  it("is what the option tls is for: with any other URL it would promise what is not so", async () => {
    for (const url of ["redis://127.0.0.1:1", "unix:///nowhere.sock"]) {
      await assert.rejects(
        connect(url, { tls: { ca } }),
        (error) => error instanceof TypeError && /option "tls": only rediss:\/\/ is encrypted/.test(error.message),
      );
    }
  });

  it("works from the command line with --tls-ca, --tls-cert and --tls-key", { timeout: 90_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "errand-tls-"));
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const trust = ["--tls-ca", file("ca.pem", ca)];
    const key = ["--tls-key", file("key.pem", client.key)];
    const show = ["--tls-cert", file("cert.pem", client.cert), ...key];
    const ask = ["get", "no-such-task", "--url", urlOf(mutual)];
    const variable = "Deno" in globalThis ? "DENO_CERT" : "NODE_EXTRA_CA_CERTS";
    const [known, byEnvironment, unknown, lone, missing, nonsense] = await Promise.all([
      runCli([...ask, ...trust, ...show]),
      runCli([...ask, ...show], { [variable]: trust[1]! }),
      runCli([...ask, ...show]),
      runCli([...ask, ...trust, ...key]),
      runCli([...ask, "--tls-ca", join(folder, "none.pem")]),
      runCli([...ask, "--tls-ca", file("text.pem", "text")]),
    ]);
    rmSync(folder, { recursive: true });
    // There is no such task, which only Redis can know.
    for (const { code, stderr } of [known, byEnvironment]) assert.equal(code, 5, stderr);
    assert.match(unknown.stderr, /is not trusted here: .*--tls-ca.*See --url and REDIS_URL/);
    assert.equal(unknown.code, 3);
    assert.match(lone.stderr, /--tls-cert and --tls-key go together/);
    assert.match(missing.stderr, /Cannot read --tls-ca .*none\.pem/);
    assert.match(nonsense.stderr, /Cannot use --tls-ca .*text\.pem: .*no PEM/);
    for (const { code } of [lone, missing, nonsense]) assert.equal(code, 2);
  });
});

describe("tlsAdvice", () => {
  it("gives none when TLS has nothing to do with it", () => {
    const why = "connect ECONNREFUSED 127.0.0.1:1";
    for (const url of ["redis://h", "rediss://h"]) assert.equal(tlsAdvice(parseRedisUrl(url), why), undefined);
    assert.equal(tlsAdvice(parseRedisUrl("unix:///s"), "read ECONNRESET"), undefined);
    assert.equal(tlsAdvice(parseRedisUrl("redis://h"), "WRONGPASS invalid username-password pair"), undefined);
  });

  it("asks which side speaks TLS when one does not understand the other", () => {
    for (
      const why of ["no answer within 4000 ms", "Connection closed", "read ECONNRESET", "write EPROTO wrong version"]
    ) {
      assert.match(tlsAdvice(parseRedisUrl("rediss://h"), why) ?? "", /Does this port speak TLS/);
    }
    for (const why of ["no answer within 4000 ms", "Connection closed", "read ECONNRESET"]) {
      assert.match(tlsAdvice(parseRedisUrl("redis://h"), why) ?? "", /write rediss:\/\//);
    }
  });
});

function tlsOf(certificate: Certificate, wantsCertificate: boolean): NonNullable<RedisServerOptions["tls"]> {
  return { ...certificate, ca, wantsCertificate };
}

function urlOf(server: RedisServer): string {
  return `rediss://127.0.0.1:${server.tlsPort}`;
}

/** Uses each of the three kinds of connections. */
async function proveAll(redis: RedisPort): Promise<void> {
  assert.deepEqual(await redis.exec([["SET", "here", "yes"], ["RPUSH", "list", "a"]]), ["OK", 1]);
  const blocking = await redis.blocking();
  assert.deepEqual(await blocking.call(["BLPOP", "list", "1"], 3_000), ["list", "a"]);
  blocking.close();
  await new Promise<void>((resolve, reject) => {
    const subscribed = redis.subscribe(["channel"], () => resolve(), () => {});
    subscribed.then(() => redis.exec([["PUBLISH", "channel", "hello"]])).catch(reject);
  });
}

/** What `connect` says when it cannot, and how long that took; fails when it can, or says it in another way. */
async function refused(client: ClientName, url: string, tls?: Tls): Promise<Reached> {
  const from = performance.now();
  const error = await connect(url, { client, ...(tls ? { tls } : {}) }).then(() => null, (error) => error);
  assert.ok(error instanceof ConnectionLostError, `${url}: ${error}`);
  assert.equal(error.sent, false);
  return { lost: error.message, took: performance.now() - from };
}
