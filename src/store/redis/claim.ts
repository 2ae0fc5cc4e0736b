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
import { APPEAR, defineScript, RECOVERY, type Script } from "./script.ts";

/**
 * ARGV: 3 listener, 4 sequence (10 digits), 5 free, 6 lease ms, 7 presence ms (0 = leave it), 8 how many names follow
 * for presence, those names, then the names to look at.
 * Returns {ms until the next due task or -1, names left at a bound, ids set aside, id, head, record, id, head, …}.
 * `head` takes the place of the record's first 52 bytes: a record is not cut and joined here, as that costs a new
 * string of its whole length.
 */
export const claimScript: Script = defineScript(
  "claim",
  RECOVERY + String.raw`
local listener, sequence, free, lease = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local presence, firstName = tonumber(ARGV[7]), 9 + ARGV[8]
local replayKey = base .. "|task-listener|" .. listener
local BYTES_MAX, TASKS_MAX, STEP, STEPS_MAX = 262144, 128, 128, 256
local most = free < TASKS_MAX and free or TASKS_MAX
local replayLife = lease > 30000 and int(2 * lease) or "60000"
local answer = { "-1", {}, aside }

if presence > 0 then
${APPEAR}
  appear(listener, presence, 9, firstName - 1)
end

local function give(id, head, r)
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3] = id, head, r
end

local function replayed(last)
  local fence, ids, at = sub(last, 11, 26), {}, 27
  while at <= #last do
    local colon = find(last, ":", at, true)
    local length = tonumber(sub(last, at, colon - 1))
    ids[#ids + 1] = sub(last, colon + 1, colon + length)
    at = colon + 1 + length
  end
  local records = recordsOf(ids)
  for i, r in ipairs(records) do
    if not refusal(r, fence .. listener) then
      call("ZADD", place("lease", nameOf(r)), int(ms + lease), ids[i])
      outlive(ids[i], r, lease)
      give(ids[i], sub(r, 1, 52), r)
    end
  end
end

-- A bare JSON task of another program gets its header from the list that it stood in.
local function adopt(r, name)
  return "12000000000" .. now .. "0000000000000000" .. NO_OWNER .. "f0010000000000000" .. "0000300000" ..
    sub(format("%-12s", "foreign"), 1, 12) .. "00000000" .. format("%03d", #name) .. "0000" .. format("%08d", #r) .. name .. r
end

-- What is taken: its name, key and record, in the order of ids; by name what else there is to write.
local ids, names, keys, taken, bytes, lastFence = {}, {}, {}, {}, 0, "0000000000000000"
local seen, adopted, leases, trims, moved = {}, {}, {}, {}, {}

local function take(id, key, r, name)
  if seen[id] then return end
  seen[id] = true
  if isLate(r) then return endings().finish(id, r, "7", NO_OWNER) end
  local at = #ids + 1
  ids[at], names[at], keys[at], taken[at] = id, name, key, r
  bytes = bytes + #r
  local fence = sub(r, 25, 40)
  if fence > lastFence then lastFence = fence end
end

-- A hint that is none of a queued record: a bare task is taken, one of a later version moved to the tail, one that
-- cannot be read set aside; all others are dead and dropped.
local function lookAgain(id, key, r, name)
  if not r or isRecord(r) then return end
  if isBare(r) then
    r = adopt(r, name)
    if isRecord(r) then
      adopted[key] = r
      return take(id, key, r, name)
    end
  end
  if not recoveries().isNewer(r) then return recoveries().setAside(id, r, name) end
  if seen[id] then return end
  seen[id] = true
  moved[name] = moved[name] or {}
  table.insert(moved[name], id)
end

-- Reads the head of one list step by step; large bodies make the steps small. True when hints may be left that
-- are worth another look at once.
local function gather(name)
  local list, at, step, steps = place("queue", name), 0, 8, 0
  local width, nameEnd = format("%03d", #name), 114 + #name
  if most - #ids > 8 and bytes == 0 then step = 16 end
  while #ids < most and bytes < BYTES_MAX and steps < STEPS_MAX do
    local want = math.min(step, most - #ids, STEPS_MAX - steps)
    local found = call("LRANGE", list, at, at + want - 1)
    local records, itsKeys = recordsOf(found)
    for i = 1, #found do
      local r = records[i]
      local isWaiting = isRecord(r) and sub(r, 2, 2) == "2" and sub(r, 100, 102) == width and sub(r, 115, nameEnd) == name
      if isWaiting then take(found[i], itsKeys[i], r, name) else lookAgain(found[i], itsKeys[i], r, name) end
    end
    at, steps = at + #found, steps + #found
    if at > 0 then trims[name] = at end
    if #found < want then return false end
    if bytes < 2048 * #ids + 1 then step = STEP end
  end
  return #ids > 0 or not moved[name]
end

local function sign(fence)
  local untilThen, replay = int(ms + lease), { sequence, fence }
  for i = 1, #ids do
    local list = leases[names[i]]
    if not list then
      list = {}
      leases[names[i]] = list
    end
    local at = #list
    list[at + 1], list[at + 2] = untilThen, ids[i]
    replay[i + 2] = sized(ids[i])
  end
  for name, list in pairs(leases) do call("ZADD", place("lease", name), unpack(list)) end
  call("SET", replayKey, table.concat(replay), "PX", replayLife)
  local heads, stays = {}, now .. fence .. listener
  for i = 1, #ids do
    local r = taken[i]
    local old = sub(r, 3, 11)
    local head = heads[old]
    if not head then
      head = "13" .. sub(r, 3, 5) .. format("%03d", sub(r, 6, 8) + 1) .. sub(r, 9, 11) .. stays
      heads[old] = head
    end
    if adopted[keys[i]] then call("SET", keys[i], head .. sub(r, 53)) else call("SETRANGE", keys[i], "0", head) end
    -- The deadline of what is claimed is to come, so with shorter leases the record outlives them.
    if lease > 150000 then outlive(ids[i], r, lease) end
    give(ids[i], head, r)
  end
end

local function claim()
  local soonest, left = math.huge, {}
  for i = firstName, #ARGV do
    local name = ARGV[i]
    soonest = math.min(soonest, tend("lease", name) or soonest, tend("scheduled", name) or soonest)
    if #ids >= most or gather(name) then left[#left + 1] = name end
  end
  if soonest < math.huge then answer[1] = int(math.max(0, soonest - ms)) end
  if #ids > 0 then sign(newFence(lastFence))
  else call("SET", replayKey, sequence .. "0000000000000000", "PX", replayLife) end
  for name, ids in pairs(moved) do call("RPUSH", place("queue", name), unpack(ids)) end
  for name, count in pairs(trims) do call("LTRIM", place("queue", name), count, "-1") end
  for _, name in ipairs(left) do
    if call("LLEN", place("queue", name)) > 0 then
      if #ids >= free then guarded(ring, name) else table.insert(answer[2], name) end
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
  const [nextIn, more, aside, ...words] = reply as [string, string[], string[], ...string[]];
  const tasks = [];
  for (let i = 0; i < words.length; i += 3) {
    const head = words[i + 1]!;
    tasks.push(withForeignDeadline(decodeRecord(words[i]!, head + words[i + 2]!.slice(head.length))));
  }
  return { tasks, more, aside, nextIn: nextIn === "-1" ? null : Number(nextIn) };
}
