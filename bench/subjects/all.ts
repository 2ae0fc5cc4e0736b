/** All that is measured, and where it runs. */
import type { Open } from "./subject.ts";
import { openBeeQueue } from "./bee_queue.ts";
import { openBullMq, openBullMqOnBun } from "./bullmq.ts";
import { openErrand, openErrandOnManyNames } from "./errand.ts";
import { openFloor } from "./floor.ts";
import { openJobQueue } from "./job_queue.ts";

/** A runtime; "node22" is the newer Node of `tools/`, for what does not run on Node 20. */
export type Runtime = "bun" | "deno" | "node" | "node22";

/** All of them. */
export const RUNTIMES: readonly Runtime[] = ["bun", "node", "node22", "deno"];

/** One library with one client. */
export interface Subject {
  readonly open: Open;
  /** Where it runs. */
  readonly on: readonly Runtime[];
  /** The library, where two of its clients are measured. */
  readonly library: string;
}

/** By the name that the tables and `--peers` use. */
export const SUBJECTS: Readonly<Record<string, Subject>> = {
  "errand": { open: openErrand, on: ["bun", "node", "deno"], library: "errand" },
  "bullmq": { open: openBullMq, on: ["bun", "node", "deno"], library: "bullmq" },
  "bullmq-bun": { open: openBullMqOnBun, on: ["bun"], library: "bullmq" },
  "bee-queue": { open: openBeeQueue, on: ["bun", "node", "deno"], library: "bee-queue" },
  "job-queue": { open: openJobQueue, on: ["node22"], library: "job-queue" },
  "floor": { open: openFloor, on: ["bun", "node", "deno"], library: "floor" },
};

/** Of which only errand's own questions ask. */
const OWN: Readonly<Record<string, Subject>> = {
  "errand on 100 names": { open: openErrandOnManyNames, on: ["bun", "node", "deno"], library: "errand" },
};

/** What a measured process may be told to be. */
export const ALL_SUBJECTS: Readonly<Record<string, Subject>> = { ...SUBJECTS, ...OWN };
