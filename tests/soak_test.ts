/**
 * The checker of the soak, held to journals with planted violations: one that cannot fail proves nothing.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { checkTasks, ERRAND_RULES, type ViolationKind } from "./soak/check.ts";
import { checkFigures, figuresOf } from "./soak/figures.ts";
import type { Entry } from "./soak/journal.ts";
import { Journal, JournalReader } from "./soak/journal.ts";
import { FAULT_KINDS, planFaults } from "./soak/schedule.ts";
import { FULL_MIX, planOf, resultOf, type WorkKind } from "./soak/work.ts";

const LEASE = 2_000;
const [CLIENT, ONE, OTHER] = [1, 11, 12];

/** An id of this kind, handed in once. */
function idOf(kind: WorkKind, asked: boolean): string {
  for (let number = 0;; number++) {
    const plan = planOf(`test.${number}`, FULL_MIX);
    if (plan.kind === kind && plan.asked === asked && !plan.twice) return plan.id;
  }
}

/** Entries with times that grow by `step`; a fault's own times are relative too. */
function journal(id: string, lines: readonly (readonly [from: number, entry: object])[], step = 100): Entry[] {
  return lines.map(([from, entry], at) => ({ at: 1_000_000 + at * step, from, id, ...entry }) as unknown as Entry);
}

const asked = { what: "sent", by: "query" };
const ack = { what: "ack" };
const start = (fence: number, attempt = 1) => ({ what: "start", attempt, fence });
const end = (fence: number, how = "returned", attempt = 1) => ({ what: "end", attempt, fence, how });
const accepted = (outcome = "succeeded") => ({ what: "accepted", outcome });
const answer = (id: string) => ({ what: "answer", result: resultOf(id, planOf(id, FULL_MIX)) });
function seen(id: string, change: object = {}) {
  const value = resultOf(id, planOf(id, FULL_MIX));
  return { what: "seen", look: 1, outcome: "succeeded", attempt: 1, crashes: 0, fence: 7, value, ...change };
}

function kindsOf(entries: readonly Entry[]): ViolationKind[] {
  return [...new Set(checkTasks(entries, { ...ERRAND_RULES, mix: FULL_MIX }).map(({ kind }) => kind))];
}

/** A task that was enqueued, ran once and was seen twice. */
function goodLines(id: string): (readonly [number, object])[] {
  return [
    ...[[CLIENT, asked], [CLIENT, ack], [ONE, start(7)], [ONE, end(7)], [ONE, accepted()]] as const,
    ...[[0, seen(id)], [0, seen(id, { look: 2 })]] as const,
  ];
}

describe("the checker of the soak", () => {
  const id = idOf("plain", true);
  const good = goodLines(id);
  const planted = (kind: ViolationKind, lines: readonly (readonly [number, object])[], of: string = id) =>
    assert.deepEqual(kindsOf(journal(of, lines)), [kind]);

  it("finds nothing in a history as it should be", () => {
    assert.deepEqual(kindsOf(journal(id, good)), []);
    assert.deepEqual(kindsOf(journal(id, [[CLIENT, asked], ...good.slice(2), [CLIENT, answer(id)]])), []);
  });

  it("finds a task that was accepted, or ran, and never ended", () => {
    planted("lost", [[CLIENT, asked], [CLIENT, ack]]);
    planted("lost", [[CLIENT, asked], [CLIENT, ack], [ONE, start(7)]]);
    const unsure = { what: "unsure", error: "no answer" };
    planted("lost", [[CLIENT, asked], [CLIENT, unsure], [ONE, start(7)]]);
    assert.deepEqual(kindsOf(journal(id, [[CLIENT, asked], [CLIENT, unsure]])), [], "nobody knows of it");
  });

  it("finds a task that ended as if it had run", () => {
    planted("never ran", [[CLIENT, asked], [CLIENT, ack], [0, seen(id)]]);
    planted("never ran", [[CLIENT, asked], [CLIENT, ack], [
      0,
      seen(id, { outcome: "failed", crashes: 4, value: "no" }),
    ]]);
  });

  it("finds a client that never hears", () => {
    planted("unanswered", [[CLIENT, asked], ...good.slice(2)]);
    planted("unanswered", [[CLIENT, asked], [CLIENT, { what: "silent", error: "too late" }], ...good.slice(2)]);
    const killed = [
      [0, { what: "born", pid: CLIENT, role: "client", runtime: "bun", steady: false }],
      [0, { what: "fault", kind: "kill client", pid: CLIENT, since: 0, until: 0 }],
    ] as const;
    assert.deepEqual(kindsOf(journal(id, [...killed, [CLIENT, asked], ...good.slice(2)])), [], "it was killed");
  });

  it("finds a wrong result, told or stored", () => {
    planted("wrong result", [...good, [CLIENT, { what: "answer", result: "another's" }]]);
    planted("wrong result", [...good.slice(0, 5), [0, seen(id, { value: "another's" })]]);
  });

  it("finds an outcome that the task cannot have, and a client that was told a falsehood", () => {
    const failed = { outcome: "failed", value: "Error: no", crashes: 1 };
    planted("wrong outcome", [...good.slice(0, 4), [ONE, accepted("failed")], [0, seen(id, failed)]]);
    const lost = [...good.slice(0, 3), [0, seen(id, { ...failed, crashes: 4 })]] as const;
    assert.deepEqual(kindsOf(journal(id, lost)), [], "four lost leases end a task");
    planted("wrong outcome", [...good, [CLIENT, { what: "failed", error: "TaskFailedError" }]]);
    const dropped = idOf("dropped", true);
    planted("wrong outcome", [...goodLines(dropped), [CLIENT, { what: "cancel", became: "cancelled" }]], dropped);
  });

  it("finds two accepted outcomes, and one that is not what is stored", () => {
    planted("two outcomes", [...good, [OTHER, accepted()]]);
    planted("two outcomes", [...good.slice(0, 4), [ONE, accepted("expired")], ...good.slice(5)]);
  });

  it("finds an end that was not final", () => {
    planted("changed after its end", [...good.slice(0, 6), [0, seen(id, { look: 2, fence: 8 })]]);
    planted("changed after its end", [...good.slice(0, 6), [
      0,
      seen(id, { look: 2, outcome: "expired", value: "gone" }),
    ]]);
  });

  it("finds starts that no lost lease, failure or release explains, and a fence that started twice", () => {
    const more = [...good.slice(0, 4), [OTHER, start(8)], [OTHER, end(8)]] as const;
    planted("repeated without cause", [...more, [0, seen(id, { fence: 8 })]]);
    assert.deepEqual(kindsOf(journal(id, [...more, [0, seen(id, { fence: 8, crashes: 1 })]])), []);
    const released = [...good.slice(0, 3), [ONE, end(7, "released")], ...more.slice(4)] as const;
    assert.deepEqual(kindsOf(journal(id, [...released, [0, seen(id, { fence: 8 })]])), []);
    planted("same fence twice", [...good.slice(0, 3), [OTHER, start(7)], [0, seen(id, { crashes: 1 })]]);
  });

  it("finds a start before its time, and one of a task that was refused", () => {
    const late = idOf("delayed", false);
    planted("too early", goodLines(late), late);
    planted("refused, but ran", [[CLIENT, asked], [CLIENT, { what: "refused", error: "full" }], ...good.slice(2)]);
  });

  it("forgives what a failover may take, to the tasks that lived then only", () => {
    const tail = (at: number) =>
      [[0, { what: "fault", kind: "failover, tail lost", since: at, until: at + 300 }]] as const;
    const [then, before] = [tail(1_000_150), tail(900_000)];
    const lost = [[CLIENT, asked], [CLIENT, ack]] as const;
    assert.deepEqual(kindsOf(journal(id, [...lost, ...then])), []);
    assert.deepEqual(kindsOf(journal(id, [...lost, ...before])), ["lost"]);
    const again = [...good.slice(0, 5), [OTHER, start(8)], [OTHER, accepted()], [0, seen(id, { fence: 8 })]] as const;
    assert.deepEqual(kindsOf(journal(id, [...again, ...then])), []);
    assert.deepEqual(kindsOf(journal(id, [...again, ...before])), ["two outcomes", "repeated without cause"]);
    planted("unanswered", [[CLIENT, asked], ...then]);
  });
});

describe("the figures of the soak", () => {
  const id = idOf("plain", true);
  const steady = (what: object[]) =>
    journal("", [
      [0, { what: "born", pid: ONE, role: "listener", runtime: "node", steady: true }],
      ...what.map((entry) => [ONE, { what: "size", rss: 0, heap: 0, sockets: 5, ...entry }] as const),
    ], 20_000);

  it("measure recovery from the kill to the next start", () => {
    const kill = { what: "fault", kind: "kill listener", pid: ONE, since: 1_000_250, until: 1_000_250 };
    const lines = [[CLIENT, asked], [CLIENT, ack], [ONE, start(7)], [0, kill], [OTHER, start(8)]] as const;
    const figures = figuresOf(journal(id, lines));
    assert.deepEqual(figures.undisturbed, { count: 1, p50: 150, p99: 150, max: 150 });
    const slow = figuresOf([
      ...journal(id, lines.slice(0, 4)),
      ...journal(id, lines.slice(4)).map((entry) => ({
        ...entry,
        at: 1_060_000,
      })),
    ]);
    assert.equal(checkFigures(slow, LEASE, 1).length, 1);
  });

  it("find sockets and heaps that grow", () => {
    const flat = Array.from({ length: 20 }, () => ({}));
    assert.deepEqual(checkFigures(figuresOf(steady(flat)), LEASE, 10), []);
    const leaking = flat.map((_, at) => ({ sockets: 5 + at }));
    const growing = flat.map((_, at) => ({ heap: at * 2 * (1 << 20) }));
    for (const sizes of [leaking, growing]) {
      assert.deepEqual(checkFigures(figuresOf(steady(sizes)), LEASE, 10).map(({ kind }) => kind), ["growing"]);
    }
  });
});

describe("the soak", () => {
  it("does the same again with the same seed, and has every fault once first", () => {
    const [one, same, other] = [5, 5, 6].map((seed) => planFaults(seed, 600_000, LEASE));
    assert.deepEqual(one, same);
    assert.notDeepEqual(one, other);
    assert.deepEqual(new Set(one!.slice(0, FAULT_KINDS.length).map(({ kind }) => kind)), new Set(FAULT_KINDS));
    const gaps = one!.slice(1).map(({ after }, at) => after - one![at]!.after);
    assert.ok(gaps.every((gap) => gap >= 1_000 && gap <= 5_000));
  });

  it("reads journals as they grow, and half a line only when it is whole", () => {
    const folder = mkdtempSync(join(tmpdir(), "errand-soak-test-"));
    try {
      const reader = new JournalReader(folder);
      new Journal(folder, ONE).write({ what: "ack", id: "é" });
      assert.deepEqual(reader.more().map((entry) => entry.what), ["ack"]);
      const line = `${JSON.stringify({ at: 1, from: OTHER, what: "calm" })}\n`;
      writeFileSync(join(folder, "other.jsonl"), line.slice(0, 9));
      assert.deepEqual(reader.more(), []);
      writeFileSync(join(folder, "other.jsonl"), line);
      assert.deepEqual(reader.more().map((entry) => entry.what), ["calm"]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
