/**
 * The part of the prelude that keeps what has ended: dead letters, and a list of the other ended tasks by which they
 * are bounded in bytes.
 *
 * A dead letter is written as its task fails; everything else once a run and name, by `keepBounds`: a call of many
 * tasks pays for one push and one count. Neither is what the protocol rests on, so a wrong type at one of these keys
 * stops no task from ending. What is trimmed: a little more than came in, so that nothing grows and nothing takes long.
 *
 * @module
 */
import { BOUNDS, ENDED_LIFE_MIN } from "../ended.ts";

/** The bounds, and what the settings word (`script.ts`) makes of them. */
export const BOUNDS_LUA: string =
  `local DEAD_MAX, DEAD_TTL, DONE_BYTES = ${BOUNDS.deadMax}, ${BOUNDS.deadTtl}, ${BOUNDS.doneBytes}`;

/**
 * An element of the list: ended at (13 digits), resultTtl (10), bytes of the record (8), fence (16), id.
 * An entry whose record says otherwise by now belongs to another run, and nobody touches that.
 *
 * What is only needed when something has ended is made within `keepBounds`: each function of the prelude costs every
 * script some microseconds, the more the longer the prelude is.
 */
export const ENDED: string = String.raw`
local LIFE_MIN = ${ENDED_LIFE_MIN}
local died, ended = {}, {} -- Counts by name; ids with their records.

-- A failed task that lived in a queue; a query's failure belongs to its caller.
local function isLetter(r)
  local kind = sub(r, 53, 53)
  return sub(r, 2, 2) == "5" and (kind == "e" or kind == "f")
end
local function enterDead(id, name)
  guarded(call, "ZADD", place("dead", name), int(ms), id)
  died[name] = (died[name] or 0) + 1
end

local function keepBounds()
  if not ended[1] and not next(died) then return end

  local function trimDead(name, added)
    local key = place("dead", name)
    call("PEXPIRE", key, int(DEAD_TTL))
    local over, gone = call("ZCARD", key) - DEAD_MAX, {}
    local first = call("ZRANGE", key, 0, over > 0 and math.max(added, 64) - 1 or 3, "WITHSCORES")
    for i = 1, #first, 2 do
      local id, at = first[i], tonumber(first[i + 1])
      if #gone >= over and at + DEAD_TTL > ms then break end
      local header = guarded(call, "GETRANGE", recordKey(id), 0, 52) or ""
      if isLetter(header) and sub(header, 12, 24) == format("%013.0f", at) then
        call("PEXPIRE", recordKey(id), int(math.max(0, at + LIFE_MIN - ms)))
      end
      gone[#gone + 1] = id
    end
    if #gone > 0 then call("ZREM", key, unpack(gone)) end
  end

  local function unlinkEnded(element)
    local key = recordKey(sub(element, 48))
    local header = call("GETRANGE", key, 0, 39)
    local isSame = sub(header, 12, 24) == sub(element, 1, 13) and sub(header, 25, 40) == sub(element, 32, 47)
    if isSame and string.find(header, "^1[4-7]..0") then call("UNLINK", key) end
  end

  -- How many bytes leave with this head of the list; nil when it stays.
  local function bytesOver(element, excess)
    local at, life = tonumber(sub(element, 1, 13)) or 0, tonumber(sub(element, 14, 23)) or 0
    if at + math.max(LIFE_MIN, life) > ms then
      if excess <= 0 or at + LIFE_MIN > ms then return nil end
      guarded(unlinkEnded, element)
    end
    return tonumber(sub(element, 24, 31)) or 0
  end

  local function pushEnded(name, list)
    local key, stats = place("done", name), place("stats", name)
    local total = call("HINCRBY", stats, "doneBytes", int(list.bytes))
    if call("RPUSH", key, unpack(list)) == #list and total ~= list.bytes then
      total = list.bytes -- The list is new, the count is older.
      call("HSET", stats, "doneBytes", int(total))
    end
    -- A little more than it has to be, so that not every run writes it.
    if call("PTTL", key) <= list.life then
      call("PEXPIRE", key, int(list.life + 4000))
      call("PEXPIRE", stats, int(list.life + 4000))
    end
    local freed = bytesOver(call("LINDEX", key, 0), total - DONE_BYTES)
    if not freed then return end
    local count = 1
    for _, element in ipairs(call("LRANGE", key, 1, #list + 15)) do
      local bytes = bytesOver(element, total - freed - DONE_BYTES)
      if not bytes then break end
      freed, count = freed + bytes, count + 1
    end
    call("LTRIM", key, count, -1)
    call("HINCRBY", stats, "doneBytes", int(-freed))
  end

  for name, added in pairs(died) do guarded(trimDead, name, added) end
  local lists = {}
  for _, task in ipairs(ended) do
    local r, name = task.r, nameOf(task.r)
    local list = lists[name] or { bytes = 0, life = LIFE_MIN }
    local size, life = math.min(#r, 99999999), sub(r, 70, 79)
    lists[name] = list
    list[#list + 1] = sub(r, 12, 24) .. life .. format("%08d", size) .. sub(r, 25, 40) .. task.id
    list.bytes, list.life = list.bytes + size, math.max(list.life, tonumber(life))
  end
  for name, list in pairs(lists) do guarded(pushEnded, name, list) end
end
`;

/** What the scripts need that meet a dead letter. */
export const LETTERS: string = String.raw`
local function isDeadLetter(id, r)
  return isLetter(r) and guarded(call, "ZSCORE", place("dead", nameOf(r)), id)
end
local function leaveDead(id, r)
  if isLetter(r) then guarded(call, "ZREM", place("dead", nameOf(r)), id) end
end
-- Only a header that says that the task was deleted on purpose, and whether it had been cancelled.
local function bury(id, r)
  local wasCancelled = sub(r, 2, 2) == "6" and "1" or "0"
  call("SET", recordKey(id), "18" .. wasCancelled .. sub(r, 4, 11) .. now .. sub(r, 25, 99) .. "000000000000000", "PX", 60000)
  leaveDead(id, r)
end
`;
