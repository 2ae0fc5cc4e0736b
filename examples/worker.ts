/**
 * A module for the command line: its default export is what listeners run.
 *
 *     errand listen examples/worker.ts --names resize,greet --prefix demo --workers 8
 *     errand query greet --id greet-1 --params '{"who":"world"}' --prefix demo
 *
 * @module
 */
import type { RedisTask } from "../mod.ts";

/** The params of `resize`. */
interface Resize {
  readonly images: readonly string[];
}

/** Names → functions. Each gets the task: its `params`, its `signal`, and `update` to say how far it is. */
export default {
  greet(task: RedisTask<{ readonly who: string }>): string {
    return `hello ${task.params.who}`;
  },

  async resize(task: RedisTask<Resize>): Promise<number> {
    const { images } = task.params;
    for (let done = 0; done < images.length; done++) {
      task.signal.throwIfAborted(); // cancelled, out of time, or the listener stops
      await task.update(done + 1, images.length);
    }
    return images.length;
  },
};
