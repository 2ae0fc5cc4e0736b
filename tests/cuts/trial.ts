/**
 * What a cut is made in: something is called, and afterwards it is judged what became of it.
 *
 * @module
 */
import { ConnectionLostError } from "../../src/errors.ts";
import { reasonText } from "../../src/adapters/link.ts";
import type { Cut } from "./cut_proxy.ts";
import type { Scene } from "./scenes.ts";
import { insist, isSame, type Picture, type World } from "./world.ts";

/** How a call ended. */
export type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** What must not be. `lost`: no effect, no answer or a wrong one; `twice`: an effect that one call does not have. */
export interface Finding {
  readonly kind: "lost" | "twice" | "hung";
  readonly text: string;
}

/** One trial in one world; used for many cuts. */
export interface Run {
  /** Connections that it keeps through the proxy, the main one included. */
  readonly connections: number;
  /** After Redis was emptied and before the cut is armed. */
  prepare(): Promise<void>;
  /** What is cut. */
  call(): Promise<unknown>;
  /** With the proxy in order again. */
  judge(outcome: Outcome, wasCut: boolean): Promise<Finding | undefined>;
  close(): Promise<void>;
}

/** A kind of call to be cut, byte by byte. */
export interface Trial {
  readonly name: string;
  /** How it is cut, in turn. @default reset, end */
  readonly hows?: readonly Cut["how"][];
  open(world: World): Promise<Run>;
}

export function lost(text: string): Finding {
  return { kind: "lost", text };
}

/** Undefined when the outcome is an answer, or the error that callers are promised. */
export function wrongError(outcome: Outcome): Finding | undefined {
  if (!("error" in outcome) || outcome.error instanceof ConnectionLostError) return undefined;
  return lost(`it rejected with ${String((outcome.error as Error)?.name)}: ${reasonText(outcome.error)}`);
}

/** A verb of the store: judged by its answer and by all that stands in Redis. */
export function verbTrial(scene: Scene): Trial {
  return {
    name: scene.name,
    async open(world) {
      const run = new VerbRun(world, scene);
      await run.learn();
      return run;
    },
  };
}

class VerbRun implements Run {
  readonly connections = 1;
  readonly #world: World;
  readonly #scene: Scene;
  #prepared: unknown;
  #answer = "";
  #before: Picture = [];
  #after: Picture = [];

  constructor(world: World, scene: Scene) {
    this.#world = world;
    this.#scene = scene;
  }

  /** What it does when nothing is cut. */
  async learn(): Promise<void> {
    await this.#world.refresh();
    await this.prepare();
    this.#before = await this.#world.picture();
    this.#answer = textOf(await this.call());
    this.#after = await this.#world.picture();
  }

  async prepare(): Promise<void> {
    this.#prepared = await this.#scene.prepare(this.#world);
  }

  call(): Promise<unknown> {
    const once = () => this.#scene.call(this.#world.store, this.#prepared as never);
    return this.#scene.repeatedBy === "caller" ? insist(once) : once();
  }

  async judge(outcome: Outcome): Promise<Finding | undefined> {
    const wrong = wrongError(outcome);
    if (wrong) return wrong;
    const mayBeLost = this.#scene.repeatedBy === "nobody" && "error" in outcome;
    if ("error" in outcome && !mayBeLost) return lost(`nobody was answered: ${reasonText(outcome.error)}`);
    const picture = await this.#world.picture();
    if (!isSame(picture, this.#after)) {
      if (!isSame(picture, this.#before)) return { kind: "twice", text: difference(this.#after, picture) };
      if (!mayBeLost) return lost("answered, and without an effect");
    }
    if ("error" in outcome || textOf(outcome.value) === this.#answer) return undefined;
    return lost(`answered ${textOf(outcome.value)} in place of ${this.#answer}`);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? "undefined";
}

/** What the first key has that differs, in both. */
function difference(one: Picture, other: Picture): string {
  const keys = [...new Set([...one, ...other].map(([, key]) => key))];
  const linesOf = (key: string | undefined) => [one, other].map((picture) => picture.filter((line) => line[1] === key));
  const key = keys.find((key) => {
    const [expected, found] = linesOf(key);
    return !isSame(expected!, found!);
  });
  const [expected, found] = linesOf(key);
  return `expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`;
}
