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

local aside = {} -- Ids whose records no version can read.
local recovery
-- Made when there is something to recover.
local function recoveries()
  if recovery then return recovery end
  local finish = endings().finish
  local CRASHES_MAX = 3
  local NEWER_WAIT = 5000 -- A due entry of a later version comes up again then, for listeners that can read it.
  local CRASHED = '!{"name":"TaskFailedError","message":"Cannot finish the task: its listeners died ' ..
    (CRASHES_MAX + 1) .. ' times while they ran it"}'

  local function requeue(id, r, name, crashes, state)
    if state == "2" then
      call("LPUSH", place("queue", name), id)
    else
      call("ZADD", place("scheduled", name), int(ms + 1000 * 2 ^ (crashes - 2)), id)
    end
    call("SETRANGE", RECORD .. id, "1", state .. sub(r, 3, 8) .. format("%03d", crashes) .. now .. sub(r, 25, 40) .. NO_OWNER)
  end

  -- A later version's record, in a rolling deploy: it is for listeners that can read it.
  local function isNewer(r) return r and #r >= 114 and find(r, "^[2-9]") ~= nil end
  -- What is no record: when no version can read it, it is set aside among the dead letters, its bytes as they are.
  local function setAside(id, r, name)
    if not r or isBare(r) or isNewer(r) then return end
    endings().enterDead(id, name)
    aside[#aside + 1] = id
  end

  -- One running task whose lease is over: the owner is cleared on every way out.
  local function takeBack(id, r, name)
    local crashes = sub(r, 9, 11) + 1
    r = sub(r, 1, 8) .. format("%03d", crashes) .. sub(r, 12)
    if sub(r, 3, 3) == "1" then finish(id, r, "6", NO_OWNER)
    elseif isLate(r) then finish(id, r, "7", NO_OWNER)
    elseif crashes > CRASHES_MAX then
      local head = string.match(sub(r, bodyEnd(r) + 1), "^[^\n]*") or ""
      finish(id, r, "5", NO_OWNER, head .. "\n" .. CRASHED)
    elseif crashes == 1 then requeue(id, r, name, crashes, "2")
    else requeue(id, r, name, crashes, "1") end
  end

  -- Carries out what is due of a sorted set, from the last to the first when they go to the head of a queue.
  local function carryOut(key, name, state, from, work)
    local ids = call("ZRANGEBYSCORE", key, "-inf", now, "LIMIT", 0, 64)
    local records = recordsOf(ids)
    local gone = {}
    for at = 1, #ids do
      local i = from == "last" and #ids + 1 - at or at
      local id, r = ids[i], records[i]
      if not isRecord(r) then setAside(id, r, name)
      elseif sub(r, 2, 2) == state and nameOf(r) == name then work(id, r, name) end
      if isNewer(r) then call("ZADD", key, int(ms + NEWER_WAIT), id) else gone[#gone + 1] = id end
    end
    if #gone > 0 then call("ZREM", key, unpack(gone)) end
  end

  local function bringForward(id, r, name)
    if isLate(r) then return finish(id, r, "7", NO_OWNER) end
    call("RPUSH", place("queue", name), id)
    call("SETRANGE", RECORD .. id, "1", "2" .. sub(r, 3, 11) .. now)
  end

  recovery = {
    isNewer = isNewer, setAside = setAside, takeBack = takeBack,
    lease = function(key, name) carryOut(key, name, "3", "last", takeBack) end,
    scheduled = function(key, name) carryOut(key, name, "1", "first", bringForward) end,
  }
  return recovery
end

-- Takes back expired leases (kind "lease"), or moves due tasks to the queue ("scheduled"); returns when the next one
-- ends or is due, or nil.
local function tend(kind, name)
  local key = place(kind, name)
  local first = call("ZRANGE", key, "0", "0", "WITHSCORES")[2]
  if not first or tonumber(first) > ms then return tonumber(first) end
  recoveries()[kind](key, name)
  return tonumber(call("ZRANGE", key, "0", "0", "WITHSCORES")[2])
end

local listener, sequence, free, lease = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local firstName = 9 + ARGV[8]
local replayKey = base .. "|task-listener|" .. listener
local answer = { "-1", {}, aside }

if ARGV[7] ~= "0" then

local function appear(listener, duration, first, last)
  for i = first, last do
    local key = place("listen", ARGV[i])
    call("ZADD", key, int(ms + duration), listener)
    call("ZREMRANGEBYSCORE", key, "-inf", now)
    local last = call("ZRANGE", key, -1, -1, "WITHSCORES")
    if last[2] then call("PEXPIRE", key, int(last[2] - ms)) end
  end
end

  appear(listener, tonumber(ARGV[7]), 9, firstName - 1)
end

local last = call("GET", replayKey)
if not last or sub(last, 1, 10) < sequence then

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

    if isLeft then left[#left + 1] = name end
  end
  if soonest < math.huge then answer[1] = int(math.max(0, soonest - ms)) end
  if #ids > 0 then

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

-- A record lives at least two leases longer than its owner, whatever its deadline.
outlive = function(id, r, lease)
  local deadline = tonumber(sub(r, 57, 69))
  if deadline > 0 and deadline + 300000 < ms + 2 * lease and call("PTTL", RECORD .. id) < 2 * lease then
    call("PEXPIRE", RECORD .. id, int(2 * lease))
  end
end

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

  else call("SET", replayKey, sequence .. "0000000000000000", "PX", replayLife) end
  for name, ids in pairs(moved) do call("RPUSH", place("queue", name), unpack(ids)) end
  for name, count in pairs(trims) do call("LTRIM", place("queue", name), count, "-1") end
  for _, name in ipairs(left) do
    if call("LLEN", place("queue", name)) > 0 then
      if #ids >= free then guarded(ring, name) else table.insert(answer[2], name) end
    end
  end

elseif sub(last, 1, 10) == sequence then

-- A record lives at least two leases longer than its owner, whatever its deadline.
local function outlive(id, r, lease)
  local deadline = tonumber(sub(r, 57, 69))
  if deadline > 0 and deadline + 300000 < ms + 2 * lease and call("PTTL", RECORD .. id) < 2 * lease then
    call("PEXPIRE", RECORD .. id, int(2 * lease))
  end
end


-- The answer to an owner's call: verdict, state, cancel flag; nil when the call is to be carried out. An ownership is
-- fence and owner, as they stand in the header. A bare JSON task was written over it.
local function refusal(r, ownership)
  if not isRecord(r) then return isBare(r) and "l20" or "g--" end
  if sub(r, 25, 52) ~= ownership then return "l" .. sub(r, 2, 3) end
  if sub(r, 2, 2) ~= "3" then return "k" .. sub(r, 2, 3) end
end


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

end
conclude()
return answer
