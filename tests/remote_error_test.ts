import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decodeError, encodeError, toError } from "../src/remote_error.ts";
import { ConnectionLostError, SerializationError, TaskTimeoutError } from "../src/errors.ts";

const roundTrip = (error: unknown): Error => decodeError(encodeError(error));

describe("encodeError and decodeError", () => {
  it("keep name, message, remote stack and own plain fields", () => {
    const error = Object.assign(new Error("no such file"), { code: "ENOENT", where: { path: "/x", tries: [1, 2] } });
    const back = roundTrip(error);
    assert.equal(back.message, "no such file");
    assert.ok(back.stack?.includes("remote_error_test"), back.stack);
    assert.deepEqual({ ...back }, { code: "ENOENT", where: { path: "/x", tries: [1, 2] } });
  });

  it("rebuild built-in classes and errand's own, and no other", () => {
    for (const Class of [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, TaskTimeoutError]) {
      const back = roundTrip(new Class("m"));
      assert.equal(back.constructor, Class);
      assert.equal(back.message, "m");
    }
    const lost = roundTrip(new ConnectionLostError("gone", { sent: true }));
    assert.ok(lost instanceof ConnectionLostError && lost.sent);
    class MyError extends Error {
      override readonly name = "MyError";
    }
    const mine = roundTrip(new MyError("m"));
    assert.equal(mine.constructor, Error);
    assert.equal(mine.name, "MyError");
    assert.equal(decodeError('{"name":"constructor","message":"m"}').constructor, Error);
  });

  it("keep causes five deep, and causes that are no errors", () => {
    let error = new Error("0");
    for (let depth = 1; depth <= 9; depth += 1) error = new Error(String(depth), { cause: error });
    const messages: string[] = [];
    for (let at: unknown = roundTrip(error); at instanceof Error; at = at.cause) messages.push(at.message);
    assert.deepEqual(messages, ["9", "8", "7", "6", "5", "4"]);
    assert.deepEqual(roundTrip(new Error("m", { cause: { code: 7 } })).cause, { code: 7 });
    assert.equal(roundTrip(new Error("m", { cause: null })).cause, null);
  });

  it("F22: wrap what is not an Error", () => {
    assert.match(roundTrip("text").message, /not an Error was thrown: "text"/);
    assert.equal(roundTrip("text").cause, "text");
    assert.match(roundTrip(undefined).message, /undefined/);
    const symbol = Symbol("s");
    assert.equal(toError(symbol).cause, symbol);
    assert.match(roundTrip(symbol).message, /Symbol\(s\)/);
  });

  it("F22: never throw and stay bounded", () => {
    const huge = new Error("m".repeat(1_000_000));
    huge.stack = "s".repeat(1_000_000);
    Object.assign(huge, { big: "f".repeat(1_000_000), many: Array(100_000).fill(1) });
    assert.ok(encodeError(huge).length < 20_000);
    const cycle = Object.assign(new Error("c"), { self: {} as unknown, run: () => 1, big: 1n });
    cycle.self = cycle;
    cycle.cause = cycle;
    assert.equal(roundTrip(cycle).message, "c");
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    assert.ok(roundTrip(proxy) instanceof Error);
    const hostile = new Error("h");
    for (const key of ["stack", "cause", "field", "message", "name"]) {
      Object.defineProperty(hostile, key, {
        enumerable: true,
        get() {
          throw new Error("trap");
        },
      });
    }
    assert.ok(roundTrip(hostile) instanceof Error);
    assert.ok(roundTrip({ toString: () => ({}) }) instanceof Error);
  });

  it("let no field replace what every error has", () => {
    const back = decodeError('{"name":"Error","message":"m","fields":{"toString":"x","stack":1,"message":"y","ok":1}}');
    assert.equal(String(back), "Error: m");
    assert.deepEqual({ ...back }, { ok: 1 });
  });

  it("F85: refuse __proto__ and unreadable text with an error that says so", () => {
    const bad = decodeError('{"name":"Error","message":"m","fields":{"a":{"__proto__":{"x":1}}}}');
    assert.ok(bad instanceof SerializationError);
    assert.match(bad.message, /__proto__/);
    for (const text of ["", "{", "null", "7"]) assert.ok(decodeError(text) instanceof SerializationError, text);
    const nested = Object.assign(new Error("m"), { a: JSON.parse('{"__proto__":{"x":1},"b":2}') });
    assert.deepEqual({ ...roundTrip(nested) }, { a: { b: 2 } });
  });
});
