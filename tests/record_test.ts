/**
 * The record's layout is frozen: these tests are what a change of it has to break.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  byteLength,
  decodeHeader,
  decodeRecord,
  digits,
  encodeBody,
  encodeRecord,
  HEADER_FIELDS,
  HEADER_LENGTH,
  kindLetter,
  NO_FENCE,
  NO_OWNER,
  STATES,
  type TaskKind,
  type TaskRecord,
} from "../src/record.ts";

const RECORD: TaskRecord = {
  id: "order-7",
  name: "greet",
  options: "{}",
  params: 'json={"who":"world"}',
  outcome: "\njson=1",
  state: "running",
  cancelAsked: true,
  joined: false,
  taken: true,
  attempt: 2,
  crashes: 1,
  since: 1_750_000_000_123,
  fence: "1750000000123456",
  owner: "0123456789ab",
  kind: "asked",
  maxAttempts: 5,
  deadline: 1_750_000_300_000,
  resultTtl: 300_000,
  nonce: "client-ada--00000042",
};

const TEXT = "13" + "1" + "0" + "1" + "002" + "001" + "1750000000123" + "1750000000123456" + "0123456789ab" + "a" +
  "005" + "1750000300000" + "0000300000" + "client-ada--00000042" + "005" + "0002" + "00000020" +
  "greet" + "{}" + 'json={"who":"world"}' + "\njson=1";

describe("record", () => {
  it("is written byte by byte as docs/wire.md says", () => {
    assert.equal(encodeRecord(RECORD), TEXT);
    assert.deepEqual(decodeRecord("order-7", TEXT), RECORD);
  });

  it("has fields that follow each other without a gap", () => {
    let next = 0;
    for (const [first, length] of Object.values(HEADER_FIELDS)) {
      assert.equal(first, next);
      next += length;
    }
    assert.equal(next, HEADER_LENGTH);
  });

  it("round-trips every state, kind and flag", () => {
    const kinds: TaskKind[] = ["enqueued", "asked", "local", "foreign"];
    for (const state of STATES) {
      for (const kind of kinds) {
        for (const flag of [true, false]) {
          const record = { ...RECORD, state, kind, cancelAsked: flag, joined: !flag, taken: flag };
          assert.deepEqual(decodeRecord("order-7", encodeRecord(record)), record);
        }
      }
    }
  });

  it("counts lengths in UTF-8 bytes, so any text comes back", () => {
    const texts = [
      "",
      "naïve",
      "日本語",
      "😀\u{1F468}\u200D\u{1F469}",
      "NUL\0 | : { }",
      "\uFEFFmark",
      "line\n\r\u2028",
    ];
    for (const text of texts) {
      const record = { ...RECORD, name: text, options: text, params: text + text, outcome: `\n${text}` };
      assert.deepEqual(decodeRecord("order-7", encodeRecord(record)), record);
    }
  });

  it("reads a header without the rest", () => {
    const { id: _id, name: _name, options: _options, params: _params, outcome: _outcome, ...header } = RECORD;
    assert.deepEqual(decodeHeader(TEXT.slice(0, HEADER_LENGTH)), header);
  });

  it("refuses what is no record", () => {
    for (
      const text of [
        "",
        "2",
        '{"params":1}',
        TEXT.slice(0, HEADER_LENGTH - 1),
        "1x" + TEXT.slice(2),
      ]
    ) {
      assert.throws(() => decodeHeader(text), RangeError);
    }
  });

  it("F83: names the version of a later layout", () => {
    const later = { name: "SerializationError", message: /record of version 9: here is version 1/ };
    assert.throws(() => decodeHeader("9" + TEXT.slice(1)), later);
  });

  it("keeps the widths of what nobody has: no owner, no fence", () => {
    assert.equal(NO_OWNER.length, HEADER_FIELDS.owner[1]);
    assert.equal(NO_FENCE.length, HEADER_FIELDS.fence[1]);
  });
});

describe("encodeBody", () => {
  it("writes the lengths, then name, options and params", () => {
    assert.equal(encodeBody({ name: "é", options: "", params: "json-" }), "002" + "0000" + "00000005" + "éjson-");
  });
});

describe("digits", () => {
  it("pads to the width, rounds, and never leaves it", () => {
    assert.equal(digits(7, 3), "007");
    assert.equal(digits(1.6, 2), "02");
    assert.equal(digits(-1, 2), "00");
    assert.equal(digits(1_000, 3), "999");
  });
});

describe("byteLength", () => {
  it("counts as Redis does", () => {
    assert.deepEqual(["", "a", "é", "日", "😀", "\0"].map(byteLength), [0, 1, 2, 3, 4, 1]);
  });
});

describe("kindLetter", () => {
  it("gives each kind a letter of its own", () => {
    assert.deepEqual((["enqueued", "asked", "local", "foreign"] as const).map(kindLetter), ["e", "a", "l", "f"]);
  });
});
