/**
 * The part of the prelude that ends tasks and keeps what has ended: dead letters, and a list of the other ended tasks
 * by which they are bounded in bytes.
 *
 * A dead letter is written as its task fails; everything else once a run and name, by `conclude`: a call of many
 * tasks pays for one push and one count. Neither is what the protocol rests on, so a wrong type at one of these keys
 * stops no task from ending. What is trimmed: a little more than came in, so that nothing grows and nothing takes long.
 *
 * @module
 */
import { BOUNDS, ENDED_LIFE_MIN, TOLD_MAX } from "../ended.ts";

/** Dead letters: only made when there are some. */
const TRIM_DEAD = String.raw`
    local function trimDead(name, added)
      local key = place("dead", name)
      call("PEXPIRE", key, int(DEAD_TTL))
      local over, gone = call("ZCARD", key) - DEAD_MAX, {}
      local first = call("ZRANGE", key, 0, over > 0 and math.max(added, 64) - 1 or 3, "WITHSCORES")
      for i = 1, #first, 2 do
        local id, at = first[i], tonumber(first[i + 1])
        if #gone >= over and at + DEAD_TTL > ms then break end
        local header = guarded(call, "GETRANGE", RECORD .. id, 0, 52) or ""
        if isLetter(header) and sub(header, 12, 24) == format("%013.0f", at) then
          call("PEXPIRE", RECORD .. id, int(math.max(0, at + LIFE_MIN - ms)))
        end
        gone[#gone + 1] = id
      end
      if #gone > 0 then call("ZREM", key, unpack(gone)) end
    end
`;

/** The list of what ended otherwise: only made when its head leaves it. */
const TRIM_ENDED = String.raw`
    local function unlinkEnded(element)
      local key = RECORD .. sub(element, 48)
      local header = call("GETRANGE", key, 0, 39)
      local isSame = sub(header, 12, 24) == sub(element, 1, 13) and sub(header, 25, 40) == sub(element, 32, 47)
      if isSame and find(header, "^1[4-7]..0") then call("UNLINK", key) end
    end
    local freed, count = 0, 0
    while element and leaves(element, total - freed - DONE_BYTES) do
      if not isOver(element) then guarded(unlinkEnded, element) end
      freed, count = freed + (tonumber(sub(element, 24, 31)) or 0), count + 1
      if count == 1 then rest = call("LRANGE", key, 1, #list + 15) end
      element = rest[count]
    end
`;

/**
 * An element of the list: ended at (13 digits), resultTtl (10), bytes of the record (8), fence (16), id.
 * An entry whose record says otherwise by now belongs to another run, and nobody touches that.
 */
export const ENDED: string = String.raw`
-- The end of the body. The lengths as one number: 3 digits of the name's, 4 of the options', 8 of the params'.
local function bodyEnd(r)
  local lengths = tonumber(sub(r, 100, 114))
  local params = lengths % 100000000
  local rest = (lengths - params) / 100000000
  local options = rest % 10000
  return 114 + (rest - options) / 10000 + options + params
end

local ending
-- Made when the first task ends.
local function endings()
  if ending then return ending end
  local LIFE_MIN, TOLD_MAX, DEAD_MAX, DEAD_TTL, DONE_BYTES = ${ENDED_LIFE_MIN}, ${TOLD_MAX}, ${BOUNDS.deadMax}, ${BOUNDS.deadTtl}, ${BOUNDS.doneBytes}
  if ARGV[2] ~= "" then
    local max, ttl, bytes = string.match(ARGV[2], "^%d*,?(%d*),?(%d*),?(%d*)$")
    DEAD_MAX, DEAD_TTL, DONE_BYTES = tonumber(max) or DEAD_MAX, tonumber(ttl) or DEAD_TTL, tonumber(bytes) or DONE_BYTES
  end
  local died, lists, told, lives, paddings = {}, {}, {}, {}, {}
  local nameEnds, bodyEnds = {}, {} -- By the digits of a record's lengths, which are often the same.

  -- A failed task that lived in a queue; a query's failure belongs to its caller.
  local function isLetter(r)
    if sub(r, 2, 2) ~= "5" then return false end
    local kind = sub(r, 53, 53)
    return kind == "e" or kind == "f"
  end
  local function enterDead(id, name)
    guarded(call, "ZADD", place("dead", name), now, id)
    died[name] = (died[name] or 0) + 1
  end
  local function note(id, r, name)
    local list, size, life = lists[name], math.min(#r, 99999999), sub(r, 70, 79)
    if not list then
      list = { bytes = 0, life = "" }
      lists[name] = list
    end
    local padded = paddings[size]
    if not padded then
      padded = format("%08d", size)
      paddings[size] = padded
    end
    list[#list + 1] = now .. life .. padded .. sub(r, 25, 40) .. id
    list.bytes = list.bytes + size
    if life ~= list.life and life > list.life then list.life = life end
  end

  local function tellClient(client, id, r)
    local ids = told[client]
    if ids then ids[#ids + 1] = sized(id) else told[client] = { sized(id), record = r } end
  end
  -- The record as it ended, or as it was when another run took its place.
  local function tell(id, r)
    if sub(r, 53, 53) == "a" then tellClient(sub(r, 80, 91), id, r) end
    if sub(r, 4, 4) ~= "1" then return end
    local joined = base .. "|task-joined:" .. id
    for _, client in ipairs(call("SMEMBERS", joined)) do tellClient(client, id, r) end
    call("DEL", joined)
  end
  -- A lone answer brings its record along, if that is small and the end of its run: it need not be read.
  local function message(ids)
    local text, r = table.concat(ids), ids.record
    if #ids > 1 or #r > TOLD_MAX or sub(r, 2, 2) < "4" then return text end
    return text .. "=" .. r
  end

  -- The record as it ends: state, time and owner are new (nil: its owner stays); outcome is nil to keep what there is.
  -- It stays for half a minute at least, the time in which a caller in doubt may repeat its call; a dead letter stays
  -- as long as its entry. Returns the name.
  local function finish(id, r, state, owner, outcome)
    local lengths = sub(r, 100, 114)
    if not nameEnds[lengths] then nameEnds[lengths], bodyEnds[lengths] = 114 + sub(lengths, 1, 3), bodyEnd(r) end
    local last = outcome and bodyEnds[lengths]
    local new = "1" .. state .. sub(r, 3, 4) .. "0" .. sub(r, 6, 11) .. now ..
      (owner and sub(r, 25, 40) .. owner .. sub(r, 53, last) or sub(r, 25, last)) .. (outcome or "")
    local name, ttl = sub(r, 115, nameEnds[lengths]), sub(r, 70, 79)
    local isDead = state == "5" and isLetter(new)
    if isDead then
      enterDead(id, name)
      ttl = "dead"
    end
    local life = lives[ttl]
    if not life then
      life = int(math.max(LIFE_MIN, isDead and DEAD_TTL or tonumber(ttl)))
      lives[ttl] = life
    end
    call("SET", RECORD .. id, new, "PX", life)
    if not isDead then note(id, new, name) end
    tell(id, new)
    return name
  end

  local function pushEnded(name, list)
    local key, stats = place("done", name), place("stats", name)
    local total = call("HINCRBY", stats, "doneBytes", int(list.bytes))
    local isFirst, length = total == list.bytes, call("RPUSH", key, unpack(list))
    local isNew = length == #list
    if isNew ~= isFirst then
      -- One of the two was lost (evicted, say). What an older list holds is guessed.
      total = math.floor(list.bytes * length / #list)
      call("HSET", stats, "doneBytes", int(total))
    end
    -- A little more than it has to be, so that not every run writes it.
    local longest = math.max(LIFE_MIN, tonumber(list.life))
    if isNew or isFirst or call("PTTL", key) <= longest then
      call("PEXPIRE", key, int(longest + 4000))
      call("PEXPIRE", stats, int(longest + 4000))
    end
    if isNew then return end
    local element, rest = call("LINDEX", key, "0"), nil
    if (tonumber(sub(element, 1, 13)) or 0) + LIFE_MIN > ms then return end
    -- Does the element leave? When it is not over yet, its record goes too.
    local function isOver(element)
      return (tonumber(sub(element, 1, 13)) or 0) + math.max(LIFE_MIN, tonumber(sub(element, 14, 23)) or 0) <= ms
    end
    local function leaves(element, excess)
      if isOver(element) then return true end
      return excess > 0 and (tonumber(sub(element, 1, 13)) or 0) + LIFE_MIN <= ms
    end
    if not leaves(element, total - DONE_BYTES) then return end
${TRIM_ENDED}
    call("LTRIM", key, count, -1)
    call("HINCRBY", stats, "doneBytes", int(-math.min(freed, total)))
  end

  -- The last thing a script does that may have ended tasks.
  local function conclude()
    if next(died) then
${TRIM_DEAD}
      for name, added in pairs(died) do guarded(trimDead, name, added) end
    end
    for name, list in pairs(lists) do guarded(pushEnded, name, list) end
    for client, ids in pairs(told) do call("PUBLISH", base .. "|inbox|" .. client, message(ids)) end
  end

  ending = { isLetter = isLetter, enterDead = enterDead, note = note, tell = tell, finish = finish, conclude = conclude }
  return ending
end
local function conclude()
  if ending then ending.conclude() end
end
`;

/** What the scripts need that meet a dead letter. */
export const LETTERS: string = String.raw`
local isLetter = endings().isLetter
local function isDeadLetter(id, r)
  return isLetter(r) and guarded(call, "ZSCORE", place("dead", nameOf(r)), id)
end
local function leaveDead(id, r)
  if isLetter(r) then guarded(call, "ZREM", place("dead", nameOf(r)), id) end
end
-- Only a header that says that the task was deleted on purpose, and whether it had been cancelled.
local function bury(id, r)
  local wasCancelled = sub(r, 2, 2) == "6" and "1" or "0"
  call("SET", RECORD .. id, "18" .. wasCancelled .. sub(r, 4, 11) .. now .. sub(r, 25, 99) .. "000000000000000", "PX", 60000)
  leaveDead(id, r)
end
`;
