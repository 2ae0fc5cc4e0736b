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
import { APPEAR, defineScript, OUTLIVE, RECOVERY, REFUSAL, type Script, TEND } from "./script.ts";

/** The same tasks again, with new leases, as far as they are still owned. */
const REPLAY = String.raw`
  local fence, ids, at = sub(last, 11, 26), {}, 27
  while at <= #last do
    local colon = find(last, ":", at, true)
    local length = tonumber(sub(last, at, colon - 1))
    ids[#ids + 1] = sub(last, colon + 1, colon + length)
    at = colon + 1 + length
  end
  for i, r in ipairs(recordsOf(ids)) do
    if not refusal(r, fence .. listener) then
      call("ZADD", place("lease", nameOf(r)), int(ms + lease), ids[i])
      outlive(ids[i], r, lease)
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3] = ids[i], sub(r, 1, 52), r
    end
  end
`;

/**
 * A hint of what is no record (`r`, not nil): a bare JSON task of another program gets its header from the list that it
 * stood in, what a later version wrote goes to the tail, and what cannot be read is set aside.
 */
const STRANGE = String.raw`
        if isBare(r) then
          r = "12000000000" .. now .. "0000000000000000" .. NO_OWNER .. "f0010000000000000" .. "0000300000" ..
            sub(format("%-12s", "foreign"), 1, 12) .. "00000000" .. format("%03d", #name) .. "0000" .. format("%08d", #r) .. name .. r
          adopted[id] = r
        elseif not recoveries().isNewer(r) then recoveries().setAside(id, r, name)
        elseif not seen[id] then
          seen[id] = true
          moved[name] = moved[name] or {}
          table.insert(moved[name], id)
        end
`;

/**
 * Reads the head of the list of `name` step by step; large bodies make the steps small. `isLeft` when hints may be
 * left that are worth another look at once.
 */
const GATHER = String.raw`
    local list, at, step, isLeft = place("queue", name), 0, 8, true
    local width, nameEnd = format("%03d", #name), 114 + #name
    if most - #ids > 8 and bytes == 0 then step = 16 end
    while #ids < most and bytes < BYTES_MAX and steps < STEPS_MAX do
      local want = math.min(step, most - #ids, STEPS_MAX - steps)
      local found = call("LRANGE", list, at, at + want - 1)
      local records, itsKeys = recordsOf(found)
      for i = 1, #found do
        local id, r = found[i], records[i]
        local isKnown = isRecord(r)
        if r and not isKnown then
${STRANGE}
        end
        -- The others are dead and dropped.
        if (isKnown or adopted[id]) and sub(r, 2, 2) == "2" and not seen[id] and
          sub(r, 100, 102) == width and sub(r, 115, nameEnd) == name then
          seen[id] = true
          local deadline = sub(r, 57, 69)
          if deadline <= now and deadline ~= "0000000000000" then endings().finish(id, r, "7", NO_OWNER)
          else
            local n = #ids + 1
            ids[n], names[n], keys[n], taken[n] = id, name, itsKeys[i], r
            bytes = bytes + #r
            local fence = sub(r, 25, 40)
            if fence > lastFence then lastFence = fence end
          end
        end
      end
      at, steps = at + #found, steps + #found
      if at > 0 then trims[name] = at end
      if #found < want then
        isLeft = false
        break
      end
      if bytes < 2048 * #ids + 1 then step = STEP end
    end
    if #ids == 0 and moved[name] then isLeft = false end
`;

/** Leases, the record for a replay, and headers are written, in this order. */
const SIGN = String.raw`
    local fence, ends, replay = newFence(lastFence), int(ms + lease), { sequence, "" }
    local leases, heads, stays = {}, {}, now .. fence .. listener
    replay[2] = fence
    for i = 1, #ids do
      local list = leases[names[i]]
      if list then
        local at = #list
        list[at + 1], list[at + 2] = ends, ids[i]
      else leases[names[i]] = { ends, ids[i] } end
      replay[i + 2] = sized(ids[i])
    end
    for name, list in pairs(leases) do call("ZADD", place("lease", name), unpack(list)) end
    call("SET", replayKey, table.concat(replay), "PX", replayLife)
    local outlive
    if lease > 150000 then -- With a shorter one the record outlives it, as its deadline is to come.
${OUTLIVE.replace("local function outlive(", "outlive = function(")}
    end
    for i = 1, #ids do
      local r = taken[i]
      local old = sub(r, 3, 11)
      local head = heads[old]
      if not head then
        head = "13" .. sub(r, 3, 5) .. format("%03d", sub(r, 6, 8) + 1) .. sub(r, 9, 11) .. stays
        heads[old] = head
      end
      if adopted[ids[i]] then call("SET", keys[i], head .. sub(r, 53)) else call("SETRANGE", keys[i], "0", head) end
      if outlive then outlive(ids[i], r, lease) end
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3] = ids[i], head, r
    end
`;

/** A new claim. What it takes stands in `ids`, `names`, `keys` and `taken` (the records) side by side. */
const CLAIM = String.raw`
  local BYTES_MAX, TASKS_MAX, STEP, STEPS_MAX = 262144, 128, 128, 256
  local most = math.min(free, TASKS_MAX)
  local replayLife = lease > 30000 and int(2 * lease) or "60000"
  local ids, names, keys, taken, bytes, lastFence = {}, {}, {}, {}, 0, "0000000000000000"
  local seen, adopted, trims, moved = {}, {}, {}, {}
  local soonest, left, steps = math.huge, {}, 0
  for i = firstName, #ARGV do
    soonest = math.min(soonest, tend("lease", ARGV[i]) or soonest, tend("scheduled", ARGV[i]) or soonest)
  end
  for i = firstName, #ARGV do
    local name = ARGV[i]
${GATHER}
    if isLeft then left[#left + 1] = name end
  end
  if soonest < math.huge then answer[1] = int(math.max(0, soonest - ms)) end
  if #ids > 0 then
${SIGN}
  else call("SET", replayKey, sequence .. "0000000000000000", "PX", replayLife) end
  for name, ids in pairs(moved) do call("RPUSH", place("queue", name), unpack(ids)) end
  for name, count in pairs(trims) do call("LTRIM", place("queue", name), count, "-1") end
  for _, name in ipairs(left) do
    if call("LLEN", place("queue", name)) > 0 then
      if #ids >= free then guarded(ring, name) else table.insert(answer[2], name) end
    end
  end
`;

/**
 * ARGV: 3 listener, 4 sequence (10 digits), 5 free, 6 lease ms, 7 presence ms (0 = leave it), 8 how many names follow
 * for presence, those names, then the names to look at.
 * Returns {ms until the next due task or -1, names left at a bound, ids set aside, id, head, record, id, head, …}.
 * `head` takes the place of the record's first 52 bytes: a record is not cut and joined here, as that costs a new
 * string of its whole length.
 */
export const claimScript: Script = defineScript(
  "claim",
  RECOVERY + TEND + String.raw`
local listener, sequence, free, lease = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local firstName = 9 + ARGV[8]
local replayKey = base .. "|task-listener|" .. listener
local answer = { "-1", {}, aside }

if ARGV[7] ~= "0" then
${APPEAR}
  appear(listener, tonumber(ARGV[7]), 9, firstName - 1)
end

local last = call("GET", replayKey)
if not last or sub(last, 1, 10) < sequence then
${CLAIM}
elseif sub(last, 1, 10) == sequence then
${OUTLIVE}
${REFUSAL}
${REPLAY}
end
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
    tasks.push(withForeignDeadline(decodeRecord(words[i]!, words[i + 2]!, words[i + 1]!)));
  }
  return { tasks, more, aside, nextIn: nextIn === "-1" ? null : Number(nextIn) };
}
