/**
 * The flags of commands that hand a task in: its id and its params.
 *
 * @module
 */
import type { FlagParametersForType } from "@stricli/core";
import { type JsonValue, parseJson, parseName } from "./parse.ts";

/** What a task is handed in with. */
export interface TaskFlags {
  readonly id?: string;
  readonly params?: JsonValue;
}

/** These flags as stricli wants them. */
export const taskFlags: FlagParametersForType<TaskFlags> = {
  id: {
    kind: "parsed",
    parse: parseName,
    optional: true,
    placeholder: "id",
    brief: "Id of the task: the same id again gets the same answer; a new one unless given",
  },
  params: { kind: "parsed", parse: parseJson, optional: true, placeholder: "json", brief: "Params of the task" },
};
