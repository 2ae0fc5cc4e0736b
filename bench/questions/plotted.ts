/** The cells of a curve: every queue once, on the runtime where it is at its best or which it is bound to. */
import type { Runtime } from "../subjects/all.ts";
import type { Cell, Settings } from "./question.ts";

const ON: Readonly<Record<string, Runtime>> = {
  ...{ "errand": "bun", "bullmq-bun": "bun", "bee-queue": "node", "job-queue": "node22", "floor": "bun" },
};

/** One cell for every queue that was asked for and every place on the axis. */
export function plotted(question: string, places: readonly string[], { subjects, runtimes, aof }: Settings): Cell[] {
  return places.flatMap((mode) =>
    subjects.flatMap((subject): Cell[] => {
      const runtime = ON[subject];
      return runtime !== undefined && runtimes.includes(runtime) ? [{ question, mode, subject, runtime, aof }] : [];
    })
  );
}
