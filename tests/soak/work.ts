/**
 * What the tasks of a soak are: planned from their id alone, so that whoever reads an id knows what must come of it.
 *
 * An id is `<seed>.<client slot>.<incarnation>.<number>`; the plan of an id is what its dice say. The result names the
 * id and a sum over the params, so that an answer of another task, or of params that were changed, is seen.
 *
 * @module
 */
import { Dice, hash } from "./random.ts";

/**
 * What a task does. `plain`: returns. `flaky`: throws in its first attempts. `doomed`: throws always. `delayed`: may
 * start later only. `hasty`: has little time, and may expire. `dropped`: is cancelled by its client after a while.
 */
export type WorkKind = "plain" | "flaky" | "doomed" | "delayed" | "hasty" | "dropped";

/** What tasks there are of every ten or so. */
export type Mix = Readonly<Partial<Record<WorkKind, number>>>;

/** What errand is made to do. */
export const FULL_MIX: Mix = { plain: 60, flaky: 12, doomed: 4, delayed: 10, hasty: 7, dropped: 7 };
/** What every queue can do. */
export const COMMON_MIX: Mix = { plain: 72, flaky: 14, doomed: 4, delayed: 10 };

/** All about a task. */
export interface Work {
  readonly id: string;
  readonly kind: WorkKind;
  /** Milliseconds. */
  readonly takes: number;
  /** Flaky: attempts up to this one throw. */
  readonly throws: number;
  readonly maxAttempts: number;
  /** Milliseconds until it may start. */
  readonly delay: number;
  /** Milliseconds that it counts. */
  readonly timeout: number;
  /** Dropped: milliseconds until it is cancelled. */
  readonly dropAfter: number;
  /** Is its answer waited for? */
  readonly asked: boolean;
  /** Handed in by two calls at once: one run, one answer. */
  readonly twice: boolean;
  readonly payload: string;
}

/** The params, as they travel. */
export type WorkParams = Pick<Work, "kind" | "takes" | "throws" | "payload">;

/** No task but the hasty ones ever comes to its deadline. */
const AMPLE = 300_000;
/** How long tasks take, in milliseconds: some of them longer than a lease. */
const RANGES: Readonly<Record<"short" | "middle" | "long", readonly [number, number]>> = {
  short: [0, 50],
  middle: [100, 1_000],
  long: [1_000, 4_000],
};
/** Between attempts, in milliseconds. */
export const BACKOFF = 200;

/** The plan of an id. */
export function planOf(id: string, mix: Mix): Work {
  const dice = new Dice(hash(id), "work");
  const kind = dice.weighed(mix as Record<WorkKind, number>);
  const length = dice.weighed({ short: 60, middle: 30, long: 10 });
  const takes = Math.round(dice.between(...RANGES[kind === "dropped" || kind === "hasty" ? "middle" : length]));
  const bytes = dice.weighed({ small: 70, large: 30 }) === "small" ? 200 : dice.between(1_000, 20_000);
  return {
    ...{ id, kind, takes },
    throws: kind === "flaky" ? dice.of([1, 2]) : 0,
    maxAttempts: kind === "doomed" ? 2 : 9,
    delay: kind === "delayed" ? Math.round(dice.between(500, 3_000)) : 0,
    timeout: kind === "hasty" ? Math.round(dice.between(200, 2_500)) : AMPLE,
    dropAfter: Math.round(dice.between(0, 1_500)),
    // A call that waits has no delay of its own.
    asked: dice.unit() < 0.5 && kind !== "delayed",
    twice: dice.unit() < 0.1,
    payload: "é".repeat(8) + String(Math.floor(dice.unit() * 1e9)).repeat(Math.ceil(bytes / 9)),
  };
}

/** What the handler returns for these params. */
export function resultOf(id: string, { payload, takes }: WorkParams): string {
  return `${id}=${hash(`${payload}/${takes}`)}`;
}

/** What the handler throws on purpose. */
export class PlannedError extends Error {
  /** Always "PlannedError". */
  override readonly name = "PlannedError";

  /** Says which task it was. */
  constructor(id: string) {
    super(`planned: ${id}`);
  }
}

/** Does a task: waits, then returns or throws as planned. Ends early when told to. */
export async function perform(id: string, params: WorkParams, attempt: number, signal?: AbortSignal): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    const stop = () => (clearTimeout(timer), reject(signal!.reason));
    const timer = setTimeout(() => (signal?.removeEventListener("abort", stop), resolve()), params.takes);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
  if (params.kind === "doomed" || (params.kind === "flaky" && attempt <= params.throws)) throw new PlannedError(id);
  return resultOf(id, params);
}
