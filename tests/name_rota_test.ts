/** Which names a claim looks at: all of them once per interval, whoever rings, by as few claims as can be. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { NameRota } from "../src/name_rota.ts";

const INTERVAL = 1_000; // Milliseconds; compared with one more, as instants are added up.
const named = (count: number) => Array.from({ length: count }, (_, at) => `name-${at}`);

describe("the names of a claim", () => {
  for (const count of [1, 32, 33, 100, 128]) {
    it(`are all ${count} when nothing calls, once per interval`, () => {
      const rota = new NameRota(named(count), INTERVAL);
      for (let now = 0; now < 3 * INTERVAL; now += INTERVAL) {
        assert.deepEqual(rota.next(now).toSorted(), named(count).toSorted());
        assert.equal(rota.dueIn(now), INTERVAL);
      }
    });
  }

  it("are 256 in three parts of an interval, whoever rings", () => {
    const rota = new NameRota(named(256), INTERVAL);
    const seen = new Set(rota.next(0));
    assert.equal(rota.dueIn(0), INTERVAL / 3);
    for (const part of [1, 2]) {
      for (const name of named(24)) rota.want(name);
      for (const name of rota.next((part * INTERVAL) / 3)) seen.add(name);
    }
    assert.equal(seen.size, 256);
  });

  it("are 32 when a name rang in between, which is the first of them", () => {
    const rota = new NameRota(named(100), INTERVAL);
    rota.next(0);
    rota.want("name-77");
    const names = rota.next(300);
    assert.deepEqual([names[0], names.length, new Set(names).size], ["name-77", 32, 32]);
    assert.equal(rota.dueIn(300), 700);
  });

  it("are all of them again once one that was set aside is taken back", () => {
    const rota = new NameRota(named(40), INTERVAL);
    rota.next(0);
    for (const name of named(40)) rota.setAside(name, INTERVAL);
    assert.deepEqual(rota.next(1), []);
    rota.takeBack(named(40));
    assert.equal(rota.next(2).length, 40);
  });

  it("come round within an interval, whoever rings and however often", () => {
    const rings = fc.array(
      fc.record({ rung: fc.array(fc.nat(255), { maxLength: 60 }), after: fc.double({ min: 0, max: 1, noNaN: true }) }),
      {
        ...{ minLength: 20, maxLength: 60 },
      },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), rings, (count, rings) => {
        const rota = new NameRota(named(count), INTERVAL);
        const seenAt = new Map(named(count).map((name) => [name, 0]));
        let now = 0;
        for (const { rung, after } of rings) {
          for (const at of rung) rota.want(`name-${at % count}`);
          for (const name of rota.next(now)) {
            assert.ok(
              now - seenAt.get(name)! <= INTERVAL + 1,
              `${name} was not looked at for ${now - seenAt.get(name)!} ms`,
            );
            seenAt.set(name, now);
          }
          now += rota.dueIn(now) * after; // A ring makes it sooner.
        }
        assert.ok(now - Math.min(...seenAt.values()) <= INTERVAL + 1, "a name was forgotten");
      }),
      { numRuns: 300 },
    );
  });
});
