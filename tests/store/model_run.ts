/**
 * Runs walks over both stores until they have taken so many steps, and says what was done in them.
 *
 * Previous: `model_test.ts`, `tools/model.ts`, `tools/mutants.ts`. Next: `model_scenes.ts`, `model_walk.ts`.
 *
 * @module
 */
import fc from "fast-check";
import { testConnect } from "../support/test_client.ts";
import type { Command } from "./model_commands.ts";
import { KEYS } from "./model_context.ts";
import { RedisMessages } from "./model_messages.ts";
import { steps } from "./model_scenes.ts";
import { walk } from "./model_walk.ts";

/** The longest walk, in commands and scenes; the lengths are spread evenly below it. */
const LONGEST = 120;
/** About so many steps a walk takes on average. */
const STEPS_A_WALK = 66;

/** How to run the model. */
export interface ModelOptions {
  /** The Redis to run it on, which is emptied. */
  readonly url: string;
  readonly seed: number;
  /** About how many steps. */
  readonly steps: number;
  /** Which walk of the seed, when one is to be replayed: fast-check names it. */
  readonly path?: string;
  /** Look for a shorter walk that fails too. @default true */
  readonly shrink?: boolean;
}

/** What was done. */
export interface ModelReport {
  readonly seed: number;
  /** The shortest walk found that fails, and why; null when none did. */
  readonly failure: { readonly path: string; readonly commands: readonly Command[]; readonly reason: string } | null;
  readonly steps: number;
  /** Store calls by verb, each once a step; commands in parentheses. */
  readonly done: ReadonlyMap<string, number>;
}

/** Runs walks on an empty Redis; a failure is in the report. */
export async function runModel({ url, seed, steps: most, path, shrink = true }: ModelOptions): Promise<ModelReport> {
  const port = await testConnect(url);
  const messages = await RedisMessages.open(port, KEYS);
  const done = new Map<string, number>();
  const walks = fc.array(steps, { minLength: 1, maxLength: LONGEST, size: "max" }).map((parts) => parts.flat());
  const property = fc.asyncProperty(walks, (commands) => walk({ port, messages, done }, commands));
  try {
    const found = await fc.check(property, {
      seed,
      numRuns: Math.max(1, Math.ceil(most / STEPS_A_WALK)),
      endOnFailure: !shrink,
      ...(path === undefined ? {} : { path }),
    });
    const taken = [...done].filter(([verb]) => verb.startsWith("(")).reduce((sum, [, count]) => sum + count, 0);
    const { counterexample, counterexamplePath, errorInstance } = found;
    const failure = counterexample && {
      path: counterexamplePath ?? "",
      commands: counterexample[0],
      reason: String(errorInstance instanceof Error ? errorInstance.stack : errorInstance),
    };
    return { seed, failure, steps: taken, done };
  } finally {
    messages.close();
    port.close();
  }
}

/** Verbs of the store that less than one step in a hundred calls; in short runs chance is allowed for. */
export function rareVerbs({ steps, done }: ModelReport): string[] {
  const least = steps / 100 - (steps < 50_000 ? 2 * Math.sqrt(steps / 100) : 0);
  return VERBS.filter((verb) => (done.get(verb) ?? 0) < least);
}

/** Every verb of the store. */
export const VERBS = [
  ...["enqueue", "claim", "complete", "fail", "release", "renew", "progress", "withdraw", "cancel", "put", "read"],
  ...["readHeader", "take", "acknowledge", "isListened", "markListened", "leave", "openInbox", "pingInbox"],
  ...["openControl", "openBell", "ring", "dead", "requeue", "remove", "counts"],
] as const;
