import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Redactor, redactUrls } from "../../src/cli/redact.ts";

describe("redactUrls", () => {
  it("masks user and password, wherever the URL stands", () => {
    const text = 'Cannot reach "rediss://me:p%40ss@host:1/2", tried redis://:x@y@other too';
    assert.equal(redactUrls(text), 'Cannot reach "rediss://***@host:1/2", tried redis://***@other too');
  });

  it("leaves URLs without credentials and plain texts alone", () => {
    const text = "redis://127.0.0.1:6379/0 and me@example.org";
    assert.equal(redactUrls(text), text);
  });

  it("masks passwords in the query of a URL", () => {
    assert.equal(redactUrls("redis://h?password=abc&db=1"), "redis://h?password=***&db=1");
  });
});

describe("Redactor", () => {
  it("masks a learned password that stands alone, as written and decoded", () => {
    const redactor = new Redactor();
    redactor.learn("redis://user:s3%40cret@host");
    assert.equal(redactor.redact("AUTH user s3@cret or s3%40cret"), "AUTH user *** or ***");
  });

  it("learns nothing from what has no password", () => {
    const redactor = new Redactor();
    for (const url of [undefined, "", "host", "redis://host"]) redactor.learn(url);
    assert.equal(redactor.redact("host"), "host");
  });
});
