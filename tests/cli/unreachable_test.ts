import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { whyUnreachable } from "../../src/cli/unreachable.ts";
import { ConnectionLostError } from "../../src/errors.ts";

const URL_SHOWN = "redis://***@h:1";

describe("whyUnreachable", () => {
  function why(reason: string, url = URL_SHOWN): string {
    const message = `Cannot reach Redis at ${url}: ${reason}`;
    return whyUnreachable(url, new ConnectionLostError(message, { sent: false, cause: new Error(reason) }));
  }

  it("says once where Redis is, and asks whether it runs", () => {
    assert.equal(
      why("connect ECONNREFUSED h:1"),
      `Cannot reach Redis at ${URL_SHOWN}: connect ECONNREFUSED h:1. Is it running? See --url and REDIS_URL`,
    );
  });

  it("tells refused credentials, a missing password and a missing database from a Redis that is down", () => {
    const refused = why("WRONGPASS invalid username-password pair or user is disabled.");
    assert.match(refused, /refused the credentials: WRONGPASS .* disabled\. See --url/);
    assert.match(why("NOAUTH Authentication required."), /wants a password: write redis:\/\/:password@host/);
    assert.match(why("ERR DB index is out of range"), /has no such database: ERR DB index is out of range\./);
    assert.match(why("LOADING Redis is loading"), /cannot be used: LOADING/);
    assert.match(why("ERR max number of clients reached"), /cannot be used: ERR max number/);
    for (const reason of ["WRONGPASS no.", "NOAUTH no", "ERR DB index is out of range", "LOADING it"]) {
      assert.doesNotMatch(why(reason), /Cannot reach|Is it running|\.\./);
    }
  });

  it("does not ask whether it runs when connect has said what TLS wants", () => {
    for (const said of ["EPIPE. When it speaks TLS only, write rediss://", "EPROTO. Pass its CA as `tls: { ca }`"]) {
      assert.equal(why(said), `Cannot reach Redis at ${URL_SHOWN}: ${said}. See --url and REDIS_URL`);
    }
    assert.match(why("connect ECONNREFUSED", "rediss://h:1"), /Is it running\?/);
  });
});
