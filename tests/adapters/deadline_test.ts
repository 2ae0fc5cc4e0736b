import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { describe, it } from "node:test";
import { startDeadline } from "../../src/adapters/deadline.ts";
import { redial, redialDelay } from "../../src/adapters/redial.ts";
import { until } from "../support/wait.ts";

describe("startDeadline", () => {
  it("calls back once, after the limit", async () => {
    const start = performance.now();
    let calls = 0;
    startDeadline(50, () => calls++);
    await until(() => calls > 0, "it calls back");
    assert.ok(performance.now() - start >= 45);
    assert.equal(calls, 1);
  });

  it("does not call back when it was cancelled", async () => {
    let calls = 0;
    let other = 0;
    const cancel = startDeadline(20, () => calls++);
    startDeadline(40, () => other++);
    cancel();
    await until(() => other > 0, "the later one calls back");
    assert.equal(calls, 0);
  });

  it("F7: does not strike because this process was busy while the answer was there", async () => {
    const server = createServer((socket) => socket.once("data", () => socket.end("answer")));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
    const address = server.address();
    const socket = connect(typeof address === "object" && address ? address.port : 0, "127.0.0.1");
    await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
    let end = "";
    const cancel = startDeadline(200, () => end ||= "limit");
    socket.on("data", () => (end ||= "answer", cancel()));
    socket.write("question");
    busy(600);
    await until(() => end, "either comes");
    assert.equal(end, "answer");
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("redialDelay", () => {
  it("F31: doubles from 50 ms to 2 s, less up to half", () => {
    assert.deepEqual([1, 2, 3, 6, 7, 50, 5000].map((attempt) => redialDelay(attempt, 0)), [
      50,
      100,
      200,
      1600,
      2000,
      2000,
      2000,
    ]);
    assert.equal(redialDelay(7, 0.999999) > 1000 - 1, true);
    assert.equal(redialDelay(1, 0.5), 37.5);
  });
});

describe("redial", () => {
  it("dials until it works, or until nobody wants it", async () => {
    let dials = 0;
    const dial = () => ++dials < 3 ? Promise.reject(new Error("down")) : Promise.resolve();
    await redial(dial, { wanted: () => true, background: false });
    assert.equal(dials, 3);
    let left = 2;
    dials = -10;
    await redial(dial, { wanted: () => left-- > 0, background: false });
    assert.equal(dials, -8);
  });
});

function busy(duration: number): void {
  const end = performance.now() + duration;
  while (performance.now() < end);
}
