/**
 * Tasks whose params were written with a serializer that is not known here. In a fleet that is being changed another
 * listener may have it, so such a task does not fail: it is given back, uncounted, and waits a while before anybody
 * looks at it again. The log says so once per name and serializer, for as long as this listener lives.
 *
 * The wait is half an interval to a whole one. It ends before our own next look at the queue, and giving back rings
 * the bell, so that a listener which has slept longer than we have gets the first turn.
 *
 * Previous: `attempt.ts`. Next: `serializer.ts`.
 *
 * @module
 */
import { SerializationError } from "./errors.ts";
import { type Log, safeLog } from "./log.ts";
import { type Random, systemRandom } from "./random.ts";
import type { TaskRecord } from "./record.ts";
import { type Codecs, isSerializerName, serializerOf } from "./serializer.ts";

/** What cannot be read, why, and for how many milliseconds it is left to others. */
export interface UnreadableTask {
  readonly error: SerializationError;
  readonly delay: number;
}

/** The tasks that one owner could not read. */
export class Unreadable {
  readonly #log: Log;
  readonly #interval: number;
  readonly #random: Random;
  readonly #told = new Set<string>();

  /** `interval`: milliseconds between two looks of an idle listener. */
  constructor({ log, interval, random = systemRandom }: { log: Log; interval: number; random?: Random }) {
    this.#log = safeLog(log);
    this.#interval = interval;
    this.#random = random;
  }

  /** What stands against reading these params here; null when nothing does, and when nobody could read them. */
  find(record: TaskRecord, serializers: Codecs["serializers"]): UnreadableTask | null {
    if (record.kind === "foreign") return null;
    const serializer = serializerOf(record.params);
    if (serializers.has(serializer) || !isSerializerName(serializer)) return null;
    const error = new SerializationError(
      `Cannot run task ${record.id} here: its params were written with the serializer "${serializer}", and there is ` +
        `only ${[...serializers.keys()].join(", ")}; give the queue the other in its option "serializers"`,
    );
    this.#tell(record, serializer, error);
    return { error, delay: Math.ceil(this.#interval * (0.5 + this.#random.unit() / 2)) };
  }

  #tell({ id, name: taskName }: TaskRecord, serializer: string, error: SerializationError): void {
    const key = `${serializer} ${taskName}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    const message = `${error.message}. Tasks "${taskName}" of this kind are left to other listeners`;
    this.#log({ level: "warn", message, id, taskName });
  }
}
