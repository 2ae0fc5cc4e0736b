/**
 * What the demo shows, step by step, on a queue and listeners that `demo.ts` has made ready.
 *
 * @module
 */
import process from "node:process";
import { type RedisTaskQueue, TaskExecutePolicy } from "../../mod.ts";
import type { Child } from "./children.ts";
import type { Place, Steps } from "./demo_worker.ts";
import { type Colors, describeError } from "./output.ts";
import { ProgressBars, ProgressLines, type ProgressView } from "./progress.ts";
import type { Shutdown } from "./shutdown.ts";
import { watched } from "./watch.ts";

/** What a story needs to be told. */
export interface StoryContext {
  readonly say: (line: string) => void;
  readonly colors: Colors;
  readonly isTerminal: boolean;
  readonly shutdown: Shutdown;
  readonly names: readonly string[];
}

/** The steps of the demo. */
export class DemoStory {
  readonly #context: StoryContext;
  readonly #summary: string[] = [];

  /** Prepares a story. */
  constructor(context: StoryContext) {
    this.#context = context;
  }

  /** Tells it. Without listener processes one listener runs in this process, and nobody is killed. */
  async run(queue: RedisTaskQueue, listeners: readonly Child[]): Promise<void> {
    const own = listeners.length === 0 ? this.#listenHere(queue) : undefined;
    const pids = listeners.map((listener) => listener.pid).join(" and ");
    this.#context.say(`This process: pid ${process.pid}. Listeners: ${pids || "in this process"}`);
    await this.#progress(queue);
    await this.#policies(queue);
    await this.#failure(queue);
    await this.#crash(queue, listeners);
    await own?.stop();
    this.#chapter("Summary");
    for (const line of this.#summary) this.#context.say(`  ${this.#context.colors.green("ok")} ${line}`);
  }

  #listenHere(queue: RedisTaskQueue): { stop: () => Promise<void> } {
    const controller = new AbortController();
    const listening = queue.listen(this.#context.names, { workers: 4, signal: controller.signal });
    return {
      stop: async () => {
        controller.abort();
        await listening;
      },
    };
  }

  async #progress(queue: RedisTaskQueue): Promise<void> {
    this.#chapter("Tasks with progress, done by the listeners");
    const places = await this.#withView((view) =>
      Promise.all([24, 16, 32].map((steps, index) => this.#render(queue, view, `picture-${index + 1}`, steps)))
    );
    const where = [...new Set(places.map((place) => place.pid))].join(" and ");
    this.#summary.push(`3 tasks reported their progress from pid ${where} and were answered here`);
  }

  #render(queue: RedisTaskQueue, view: ProgressView, id: string, steps: number): Promise<Place> {
    const params: Steps = { steps, stepMs: 80 };
    const answer = queue.query(id, "render", params, { policy: TaskExecutePolicy.Remote });
    return watched(answer as Promise<Place>, { queue, id, label: id, view });
  }

  async #policies(queue: RedisTaskQueue): Promise<void> {
    this.#chapter("The five policies: where does a task run?");
    for (const [name, policy] of Object.entries(TaskExecutePolicy)) {
      const place = await queue.query(`policy-${name}`, "whereami", null, { policy }) as Place;
      this.#context.say(
        `  ${name.padEnd(12)} ${place.pid === process.pid ? "here" : "at a listener"} (pid ${place.pid})`,
      );
    }
    this.#summary.push("5 policies decided where a task runs");
  }

  async #failure(queue: RedisTaskQueue): Promise<void> {
    this.#chapter("A task that fails at a listener");
    try {
      await queue.query("divide-1", "divide", { by: 0 }, { policy: TaskExecutePolicy.Remote });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#context.say(`  its error arrives as itself: ${this.#context.colors.red(describeError(error))}`);
      this.#context.say(`  with its cause: ${describeError(error.cause)}`);
      this.#summary.push("1 task failed, and its caller got the error itself");
      return;
    }
    throw new Error("The task that divides by 0 did not fail");
  }

  async #crash(queue: RedisTaskQueue, listeners: readonly Child[]): Promise<void> {
    this.#chapter("A listener is killed with -9 in the middle of a task");
    if (listeners.length < 2) {
      this.#context.say("  left out: the memory store has no other processes that could be killed");
      return;
    }
    const { place, killed } = await this.#withView((view) => this.#killWhileRendering(queue, listeners, view));
    if (place.pid === killed) throw new Error(`The killed listener ${killed} cannot have finished the task`);
    this.#context.say(
      `  finished by the other listener (pid ${place.pid}, attempt ${place.attempt}) once the lease ended`,
    );
    this.#summary.push(`1 task outlived its listener: pid ${killed} was killed, pid ${place.pid} finished it`);
  }

  async #killWhileRendering(
    queue: RedisTaskQueue,
    listeners: readonly Child[],
    view: ProgressView,
  ): Promise<{ place: Place; killed: number }> {
    const answer = this.#render(queue, view, "long-picture", 30);
    answer.catch(() => {}); // It is awaited below; until then a failure must not count as unhandled.
    const victim = await Promise.any(
      listeners.map((child) => child.matches(/began long-picture/).then(() => child)),
    );
    const halfway = async (): Promise<boolean> => ((await queue.getTask("long-picture"))?.currentProgress ?? 0) >= 10;
    while (!await halfway()) await new Promise((resolve) => setTimeout(resolve, 50));
    await victim.crash();
    if (!this.#context.isTerminal) this.#context.say(`  kill -9 ${victim.pid}`);
    return { place: await answer, killed: victim.pid };
  }

  async #withView<T>(use: (view: ProgressView) => Promise<T>): Promise<T> {
    const { isTerminal, say } = this.#context;
    const view = isTerminal ? new ProgressBars(process.stdout) : new ProgressLines(say);
    try {
      return await use(view);
    } finally {
      view.stop();
    }
  }

  #chapter(title: string): void {
    this.#context.shutdown.signal.throwIfAborted();
    this.#context.say(`\n${this.#context.colors.bold(title)}`);
  }
}
