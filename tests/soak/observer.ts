/**
 * Looks on: reads which tasks were handed in from the journals, and writes down how each has ended, by what is stored.
 *
 * It looks twice, some seconds apart: an end is final. Nobody breaks its way to the primary, but that may be away.
 *
 * @module
 */
import type { SoakClient } from "./driver.ts";
import { type Entry, type Journal, JournalReader } from "./journal.ts";

/** Between two rounds, in milliseconds. */
const EVERY = 500;
/** Between the two looks at a task, in milliseconds. */
const AGAIN_AFTER = 8_000;
/** Tasks of one call. */
const BATCH = 200;

/** Looks on. */
export class Observer {
  readonly #client: SoakClient;
  readonly #journal: Journal;
  readonly #reader: JournalReader;
  /** Ids that have not been seen ended. */
  readonly #open = new Set<string>();
  /** Id → when it may be looked at again. */
  readonly #ended = new Map<string, number>();
  readonly #measure: () => Promise<{ memory: number; clients: number }>;
  #isOver = false;
  #loop: Promise<void> = Promise.resolve();
  /** Why the last round did not succeed; empty when it did. */
  trouble = "";

  /** `measure` tells the size of the server. */
  constructor(
    client: SoakClient,
    { journal, folder, measure }: {
      readonly journal: Journal;
      readonly folder: string;
      readonly measure: () => Promise<{ memory: number; clients: number }>;
    },
  ) {
    this.#client = client;
    this.#journal = journal;
    this.#reader = new JournalReader(folder);
    this.#measure = measure;
  }

  /** Begins. */
  start(): void {
    this.#loop = this.#run();
  }

  /** Makes its last rounds, until all that was seen once was seen twice, and ends. */
  async finish(): Promise<void> {
    this.#isOver = true;
    await this.#loop;
    for (let rounds = 2 * AGAIN_AFTER / EVERY; rounds > 0; rounds--) {
      await this.#round();
      if (this.#ended.size === 0) return;
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
  }

  async #run(): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      await this.#round();
      if (round % 4 === 0) await this.#writeSize();
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
  }

  async #round(): Promise<void> {
    for (const entry of this.#reader.more()) this.#take(entry);
    const now = Date.now();
    const again = [...this.#ended].filter(([, at]) => at <= now).map(([id]) => id);
    try {
      for (const ids of batches([...this.#open])) await this.#look(ids, 1);
      for (const ids of batches(again)) await this.#look(ids, 2);
      this.trouble = "";
    } catch (error) {
      this.trouble = `${error}`;
    }
  }

  #take(entry: Entry): void {
    if (entry.what === "sent") this.#open.add(entry.id);
  }

  async #look(ids: readonly string[], look: 1 | 2): Promise<void> {
    const found = await this.#client.look(ids);
    for (const [at, id] of ids.entries()) {
      const task = found[at];
      if (look === 2) {
        this.#ended.delete(id);
        const gone = { outcome: "expired", attempt: 0, crashes: 0, fence: 0, value: "gone" } as const;
        this.#journal.write({ what: "seen", look, id, ...(task ?? gone) });
      } else if (task !== undefined) {
        this.#open.delete(id);
        this.#ended.set(id, Date.now() + AGAIN_AFTER);
        this.#journal.write({ what: "seen", look, id, ...task });
      }
    }
  }

  async #writeSize(): Promise<void> {
    try {
      this.#journal.write({ what: "redis", ...await this.#measure() });
    } catch {
      // It is away; the next time will do.
    }
  }
}

function batches(ids: readonly string[]): (readonly string[])[] {
  return Array.from({ length: Math.ceil(ids.length / BATCH) }, (_, at) => ids.slice(at * BATCH, (at + 1) * BATCH));
}
