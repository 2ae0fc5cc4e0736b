/**
 * `errand dead …` and `errand counts`: what failed for good, and how much there is of everything.
 *
 * One line of JSON a letter, so that `jq` and people can read it.
 *
 * @module
 */
import { buildCommand, buildRouteMap, type Command, type RouteMap } from "@stricli/core";
import type { DeadChange, DeadLetter, RedisTaskQueue } from "../../mod.ts";
import { type CliContext, type QueueFlags, queueFlags, withQueue } from "./context.ts";
import { CliError, EXIT, exitCodeHelp, usageError } from "./exit_codes.ts";
import { parseCount, parseName } from "./parse.ts";
import { plainTask } from "./raw_record.ts";

interface ListFlags extends QueueFlags {
  readonly limit: number;
  readonly offset: number;
}

interface ShowFlags extends QueueFlags {
  readonly name: string;
}

interface ChangeFlags extends QueueFlags {
  readonly name?: string;
  readonly all: boolean;
}

const nameParameter = { brief: "Name of the tasks", parse: parseName, placeholder: "name" } as const;
const idParameter = { brief: "Ids of the tasks", parse: parseName, placeholder: "id" } as const;
const nameFlag = { kind: "parsed", parse: parseName, placeholder: "name", brief: "Name under which it died" } as const;
const allFlag = {
  kind: "boolean",
  default: false,
  withNegated: false,
  brief: "All that are there now under --name",
} as const;

/** The command `counts`. */
export const countsCommand: Command<CliContext> = buildCommand<QueueFlags, [string], CliContext>({
  func: counts,
  parameters: { flags: queueFlags, positional: { kind: "tuple", parameters: [nameParameter] } },
  docs: { brief: "Count the tasks of a name: queued, scheduled, running, dead, done", fullDescription: exitCodeHelp() },
});

/** The commands `dead list`, `dead show`, `dead requeue` and `dead delete`. */
export const deadCommands: RouteMap<CliContext> = buildRouteMap({
  routes: {
    list: buildCommand<ListFlags, [string], CliContext>({
      func: list,
      parameters: {
        flags: {
          ...queueFlags,
          limit: {
            kind: "parsed",
            parse: parseCount,
            default: "20",
            placeholder: "n",
            brief: "At most so many, to 100",
          },
          offset: {
            kind: "parsed",
            parse: parseOffset,
            default: "0",
            placeholder: "n",
            brief: "Leave out the newest n",
          },
        },
        positional: { kind: "tuple", parameters: [nameParameter] },
      },
      docs: { brief: "Print the dead letters of a name, the newest first, a line of JSON each" },
    }),
    show: buildCommand<ShowFlags, [string], CliContext>({
      func: show,
      parameters: {
        flags: { ...queueFlags, name: nameFlag },
        positional: { kind: "tuple", parameters: [idParameter] },
      },
      docs: { brief: "Print one dead letter: its params, its error, all its attempts; or its bytes" },
    }),
    requeue: buildCommand<ChangeFlags, string[], CliContext>({
      func: requeue,
      parameters: changeParameters(),
      docs: { brief: "Queue dead letters again: each starts anew with its first attempt, without a deadline" },
    }),
    delete: buildCommand<ChangeFlags, string[], CliContext>({
      func: remove,
      parameters: changeParameters(),
      docs: { brief: "Delete dead letters; --name is needed for one that cannot be read" },
    }),
  },
  docs: { brief: "Look at the tasks that failed for good, queue them again, or delete them" },
});

function changeParameters() {
  return {
    flags: { ...queueFlags, name: { ...nameFlag, optional: true }, all: allFlag },
    positional: { kind: "array", parameter: idParameter },
  } as const;
}

async function counts(this: CliContext, flags: QueueFlags, name: string): Promise<void> {
  await withQueue(
    this,
    flags,
    {},
    async (queue) => this.output.result(await queue.counts(name), `the counts of ${name}`),
  );
}

async function list(this: CliContext, { limit, offset, ...flags }: ListFlags, name: string): Promise<void> {
  await withQueue(this, flags, {}, async (queue) => {
    for (const letter of await queue.dead.list(name, { limit: Math.min(limit, 100), offset })) {
      const { id, diedAt, task, raw } = letter;
      const error = task?.error && { name: task.error.name, message: task.error.message };
      this.output.result({ id, diedAt, attempts: task?.attempt, error, raw: raw ?? undefined }, `dead letter ${id}`);
    }
  });
}

async function show(this: CliContext, { name, ...flags }: ShowFlags, id: string): Promise<void> {
  await withQueue(this, flags, {}, async (queue) => {
    const letter = await find(queue, name, id);
    if (letter === undefined) {
      throw new CliError(EXIT.unknownId, `Cannot find the dead letter "${id}" under the name "${name}"`);
    }
    const { diedAt, task, raw } = letter;
    // Params that cannot be read here are shown as Redis holds them.
    if (task !== null && raw !== null) Object.defineProperty(task, "params", { value: raw, enumerable: true });
    const shown = task === null ? { id, name, raw } : { ...plainTask(task), attempts: task.attempts };
    this.output.result({ ...shown, diedAt }, `dead letter ${id}`);
  });
}

/** Page by page: a letter is known by its place only. */
async function find(queue: RedisTaskQueue, name: string, id: string): Promise<DeadLetter | undefined> {
  for (let offset = 0;;) {
    const page = await queue.dead.list(name, { offset });
    const found = page.find((letter) => letter.id === id);
    if (found !== undefined || page.length === 0) return found;
    offset += page.length;
  }
}

async function requeue(this: CliContext, flags: ChangeFlags, ...ids: string[]): Promise<void> {
  await change(this, flags, ids, {
    all: (queue, name) => queue.dead.requeueAll(name),
    some: (queue) => queue.dead.requeue(ids),
  });
}

async function remove(this: CliContext, flags: ChangeFlags, ...ids: string[]): Promise<void> {
  const { name } = flags;
  await change(this, flags, ids, {
    all: (queue, of) => queue.dead.removeAll(of),
    some: (queue) => queue.dead.remove(ids, name === undefined ? {} : { name }),
  });
}

interface Change {
  all(queue: RedisTaskQueue, name: string): Promise<number>;
  some(queue: RedisTaskQueue): Promise<DeadChange>;
}

async function change(context: CliContext, flags: ChangeFlags, ids: readonly string[], how: Change): Promise<void> {
  const { name, all, ...rest } = flags;
  if (all !== (ids.length === 0)) {
    throw usageError("Name the ids, or say --all --name NAME for all of a name, not both");
  }
  if (all && name === undefined) {
    throw usageError("Say of which name with --name: all dead letters are those of one name");
  }
  await withQueue(context, rest, {}, async (queue) => {
    if (all) return context.output.result({ done: await how.all(queue, name!) }, "what was done");
    const { done, refused } = await how.some(queue);
    context.output.result({ done: done.length, refused }, "what was done");
    if (refused.length === 0) return;
    const list = refused.map(({ id, state }) => `"${id}" (${state ?? "unknown"})`).join(", ");
    throw new CliError(EXIT.unknownId, `No dead letters that this can be done to: ${list}`);
  });
}

function parseOffset(text: string): number {
  return text === "0" ? 0 : parseCount(text);
}
