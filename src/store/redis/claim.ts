/**
 * Claim: a listener takes as many tasks as it has free workers, under leases and one fence.
 *
 * 1. The same sequence again is a replay: the tasks it still owns, with new leases. A lower one does nothing.
 * 2. Expired leases go back, due tasks come forward (`RECOVERY` in `script.ts`).
 * 3. Hints at the head of the lists count only where the record agrees; the others are dropped. One of a record that
 *    cannot be read is set aside; one of a later version goes to the tail, for listeners that can read it.
 * 4. Written in this order: leases, replay record, headers; the hints go last (protocol rule 2).
 *
 * Rejected: `BLPOP` or `BLMOVE` of ids. Whatever leaves Redis in a blocking answer is lost with that answer.
 *
 * Previous: `enqueue.ts`. Next: `finish.ts`.
 *
 * @module
 */
import { decodeRecord, digits } from "../../record.ts";
import type { Reply } from "../../port/redis.ts";
import type { ClaimAnswer, ClaimRequest } from "../store.ts";
import { withForeignDeadline } from "../foreign.ts";
import { defineScript, RECOVERY, type Script } from "./script.ts";

/**
 * ARGV: 3 listener, 4 sequence (10 digits), 5 free, 6 lease ms, 7 presence ms (0 = leave it), 8 how many names follow
 * for presence, those names, then the names to look at.
 * Returns {ms until the next due task or -1, names left at a bound, ids set aside, id, record, id, record, …}.
 */
export const claimScript: Script = defineScript(
  "claim",
  RECOVERY + String.raw`
local listener, sequence, free, lease = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local presence, firstName = tonumber(ARGV[7]), 9 + ARGV[8]
local replayKey = base .. "|task-listener|" .. listener
local BYTES_MAX, TASKS_MAX, STEP, STEPS_MAX = 262144, 128, 128, 256
local most = math.min(free, TASKS_MAX)
local answer = { "-1", {}, aside }

if presence > 0 then appear(listener, presence, 9, firstName - 1) end

local function replayed(last)
  local fence, ids, at = sub(last, 11, 26), {}, 27
  while at <= #last do
    local colon = string.find(last, ":", at, true)
    local length = tonumber(sub(last, at, colon - 1))
    ids[#ids + 1] = sub(last, colon + 1, colon + length)
    at = colon + 1 + length
  end
  local records = recordsOf(ids)
  for i, r in ipairs(records) do
    if isRecord(r) and isOwned(r, fence, listener) and sub(r, 2, 2) == "3" then
      call("ZADD", place("lease", nameOf(r)), int(ms + lease), ids[i])
      outlive(ids[i], r, lease)
      answer[#answer + 1] = ids[i]
      answer[#answer + 1] = r
    end
  end
end

-- A bare JSON task of another program gets its header from the list that it stood in.
local function adopt(r, name)
  return "12000000000" .. now .. "0000000000000000" .. NO_OWNER .. "f0010000000000000" .. "0000300000" ..
    sub(format("%-12s", "foreign"), 1, 12) .. "00000000" .. format("%03d", #name) .. "0000" .. format("%08d", #r) .. name .. r
end

local taken, bytes, fenceMin = {}, 0, 0
local seen, trims, adopted, moved = {}, {}, {}, {}

-- One hint: taken, moved to the tail, set aside, or dead and dropped.
local function look(id, r, name)
  if isBare(r) then
    r = adopt(r, name)
    adopted[id] = r
  end
  if not isRecord(r) then
    if not isNewer(r) then return setAside(id, r, name) end
    if seen[id] then return end
    seen[id] = true
    moved[name] = moved[name] or {}
    return table.insert(moved[name], id)
  end
  if sub(r, 2, 2) ~= "2" or nameOf(r) ~= name or seen[id] then return end
  seen[id] = true
  if isLate(r) then return finish(id, r, "7", NO_OWNER) end
  taken[#taken + 1] = { id = id, r = r, name = name }
  bytes = bytes + #r
  fenceMin = math.max(fenceMin, tonumber(sub(r, 25, 40)))
end

-- Reads the head of one list step by step; large bodies make the steps small. True when hints may be left that
-- are worth another look at once.
local function gather(name)
  local key, at, step, steps = place("queue", name), 0, 8, 0
  if most - #taken > 8 and bytes == 0 then step = 16 end
  while #taken < most and bytes < BYTES_MAX and steps < STEPS_MAX do
    local want = math.min(step, most - #taken, STEPS_MAX - steps)
    local ids = call("LRANGE", key, at, at + want - 1)
    local records = recordsOf(ids)
    for i = 1, #ids do look(ids[i], records[i], name) end
    at, steps = at + #ids, steps + #ids
    if at > 0 then trims[name] = at end
    if #ids < want then return false end
    if bytes < 2048 * #taken + 1 then step = STEP end
  end
  return #taken > 0 or not moved[name]
end

local function earliest(a, b)
  if not a or (b and b < a) then return b end
  return a
end

local function sign(fence)
  local leases = {}
  for _, task in ipairs(taken) do
    local list = leases[task.name] or {}
    leases[task.name] = list
    list[#list + 1] = int(ms + lease)
    list[#list + 1] = task.id
  end
  for name, list in pairs(leases) do call("ZADD", place("lease", name), unpack(list)) end
  local ids = {}
  for i, task in ipairs(taken) do ids[i] = #task.id .. ":" .. task.id end
  call("SET", replayKey, sequence .. fence .. table.concat(ids), "PX", int(math.max(60000, 2 * lease)))
  for _, task in ipairs(taken) do
    local r = task.r
    local front = "3" .. sub(r, 3, 5) .. format("%03d", sub(r, 6, 8) + 1) .. sub(r, 9, 11) .. now .. fence .. listener
    if adopted[task.id] then call("SET", recordKey(task.id), "1" .. front .. sub(r, 53))
    else call("SETRANGE", recordKey(task.id), 1, front) end
    outlive(task.id, r, lease)
    answer[#answer + 1] = task.id
    answer[#answer + 1] = "1" .. front .. sub(r, 53)
  end
end

local function claim()
  local next, left = nil, {}
  for i = firstName, #ARGV do
    local name = ARGV[i]
    next = earliest(next, recover(name))
    next = earliest(next, promote(name))
    if #taken >= most or gather(name) then left[#left + 1] = name end
  end
  if next then answer[1] = int(math.max(0, next - ms)) end
  if #taken > 0 then sign(newFence(fenceMin))
  else call("SET", replayKey, sequence .. "0000000000000000", "PX", int(math.max(60000, 2 * lease))) end
  for name, ids in pairs(moved) do call("RPUSH", place("queue", name), unpack(ids)) end
  for name, count in pairs(trims) do call("LTRIM", place("queue", name), count, -1) end
  for _, name in ipairs(left) do
    if call("LLEN", place("queue", name)) > 0 then
      if #taken >= free then guarded(ring, name) else table.insert(answer[2], name) end
    end
  end
end

local last = call("GET", replayKey)
if last and sub(last, 1, 10) == sequence then replayed(last)
elseif not last or sub(last, 1, 10) < sequence then claim() end
conclude()
return answer`,
);

/** The words of a claim. */
export function claimWords(request: ClaimRequest): string[] {
  const presence = request.presence;
  return [
    request.listener,
    digits(request.sequence, 10),
    String(request.free),
    String(request.lease),
    String(presence?.duration ?? 0),
    String(presence?.names.length ?? 0),
    ...(presence?.names ?? []),
    ...request.names,
  ];
}

/** Reads what a claim brought. */
export function claimAnswer(reply: Reply): ClaimAnswer {
  const [nextIn, more, aside, ...pairs] = reply as [string, string[], string[], ...string[]];
  const tasks = [];
  for (let i = 0; i < pairs.length; i += 2) tasks.push(withForeignDeadline(decodeRecord(pairs[i]!, pairs[i + 1]!)));
  return { tasks, more, aside, nextIn: nextIn === "-1" ? null : Number(nextIn) };
}
