import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import connectSocket from "../../examples/own_adapter.ts";
import { testRedisPort } from "../conformance/redis_port.ts";

const EXAMPLE = new URL("../../examples/own_adapter.ts", import.meta.url);

testRedisPort(EXAMPLE, "an adapter of one's own", connectSocket);

describe("docs/adapters.md", () => {
  it("shows what stands in the example", () => {
    const page = readFileSync(new URL("../../docs/adapters.md", import.meta.url), "utf8");
    const example = readFileSync(EXAMPLE, "utf8");
    const shown = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => unindented(code!));
    assert.ok(shown.length > 0);
    for (const code of shown) assert.ok(unindented(example).includes(code), code);
  });
});

/** The formatter of pages moves what it shows to the left. */
function unindented(code: string): string {
  return code.replaceAll(/^ +/gm, "");
}
