-- Written by tools/sync_lua.ts from src/store/redis: change it there. Its words and answers: docs/wire.md.
local base = ARGV[1]
local call, sub, format = redis.call, string.sub, string.format
local NO_OWNER = "------------"
local DEAD_MAX, DEAD_TTL, DONE_BYTES = 10000, 2592000000, 67108864
local us
if ARGV[2] ~= "" then
  local time, max, ttl, bytes = string.match(ARGV[2], "^(%d*),?(%d*),?(%d*),?(%d*)$")
  us, DEAD_MAX = tonumber(time), tonumber(max) or DEAD_MAX
  DEAD_TTL, DONE_BYTES = tonumber(ttl) or DEAD_TTL, tonumber(bytes) or DONE_BYTES
end
if not us then
  local time = call("TIME")
  us = time[1] * 1000000 + time[2]
end
local ms = math.floor(us / 1000)
local now = format("%013.0f", ms)

local function place(kind, name) return base .. "|task-" .. kind .. "|" .. name end
local function recordKey(id) return base .. "|task-result:" .. id end
local function int(value) return format("%.0f", value) end
-- Anybody can write to our keys: what is not digits where digits belong is no record.
local function isRecord(r)
  return r and string.find(r, "^1[0-8]...%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d") and string.find(r, "^%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d", 100)
end
local function isBare(r) return r and sub(r, 1, 1) == "{" end
local function bodyEnd(r) return 114 + sub(r, 100, 102) + sub(r, 103, 106) + sub(r, 107, 114) end
local function nameOf(r) return sub(r, 115, 114 + sub(r, 100, 102)) end
local function isLate(r) return sub(r, 57, 69) ~= "0000000000000" and sub(r, 57, 69) <= now end

-- In a call of many tasks the failure of one (a wrong type at its key, a full memory) is its own.
local function guarded(work, ...)
  local ok, answer = pcall(work, ...)
  if ok then return answer end
  return nil, type(answer) == "table" and answer.err or tostring(answer)
end

local function recordsOf(ids)
  if #ids == 0 then return {} end
  local keys = {}
  for i = 1, #ids do keys[i] = recordKey(ids[i]) end
  return call("MGET", unpack(keys))
end

local function newFence(atLeast)
  local fence = us
  if atLeast >= fence then fence = atLeast + 1 end
  return format("%016.0f", fence)
end

local function ring(name)
  local bell = place("bell", name)
  if call("LLEN", bell) < 4 then
    call("RPUSH", bell, "1")
    call("PEXPIRE", bell, "60000")
  end
end


local LIFE_MIN = 30000
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

local told = {}
local function tellClient(client, id)
  told[client] = (told[client] or "") .. #id .. ":" .. id
end
local function tell(id, r)
  if sub(r, 53, 53) == "a" then tellClient(sub(r, 80, 91), id) end
  if sub(r, 4, 4) == "1" then
    local joined = base .. "|task-joined:" .. id
    for _, client in ipairs(call("SMEMBERS", joined)) do tellClient(client, id) end
    call("DEL", joined)
  end
end
-- The last thing a script does that may have ended tasks.
local function conclude()
  keepBounds()
  for client, ids in pairs(told) do call("PUBLISH", base .. "|inbox|" .. client, ids) end
end

-- The record as it ends: state, time and owner are new; outcome is nil to keep what there is. It stays for half a
-- minute at least, the time in which a caller in doubt may repeat its call; a dead letter stays as long as its entry.
local function finish(id, r, state, owner, outcome)
  local last = bodyEnd(r)
  local new = "1" .. state .. sub(r, 3, 4) .. "0" .. sub(r, 6, 11) .. now .. sub(r, 25, 40) .. owner ..
    sub(r, 53, last) .. (outcome or sub(r, last + 1))
  local isDead = isLetter(new)
  if isDead then enterDead(id, nameOf(r)) end
  local life = math.max(LIFE_MIN, isDead and DEAD_TTL or tonumber(sub(r, 70, 79)))
  call("SET", recordKey(id), new, "PX", int(life))
  if not isDead then ended[#ended + 1] = { id = id, r = new } end
  tell(id, r)
end

-- A record lives at least two leases longer than its owner, whatever its deadline.
local function outlive(id, r, lease)
  local deadline = tonumber(sub(r, 57, 69))
  if deadline > 0 and deadline + 300000 < ms + 2 * lease and call("PTTL", recordKey(id)) < 2 * lease then
    call("PEXPIRE", recordKey(id), int(2 * lease))
  end
end

local function isOwned(r, fence, owner) return sub(r, 25, 40) == fence and sub(r, 41, 52) == owner end
-- The answer to an owner's call: verdict, state, cancel flag; nil when the call is to be carried out. A bare JSON task
-- was written over it.
local function refusal(r, fence, owner)
  if not isRecord(r) then return isBare(r) and "l20" or "g--" end
  local header = sub(r, 2, 3)
  if not isOwned(r, fence, owner) then return "l" .. header end
  if sub(r, 2, 2) ~= "3" then return "k" .. header end
end
redis.call("DEL", KEYS[1])

local function leave(name)
  call("ZREM", place("listen", name), ARGV[3])
  if call("LLEN", place("queue", name)) > 0 then ring(name) end
end
for i = 4, #ARGV do guarded(leave, ARGV[i]) end
call("DEL", base .. "|task-listener|" .. ARGV[3])
return 1
