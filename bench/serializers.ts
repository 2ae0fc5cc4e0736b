/**
 * What serializers cost: bytes in Redis and microseconds to write and read, for an order and for fifty-five of them.
 *
 *     deno run -A bench/serializers.ts      bun bench/serializers.ts      node --import tsx bench/serializers.ts
 */
import { jsonSerializer, type Serializer } from "../mod.ts";
import { compressed } from "../src/serializers/compressed.ts";
import { devalueSerializer } from "../src/serializers/devalue.ts";
import { encrypted } from "../src/serializers/encrypted.ts";
import { msgpackrSerializer } from "../src/serializers/msgpackr.ts";

/** The name of the runtime that measures. */
function runtimeName(): string {
  if ("Deno" in globalThis) return "deno";
  return "Bun" in globalThis ? "bun" : "node";
}

const context = { id: "order-1", name: "ship", part: "params" } as const;
const keys = { k1: btoa("0123456789abcdef0123456789abcdef") };

const order = {
  id: 12_345,
  customer: { name: "Ada Lovelace", mail: "ada@example.org" },
  items: [{ sku: "a1", count: 2, price: 9.5 }, { sku: "b2", count: 1, price: 19 }],
  paid: true,
  at: "2026-01-01T00:00:00Z",
};
const orders = Array.from({ length: 55 }, (_, index) => structuredClone({ ...order, id: index }));

const SERIALIZERS: readonly Serializer[] = [
  jsonSerializer,
  devalueSerializer,
  msgpackrSerializer,
  compressed(jsonSerializer),
  encrypted(jsonSerializer, { keys, current: "k1" }),
  encrypted(compressed(jsonSerializer), { keys, current: "k1" }),
];

/** Microseconds a call, the best of five rounds: what others do on the machine is not the serializer's cost. */
async function micros(count: number, work: () => unknown): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const from = performance.now();
    for (let i = 0; i < count; i++) {
      const answer = work();
      if (answer instanceof Promise) await answer;
    }
    best = Math.min(best, (performance.now() - from) / count * 1000);
  }
  return best;
}

async function row(serializer: Serializer, value: unknown, count: number): Promise<string> {
  const text = await serializer.serialize(value, context);
  const wrote = await micros(count, () => serializer.serialize(value, context));
  const read = await micros(count, () => serializer.deserialize(text, context));
  return `${text.length} B, ${wrote.toFixed(1)} / ${read.toFixed(1)} µs`;
}

console.log(`serializers on ${runtimeName()}: size, write / read`);
for (const serializer of SERIALIZERS) {
  const one = await row(serializer, order, 2_000);
  const many = await row(serializer, orders, 200);
  console.log(`  ${serializer.name.padEnd(16)} one order ${one.padEnd(26)} 55 orders ${many}`);
}
