import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { systemClock } from "../src/clock.ts";
import { type BatchScript, Coalescer, type Lane } from "../src/port/coalescer.ts";
import { type Command, type RedisPort, RedisReplyError, type Reply } from "../src/port/redis.ts";

/** A port that answers when told to, and remembers what was written. */
class ManualPort implements RedisPort {
  readonly writes: Command[][] = [];
  readonly #answers: ((replies: Reply[] | Error) => void)[] = [];

  exec(commands: readonly Command[]): Promise<Reply[]> {
    this.writes.push([...commands]);
    return new Promise((resolve, reject) =>
      this.#answers.push((replies) => replies instanceof Error ? reject(replies) : resolve(replies))
    );
  }
  answer(replies: Reply[] | Error): void {
    this.#answers.shift()!(replies);
  }
  blocking(): Promise<never> {
    return Promise.reject(new Error("not used"));
  }
  subscribe(): Promise<never> {
    return Promise.reject(new Error("not used"));
  }
  close(): void {}
}

const SCRIPT: BatchScript = { source: "return ARGV", sha: "abc" };
const LANE: Lane = { script: SCRIPT, head: ["key"] };
const turn = () => new Promise<void>((resolve) => systemClock.nextTurn(resolve));
const setUp = () => {
  const port = new ManualPort();
  return { port, calls: new Coalescer(port, systemClock) };
};

describe("Coalescer", () => {
  it("writes the calls of one turn at once, in a microtask when idle", async () => {
    const { port, calls } = setUp();
    const both = Promise.all([calls.call(["GET", "a"]), calls.call(["GET", "b"])]);
    await Promise.resolve();
    assert.deepEqual(port.writes, [[["GET", "a"], ["GET", "b"]]]);
    port.answer(["1", null]);
    assert.deepEqual(await both, ["1", null]);
  });

  it("writes once per turn while an answer is outstanding", async () => {
    const { port, calls } = setUp();
    const first = calls.call(["GET", "a"]);
    await Promise.resolve();
    const second = calls.call(["GET", "b"]);
    await Promise.resolve();
    const third = calls.call(["GET", "c"]);
    assert.equal(port.writes.length, 1);
    await turn();
    assert.deepEqual(port.writes[1], [["GET", "b"], ["GET", "c"]]);
    port.answer(["1"]);
    port.answer(["2", "3"]);
    assert.deepEqual(await Promise.all([first, second, third]), ["1", "2", "3"]);
  });

  it("puts the items of one script into one call and gives each its answer", async () => {
    const { port, calls } = setUp();
    const lane = { script: SCRIPT, head: ["key", "head"] };
    const both = Promise.all([
      calls.batch(lane, ["a", "1"]),
      calls.batch(lane, ["b", "2"]),
    ]);
    await Promise.resolve();
    assert.deepEqual(port.writes, [[["EVALSHA", "abc", "1", "key", "head", "a", "1", "b", "2"]]]);
    port.answer([["A", "B"]]);
    assert.deepEqual(await both, ["A", "B"]);
  });

  it("makes one command of what a turn reads, of so many items at most", async () => {
    const { port, calls } = setUp();
    const lane: Lane = { script: null, head: ["MGET"], most: 2 };
    const all = Promise.all(["a", "b", "c"].map((key) => calls.batch(lane, [key])));
    await Promise.resolve();
    assert.deepEqual(port.writes, [[["MGET", "a", "b"], ["MGET", "c"]]]);
    port.answer([["1", null], ["3"]]);
    assert.deepEqual(await all, ["1", null, "3"]);
  });

  it("F62: cuts a batch at 128 items and at 256 KiB", async () => {
    const { port, calls } = setUp();
    const [small, large] = [{ ...LANE }, { ...LANE }];
    for (let i = 0; i < 130; i++) void calls.batch(small, ["x"]);
    for (let i = 0; i < 3; i++) void calls.batch(large, ["y".repeat(200_000)]);
    await Promise.resolve();
    const items = port.writes[0]!.map((command) => command.length - 4);
    assert.deepEqual(items.toSorted((a, b) => a - b), [1, 2, 2, 128]);
    port.answer(port.writes[0]!.map(() => []));
  });

  it("F49: sends a script that the server does not know again with its text", async () => {
    const { port, calls } = setUp();
    const answer = calls.batch(LANE, ["a"]);
    await Promise.resolve();
    port.answer([new RedisReplyError("NOSCRIPT No matching script")]);
    await turn();
    assert.deepEqual(port.writes[1], [["EVAL", "return ARGV", "1", "key", "a"]]);
    port.answer([["A"]]);
    assert.equal(await answer, "A");
  });

  it("rejects every call of a write that was lost, and a server error only where it belongs", async () => {
    const { port, calls } = setUp();
    const lost = [calls.call(["GET", "a"]), calls.batch(LANE, ["x"])];
    await Promise.resolve();
    port.answer(new Error("gone"));
    for (const one of lost) await assert.rejects(one, { message: "gone" });

    const [bad, good] = [calls.call(["GET", "a"]), calls.call(["GET", "b"])];
    await Promise.resolve();
    port.answer([new RedisReplyError("WRONGTYPE no"), "2"]);
    await assert.rejects(bad, { code: "WRONGTYPE" });
    assert.equal(await good, "2");
  });
});
