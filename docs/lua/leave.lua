-- Written by tools/sync_lua.ts from src/store/redis: change it there. Its words and answers: docs/wire.md.
local base, call, sub, format = ARGV[1], redis.call, string.sub, string.format
local RECORD, NO_OWNER = base .. "|task-result:", "------------"
local stamp -- Redis' time: microseconds in 16 digits.
if ARGV[2] ~= "" then
  local time = tonumber(string.match(ARGV[2], "^%d*"))
  stamp = time and format("%016.0f", time)
end
if not stamp then
  local time = call("TIME")
  stamp = time[1] .. format("%06d", time[2])
end
local now = sub(stamp, 1, 13)
local ms = tonumber(now)

local function place(kind, name) return base .. "|task-" .. kind .. "|" .. name end
local function int(value)
  if value >= 0 and value < 2000000000 then return format("%d", value + 0.5) end
  return format("%.0f", value)
end
-- Anybody can write to our keys: what is not digits where digits belong is no record.
local find = string.find
local known = {} -- Tasks that came together have these digits in common.
local function isRecord(r)
  if not r then return false end
  local front, lengths = sub(r, 1, 40), sub(r, 100, 114)
  if not known[front] then
    local _, last = find(front, "^1[0-8]...%d+")
    if last ~= 40 then return false end
    known[front] = true
  end
  if not known[lengths] then
    local _, last = find(lengths, "^%d+")
    if last ~= 15 then return false end
    known[lengths] = true
  end
  return true
end
local function isBare(r) return r and sub(r, 1, 1) == "{" end
local function nameOf(r) return sub(r, 115, 114 + sub(r, 100, 102)) end
local function isLate(r)
  local deadline = sub(r, 57, 69)
  return deadline <= now and deadline ~= "0000000000000"
end

-- In a call of many tasks the failure of one (a wrong type at its key, a full memory) is its own.
local function guarded(work, ...)
  local ok, answer = pcall(work, ...)
  if ok then return answer end
  return nil, type(answer) == "table" and answer.err or tostring(answer)
end

-- The records of these ids, and their keys.
local function recordsOf(ids)
  if #ids == 0 then return {}, {} end
  local keys = {}
  for i = 1, #ids do keys[i] = RECORD .. ids[i] end
  return call("MGET", unpack(keys)), keys
end

-- Above the 16 digits given, which are an earlier fence.
local function newFence(last)
  if last < stamp then return stamp end
  return format("%016.0f", last + 1)
end

-- An id as it stands among others: its length, a colon, itself.
local sizes = {}
local function sized(id)
  local size = sizes[#id]
  if not size then
    size = #id .. ":"
    sizes[#id] = size
  end
  return size .. id
end

local function ring(name)
  local bell = place("bell", name)
  if call("LLEN", bell) < 4 then
    call("RPUSH", bell, "1")
    call("PEXPIRE", bell, "60000")
  end
end


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
  local LIFE_MIN, TOLD_MAX, DEAD_MAX, DEAD_TTL, DONE_BYTES = 30000, 1023, 10000, 2592000000, 67108864
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

    call("LTRIM", key, count, -1)
    call("HINCRBY", stats, "doneBytes", int(-math.min(freed, total)))
  end

  -- The last thing a script does that may have ended tasks.
  local function conclude()
    if next(died) then

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

redis.call("DEL", KEYS[1])

local function leave(name)
  call("ZREM", place("listen", name), ARGV[3])
  if call("LLEN", place("queue", name)) > 0 then ring(name) end
end
for i = 4, #ARGV do guarded(leave, ARGV[i]) end
call("DEL", base .. "|task-listener|" .. ARGV[3])
return 1
