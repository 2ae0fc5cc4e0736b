import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Link, reasonText } from "../../src/adapters/link.ts";
import type { Dialer, Wire } from "../../src/adapters/wire.ts";
import { ConnectionLostError } from "../../src/errors.ts";
import { type Command, RedisReplyError, type Reply } from "../../src/port/redis.ts";

/** A wire whose answers the test decides. */
class FakeWire implements Wire {
  opened = Promise.resolve();
  destroyed = 0;
  answer: (commands: readonly Command[]) => Promise<Reply[]> = () => Promise.resolve(["PONG", 7]);
  onEnd: (reason: unknown) => void = () => {};
  send(commands: readonly Command[]): Promise<Reply[]> {
    return this.answer(commands);
  }
  subscribe(): Promise<void> {
    return Promise.resolve();
  }
  keepAlive(): void {}
  destroy(): void {
    this.destroyed++;
    this.onEnd(new Error("an echo of our own end"));
  }
}

const SILENCE = () => new Promise<Reply[]>(() => {});

describe("Link", () => {
  it("knows its id, and ends at the time limit of a call, which rejects as sent", async () => {
    const { link, wire } = await openLink();
    assert.equal(link.id, "7");
    let ends = 0;
    link.onEnd = () => ends++;
    wire.answer = SILENCE;
    const other = assert.rejects(link.send([["GET", "a"]], 60_000), isLost);
    await assert.rejects(link.send([["GET", "b"]], 30), (error) => isLost(error) && /within 30 ms/.test(String(error)));
    await other;
    assert.deepEqual([wire.destroyed, ends, link.ended], [1, 1, true]);
    await assert.rejects(link.send([["GET", "c"]], 30), isLost);
  });

  it("F33: rejects its calls when the client reports the end, though the client leaves them pending", async () => {
    const { link, wire } = await openLink();
    wire.answer = SILENCE;
    const call = assert.rejects(link.send([["GET", "a"]], 60_000), isLost);
    wire.onEnd(new Error("reset"));
    await call;
  });

  it("F39 F45: is not opened by a server that wants a password, is loading, or is silent", async () => {
    for (const text of ["NOAUTH Authentication required.", "LOADING Redis is loading the dataset in memory"]) {
      const wire = new FakeWire();
      wire.answer = () => Promise.resolve([new RedisReplyError(text), null]);
      await assert.rejects(open(wire), new RegExp(text));
      assert.equal(wire.destroyed, 1);
    }
    const silent = new FakeWire();
    silent.answer = SILENCE;
    await assert.rejects(open(silent, 30), /no answer within 30 ms/);
    assert.equal(silent.destroyed, 1);
  });

  it("is opened by a server that forbids PING and CLIENT", async () => {
    const wire = new FakeWire();
    wire.answer = () => Promise.resolve([new RedisReplyError("NOPERM no"), new RedisReplyError("NOPERM no")]);
    assert.equal((await open(wire)).id, undefined);
  });
});

describe("reasonText", () => {
  it("says something of every reason", () => {
    const both = Object.assign(new AggregateError([new Error("IPv4"), new Error("IPv6")]), { code: "ECONNREFUSED" });
    const said = [new Error("why"), both, new TypeError(), "text", undefined].map(reasonText);
    assert.deepEqual(said, ["why", "ECONNREFUSED", "TypeError", "text", "undefined"]);
  });
});

function open(wire: FakeWire, limit = 1000): Promise<Link> {
  const dialer: Dialer = {
    address: "nowhere",
    open: (onEnd) => {
      wire.onEnd = onEnd;
      return wire;
    },
  };
  return Link.open(dialer, { limit, background: false });
}

async function openLink(): Promise<{ link: Link; wire: FakeWire }> {
  const wire = new FakeWire();
  return { link: await open(wire), wire };
}

function isLost(error: unknown): boolean {
  return error instanceof ConnectionLostError && error.sent;
}
