/**
 * Complete and fail: the one way a running task ends by its owner's word, or waits for its next attempt.
 *
 * Fence and owner name the ownership: both match and it runs, accepted; it ended under them, kept; else lost.
 *
 * Previous: `claim.ts`. Next: the caller's inbox (`../../inbox.ts`).
 *
 * @module
 */
import type { Failure, Ownership } from "../store.ts";
import { defineScript, type Script } from "./script.ts";

/**
 * ARGV from 3, seven an item: id, name, owner, fence, state digit, ms until the next attempt or empty, outcome.
 * Returns three characters an item (`ownerAnswer`), or `!` and an error.
 */
export const finishScript: Script = defineScript(
  "finish",
  String.raw`
local WIDTH = 7
local ids = {}
for i = 3, #ARGV, WIDTH do ids[#ids + 1] = ARGV[i] end
local records, ended, left = recordsOf(ids), {}, {}

local function retry(id, r, name, wait, outcome)
  local due = ms + wait
  local deadline = tonumber(sub(r, 57, 69))
  if deadline > 0 and due >= deadline then return false end
  call("ZADD", place("scheduled", name), int(due), id)
  call("SET", recordKey(id), "11" .. sub(r, 3, 11) .. now .. sub(r, 25, 52) ..
    sub(r, 53, bodyEnd(r)) .. outcome, "KEEPTTL")
  guarded(ring, name)
  return true
end

local function settle(id, r, name, state, wait, outcome)
  local isCancelled = sub(r, 3, 3) == "1" and state == "5"
  if isCancelled then state = "6" end
  if wait ~= "" and not isCancelled and retry(id, r, name, tonumber(wait), outcome) then state = "1"
  else finish(id, r, state, sub(r, 41, 52), outcome) end
  left[name] = left[name] or {}
  table.insert(left[name], id)
  ended[id] = state
  return "a" .. state .. sub(r, 3, 3)
end

local answers = {}
for i = 1, #ids do
  local at = 3 + (i - 1) * WIDTH
  local id = ids[i]
  local r = records[i]
  if ended[id] then r = "1" .. ended[id] .. sub(r, 3) end
  local no = refusal(r, ARGV[at + 3], ARGV[at + 2])
  if no then answers[i] = no
  else
    local answer, failure = guarded(settle, id, r, ARGV[at + 1], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6])
    answers[i] = answer or "!" .. failure
  end
end
-- The old places last. A lease entry that cannot be removed is a dead hint.
for name, done in pairs(left) do guarded(call, "ZREM", place("lease", name), unpack(done)) end
conclude()
return answers`,
);

const DIGITS = { failed: "5", cancelled: "6", expired: "7" } as const;

/** The words of a completion. */
export function completeItem(task: Ownership, outcome: string): string[] {
  return [task.id, task.name, task.owner, task.fence, "4", "", outcome];
}

/** The words of a failure. */
export function failItem(task: Ownership, failure: Failure): string[] {
  const wait = failure.retryIn === undefined ? "" : String(Math.ceil(failure.retryIn));
  return [task.id, task.name, task.owner, task.fence, DIGITS[failure.state], wait, failure.outcome];
}
