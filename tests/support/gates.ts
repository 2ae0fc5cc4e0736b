/**
 * A system whose calls happen in an order that a test chooses: every call to the store has two gates, on its way there
 * and on its way back, and a list of choices says which gate opens next, or that time goes on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { nextTurn } from "../../src/runtime/mod.ts";
import type { Store } from "../../src/store/store.ts";
import type { FakeClock } from "./fake_clock.ts";

/** Calls that wait for their turn. */
export class Gates {
  readonly #waiting: (() => void)[] = [];

  /** How many wait. */
  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves when this one is opened. */
  pass(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Lets one pass. */
  open(index: number): void {
    this.#waiting.splice(index, 1)[0]?.();
  }

  /** The same store, each of whose calls passes a gate before and one after; none passes once `isFrozen`. */
  before(store: Store, isFrozen: () => boolean = () => false): Store {
    const gated = async (call: () => unknown): Promise<unknown> => {
      await this.pass();
      if (isFrozen()) return await new Promise(() => {});
      const answer = await call();
      await this.pass();
      return isFrozen() ? await new Promise(() => {}) : answer;
    };
    return new Proxy(store, {
      get(target, key) {
        const verb: unknown = Reflect.get(target, key);
        if (typeof verb !== "function") return verb;
        return (...args: unknown[]) => gated(() => Reflect.apply(verb, target, args));
      },
    });
  }
}

/** Opens gates and moves time as the choices say, then in order, until the promise has settled. */
export async function drive<Value>(
  promise: Promise<Value>,
  { gates, clock, choices }: { gates: Gates; clock: FakeClock; choices: readonly number[] },
): Promise<Value> {
  let settled = false;
  const settle = () => void (settled = true);
  promise.then(settle, settle);
  for (let step = 0; !settled; step += 1) {
    assert.ok(step < 20_000, "it comes to an end");
    const choice = choices[step] ?? 0;
    if (choice < gates.size) {
      gates.open(choice);
      for (let turns = 0; turns < 2; turns += 1) await new Promise<void>((resolve) => nextTurn(resolve));
    } else await clock.advance(10);
  }
  return await promise;
}
