/**
 * Faults that are planted on purpose, to prove that the simulation would see them: each breaks one rule of the protocol.
 *
 * @module
 */
import type { Reply } from "../../src/port/redis.ts";
import type { Script } from "../../src/store/memory/memory_script.ts";
import type { Ownership } from "../../src/store/store.ts";

/** A rule that is broken. */
export interface Plant {
  /** Who ends a task, as the server is made to believe. */
  ownerOf?(script: Script, task: Ownership): Ownership;
  /** The answer to a call that is not run; undefined = it is run. */
  answers?(name: string, words: readonly string[], script: Script): Reply | undefined;
  /** Records are written before their new places. */
  readonly swapsWrites?: boolean;
  dropsMessage?(channel: string, message: string): boolean;
  /** What a reader sees instead of a text. */
  onRead?(text: string | null): string | null;
}

/** The fence is ignored: whoever ends a task is taken for its owner. */
function fence(): Plant {
  return {
    ownerOf(script, task) {
      const record = script.record(task.id);
      return record === null ? task : { ...task, owner: record.owner, fence: record.fence };
    },
  };
}

/** A claim that is sent again brings nothing. */
function replay(): Plant {
  return {
    answers(name, words, script) {
      if (name !== "claim") return undefined;
      const last = script.world.get(script.keys.listener(words[0]!), script.now);
      return last?.slice(0, 10) === words[1] ? ["-1", [], []] : undefined;
    },
  };
}

/** Messages to inboxes are dropped. */
function inbox(): Plant {
  return { dropsMessage: (channel, message) => channel.includes("|inbox|") && message !== "" };
}

/** Messages to inboxes are dropped, and polls see what has ended as running. */
function poll(): Plant {
  return {
    ...inbox(),
    onRead: (text) => text !== null && text[1]! >= "4" && text[1]! < "8" ? `${text[0]}3${text.slice(2)}` : text,
  };
}

/** Scripts write records first: one that stops half way leaves a record without its place. */
function order(): Plant {
  return { swapsWrites: true };
}

/** By name, for `tools/sim.ts --plant`. */
export const PLANTS: Readonly<Record<string, () => Plant>> = { fence, order, replay, inbox, poll };
