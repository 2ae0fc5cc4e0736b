import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionLostError } from "../src/errors.ts";
import { settingsOf } from "../src/options.ts";
import { Runner } from "../src/runner.ts";
import type { Store } from "../src/store/store.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { never, openMemory, withVerbs } from "./support/listening.ts";

const CLIENT = "client000000";

/** A task that the queue gives to the client, since nobody listens. */
async function given(store: Store): Promise<Extract<Awaited<ReturnType<Store["enqueue"]>>, { verdict: "owned" }>> {
  const answer = await store.enqueue({
    ...{ id: "t", name: "work", nonce: `${CLIENT}00000001`, kind: "asked", timeout: 600_000, resultTtl: 60_000 },
    ...{ delay: 0, maxAttempts: 1, options: "", params: "json={}", ifExists: "join" },
    ownIfUnattended: { owner: CLIENT, lease: 60_000 },
  });
  assert.equal(answer.verdict, "owned");
  return answer as Extract<typeof answer, { verdict: "owned" }>;
}

describe("what the queue gave to a client", () => {
  it("starts once under a fence: given up here, it is given back when the queue says that it is ours still", async () => {
    const clock = new FakeClock();
    const { store } = openMemory(clock);
    const away = withVerbs(store, {
      renew: () => Promise.reject(new ConnectionLostError("Redis is away", { sent: false })),
    });
    const fences: number[] = [];
    const taskFn = (task: { readonly fence: number }) => {
      fences.push(task.fence);
      return never();
    };
    const settings = settingsOf({ clock, taskFn, lease: 1_000, log: () => {} });
    const runner = new Runner({ store: away, client: CLIENT, settings });
    const { record } = await given(store);
    const first = runner.own(record, clock.monotonic());
    await clock.advance(1_100);
    assert.equal((await first).state, "abandoned", "its lease ran out by our clock");
    // The store was given a longer lease, as if a renewal had come late: it says again that the task is ours.
    const again = await store.withdraw({ id: "t", nonce: record.nonce, owner: CLIENT, lease: 60_000 });
    assert.equal(again.verdict, "owned");
    assert.equal((await runner.own(record, clock.monotonic())).state, "abandoned");
    await clock.advance(10);
    assert.equal((await store.read("t"))?.state, "queued");
    assert.deepEqual(fences, [Number(record.fence)]);
  });
});
