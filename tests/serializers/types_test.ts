/** Which types survive which serializer, as docs/serializers.md says, on every runtime. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { jsonSerializer, type Serializer } from "../../mod.ts";
import { devalueSerializer } from "../../src/serializers/devalue.ts";
import { msgpackrSerializer } from "../../src/serializers/msgpackr.ts";
import { fateOf, SAMPLES } from "./types.ts";

const SERIALIZERS: readonly Serializer[] = [jsonSerializer, devalueSerializer, msgpackrSerializer];
const PAGE = readFileSync(new URL("../../docs/serializers.md", import.meta.url), "utf8");
const context = { id: "t", name: "types", part: "result" } as const;

/** The rows of the table of types: type, then a word for each serializer. */
function rows(): string[][] {
  const [, section] = PAGE.split("\n## Types kept and lost\n");
  assert.ok(section, "the page has its heading");
  const lines = section.split("\n## ")[0]!.split("\n").filter((line) => line.startsWith("|")).slice(2);
  return lines.map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

describe("types", () => {
  for (const sample of SAMPLES) {
    it(`${sample.type}: as the page says`, async () => {
      const fates = await Promise.all(SERIALIZERS.map((serializer) => fateOf(serializer, sample)));
      assert.deepEqual(rows().find(([type]) => type === sample.type), [sample.type, ...fates]);
    });
  }

  it("the page has no row that is not tested", () => {
    assert.deepEqual(rows().map(([type]) => type), SAMPLES.map(({ type }) => type));
  });

  it("an error in a value chooses no class but those of a closed table", () => {
    class PaymentError extends Error {
      override name = "PaymentError";
    }
    for (const serializer of [devalueSerializer, msgpackrSerializer]) {
      const text = serializer.serialize(new PaymentError("m"), context) as string;
      const error = serializer.deserialize(text, context) as Error;
      assert.deepEqual([error.constructor, error.name, error.message], [Error, "PaymentError", "m"]);
    }
    for (const name of ["Function", "eval", "constructor", "__proto__"]) {
      const forged = JSON.stringify([["Error", 1], { name: 2, message: 3 }, name, "globalThis.hacked = true"]);
      assert.equal((devalueSerializer.deserialize(forged, context) as Error).constructor, Error, name);
    }
    assert.equal("hacked" in globalThis, false);
  });
});
