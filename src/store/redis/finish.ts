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
import { defineScript, REFUSAL, type Script } from "./script.ts";

/**
 * ARGV from 3, four an item: id, ownership (fence and owner), state digit and behind it the ms until the next attempt
 * or nothing, outcome. Few words, as each costs as much as a command's fifth.
 * Returns three characters an item (`ownerAnswer`), or `!` and an error.
 */
export const finishScript: Script = defineScript(
  "finish",
  REFUSAL + String.raw`
local WIDTH = 4
local ids = {}
for i = 3, #ARGV, WIDTH do ids[#ids + 1] = ARGV[i] end
local records, ended, left = recordsOf(ids), {}, {}
local finish = endings().finish

local function settle(id, r, way, outcome)
  local name, state, isAsked = nil, sub(way, 1, 1), sub(r, 3, 3)
  local due = #way > 1 and ms + sub(way, 2)
  if isAsked == "1" and state == "5" then state = "6"
  elseif due and (sub(r, 57, 69) == "0000000000000" or due < tonumber(sub(r, 57, 69))) then state = "1" end
  if state == "1" then
    name = nameOf(r)
    call("ZADD", place("scheduled", name), int(due), id)
    call("SET", RECORD .. id, "11" .. sub(r, 3, 11) .. now .. sub(r, 25, bodyEnd(r)) .. outcome, "KEEPTTL")
    guarded(ring, name)
  else name = finish(id, r, state, nil, outcome) end
  local done = left[name]
  if done then done[#done + 1] = id else left[name] = { id } end
  ended[id] = state
  return "a" .. state .. isAsked
end

local answers = {}
for i = 1, #ids do
  local at = 3 + (i - 1) * WIDTH
  local id, r = ids[i], records[i]
  if ended[id] then r = "1" .. ended[id] .. sub(r, 3) end
  local answer, failure = refusal(r, ARGV[at + 1]), nil
  if not answer then answer, failure = guarded(settle, id, r, ARGV[at + 2], ARGV[at + 3]) end
  answers[i] = answer or "!" .. failure
end
-- The old places last. A lease entry that cannot be removed is a dead hint.
for name, done in pairs(left) do guarded(call, "ZREM", place("lease", name), unpack(done)) end
conclude()
return answers`,
);

const DIGITS = { failed: "5", cancelled: "6", expired: "7" } as const;

/** The words of a completion. */
export function completeItem(task: Ownership, outcome: string): string[] {
  return [task.id, task.fence + task.owner, "4", outcome];
}

/** The words of a failure. */
export function failItem(task: Ownership, failure: Failure): string[] {
  const wait = failure.retryIn === undefined ? "" : String(Math.ceil(failure.retryIn));
  return [task.id, task.fence + task.owner, DIGITS[failure.state] + wait, failure.outcome];
}
