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

  it("leaves our own help, and paths with an @, alone", () => {
    const text = "redis://[user:password@]host[:port][/db] redis://:password@host " +
      "file:///app/node_modules/@stricli/core/dist/index.js https://jsr.io/@std/path";
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

  it("masks a learned password that no URL may hold", () => {
    const redactor = new Redactor();
    redactor.learn("redis://:sec/r[t@host");
    assert.equal(redactor.redact("at redis://:sec/r[t@host"), "at redis://:***@host");
  });

  it("learns nothing from a path", () => {
    const redactor = new Redactor();
    redactor.learn("file:///home/me@work/tasks.ts");
    assert.equal(redactor.redact("no file /home/me"), "no file /home/me");
  });

  it("learns nothing from what has no password", () => {
    const redactor = new Redactor();
    for (const url of [undefined, "", "host", "redis://host"]) redactor.learn(url);
    assert.equal(redactor.redact("host"), "host");
  });
});
