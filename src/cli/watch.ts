/**
 * Watches how far a task is while somebody waits for its answer.
 *
 * It reads the record a few times a second: only a person who looks at a bar pays for it, so nothing on the wire had
 * to be made for them.
 *
 * @module
 */
import type { RedisTaskQueue } from "../../mod.ts";
import type { ProgressView } from "./progress.ts";

const LOOK_EVERY_MS = 150;

/** Which task to watch and where to show it. */
export interface Watched {
  readonly queue: Pick<RedisTaskQueue, "getTask">;
  readonly id: string;
  readonly label: string;
  readonly view: ProgressView;
}

/** Shows the progress of a task until `answer` settles; returns what `answer` returns. */
export async function watched<T>(answer: Promise<T>, task: Watched): Promise<T> {
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      await showOnce(task);
    } catch {
      // The answer itself will say what is wrong with Redis.
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  try {
    return await answer;
  } finally {
    clearInterval(timer);
    await look();
  }
}

async function showOnce({ queue, id, label, view }: Watched): Promise<void> {
  const task = await queue.getTask(id);
  if (task && task.currentProgress !== null && task.totalProgress !== null) {
    view.show(label, task.currentProgress, task.totalProgress);
  }
}
