/**
 * The record of a task that runs in no queue: written one call at a time, the latest state only, and never in the way
 * of the caller: what cannot be stored is logged and forgotten.
 *
 * @module
 */
import { isLater, type NowOrLater } from "./now_or_later.ts";
import { toError } from "./remote_error.ts";
import type { PutRequest } from "./store/store.ts";
import { type ClientContext, putOf, type Submission } from "./submission.ts";
import type { RedisTask } from "./task.ts";

/** Writes the record of one local run. */
export class LocalRecord {
  readonly #submission: Submission;
  readonly #context: ClientContext;
  #next: NowOrLater<PutRequest> | null = null;
  #writing: Promise<void> | null = null;
  #refused = false;
  #explained = false;

  /** Writes nothing yet. */
  constructor(submission: Submission, context: ClientContext) {
    this.#submission = submission;
    this.#context = context;
  }

  /** Writes the task as it is now, soon. */
  write(task: RedisTask): void {
    const { client, settings } = this.#context;
    try {
      const context = { kind: "local", codecs: settings, clock: settings.clock, owner: client } as const;
      this.#next = putOf(this.#submission, task, context);
    } catch (error) {
      return this.#explain(error);
    }
    // A later state may take its place before it is looked at.
    if (isLater(this.#next)) this.#next.catch(() => {});
    this.#writing ??= this.#drain();
  }

  /** Writes the task as it is now; resolves when that is done or has failed. */
  end(task: RedisTask): Promise<void> {
    this.write(task);
    return this.#writing ?? Promise.resolve();
  }

  async #drain(): Promise<void> {
    while (this.#next !== null && !this.#refused) {
      const put = this.#next;
      this.#next = null;
      try {
        const { verdict } = await this.#context.store.put(isLater(put) ? await put : put);
        if (verdict === "conflict") this.#refuse(new Error("another run of the same id is there"));
      } catch (error) {
        this.#explain(error);
      }
    }
    this.#writing = null;
  }

  #refuse(reason: Error): void {
    this.#refused = true;
    this.#explain(reason);
  }

  /** Says once why there is no record. */
  #explain(error: unknown): void {
    if (this.#explained) return;
    this.#explained = true;
    const { id, name: taskName } = this.#submission;
    const message = `Task ${id} runs here and its record is not kept: ${toError(error).message}`;
    this.#context.settings.log({ level: "info", message, id, taskName, error });
  }
}
