/** All questions, in the order of the tables. */
import { answered } from "./answered.ts";
import { drained } from "./drained.ts";
import { enqueued } from "./enqueued.ts";
import { flat } from "./flat.ts";
import { idle } from "./idle.ts";
import { load } from "./load.ts";
import { memory } from "./memory.ts";
import type { Question } from "./question.ts";
import { startup } from "./startup.ts";
import { workers } from "./workers.ts";

/** By the name that `--only` uses. */
export const QUESTIONS: Readonly<Record<string, Question>> = {
  ...{ drained, enqueued, answered, flat, idle, memory, startup, workers, load },
};
