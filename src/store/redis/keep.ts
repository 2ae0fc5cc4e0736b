/**
 * What an owner says while it has a task: renew its lease, report its progress, or release it.
 *
 * @module
 */
import type { Ownership, RenewRequest } from "../store.ts";
import { APPEAR, defineScript, OUTLIVE, RECOVERY, REFUSAL, type Script, TEND } from "./script.ts";

/**
 * ARGV: 3 owner, 4 lease ms, 5 presence ms, 6 how many names follow, those names, then id, name, fence an item.
 * Returns three characters an item (`ownerAnswer`); a lease that cannot be written (a wrong type at its key) is no loss
 * of the task: the header names its owner still. Recovers and promotes for the names of its presence (at most 32 a call, from a
 * random one on) and of its items, so that saturated listeners do it too.
 */
export const renewScript: Script = defineScript(
  "renew",
  OUTLIVE + REFUSAL + RECOVERY + TEND + APPEAR + String.raw`
local owner, lease, presence, first = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), 7 + ARGV[6]
local ids, mine, answers = {}, {}, {}
for i = first, #ARGV, 3 do
  ids[#ids + 1] = ARGV[i]
  mine[ARGV[i + 1]] = true
end
if presence > 0 then
  appear(owner, presence, 7, first - 1)
  local count = first - 7
  local from = count > 0 and tonumber(stamp) % count or 0
  for i = 1, math.min(count, 32) do mine[ARGV[7 + (from + i) % count]] = true end
end
local records = recordsOf(ids)
for i = 1, #ids do
  local at = first + (i - 1) * 3
  local r = records[i]
  local no = refusal(r, ARGV[at + 2] .. owner)
  if not no then
    guarded(call, "ZADD", place("lease", ARGV[at + 1]), int(ms + lease), ids[i])
    outlive(ids[i], r, lease)
  end
  answers[i] = no or "a" .. sub(r, 2, 3)
end
local function tendTo(name)
  tend("lease", name)
  tend("scheduled", name)
  if call("LLEN", place("queue", name)) > 0 then ring(name) end
end
for name in pairs(mine) do guarded(tendTo, name) end
conclude()
return answers`,
);

/** ARGV from 3, four an item: id, owner, fence, outcome. Returns three characters an item. */
export const progressScript: Script = defineScript(
  "progress",
  REFUSAL + String.raw`
local ids, answers = {}, {}
for i = 3, #ARGV, 4 do ids[#ids + 1] = ARGV[i] end
local records = recordsOf(ids)
for i = 1, #ids do
  local at = 3 + (i - 1) * 4
  local r = records[i]
  local no = refusal(r, ARGV[at + 2] .. ARGV[at + 1])
  if not no then call("SET", RECORD .. ids[i], sub(r, 1, bodyEnd(r)) .. ARGV[at + 3], "KEEPTTL") end
  answers[i] = no or ("a" .. sub(r, 2, 3))
end
return answers`,
);

/**
 * ARGV: 3 delay ms, then four an item: id, name, owner, fence. Returns three characters an item.
 * Back to the head in the order given: pushed from the last to the first. With a delay, to wait until it is over, or
 * the deadline is, which promotion then sees. The attempt is not counted. The bell tells sleepers of the due time.
 */
export const releaseScript: Script = defineScript(
  "release",
  REFUSAL + String.raw`
local delay, ids, answers = tonumber(ARGV[3]), {}, {}
for i = 4, #ARGV, 4 do ids[#ids + 1] = ARGV[i] end
local records, released = recordsOf(ids), {}

local function release(id, r, name)
  if sub(r, 3, 3) == "1" then
    endings().finish(id, r, "6", sub(r, 41, 52))
    return "6"
  elseif isLate(r) then
    endings().finish(id, r, "7", sub(r, 41, 52))
    return "7"
  end
  local state = delay > 0 and "1" or "2"
  if delay > 0 then
    local deadline = tonumber(sub(r, 57, 69))
    call("ZADD", place("scheduled", name), int(math.min(ms + delay, deadline > 0 and deadline or math.huge)), id)
  else
    call("LPUSH", place("queue", name), id)
  end
  call("SETRANGE", RECORD .. id, 1, state .. sub(r, 3, 5) .. format("%03d", math.max(0, sub(r, 6, 8) - 1)) .. sub(r, 9, 11) ..
    now)
  guarded(ring, name)
  return state
end

for i = #ids, 1, -1 do
  local at = 4 + (i - 1) * 4
  local r = records[i]
  if released[ids[i]] then r = "1" .. released[ids[i]] .. sub(r, 3) end
  local no = refusal(r, ARGV[at + 3] .. ARGV[at + 2])
  local state, failure
  if not no then state, failure = guarded(release, ids[i], r, ARGV[at + 1]) end
  if state then
    released[ids[i]] = state
    guarded(call, "ZREM", place("lease", ARGV[at + 1]), ids[i])
  end
  answers[i] = no or (state and "a" .. state .. sub(r, 3, 3)) or "!" .. failure
end
conclude()
return answers`,
);

/** The words of a renewal. */
export function renewWords(request: RenewRequest): string[] {
  const presence = request.presence;
  return [
    request.owner,
    String(request.lease),
    String(presence?.duration ?? 0),
    String(presence?.names.length ?? 0),
    ...(presence?.names ?? []),
    ...request.tasks.flatMap((task) => [task.id, task.name, task.fence]),
  ];
}

/** The words of a release. */
export function releaseWords(tasks: readonly Ownership[], delay: number): string[] {
  return [String(Math.ceil(delay)), ...tasks.flatMap((task) => [task.id, task.name, task.owner, task.fence])];
}
