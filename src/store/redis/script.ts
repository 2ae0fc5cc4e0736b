/**
 * What all scripts share: the Lua prelude, and the text with its SHA-1.
 *
 * A script is called with `KEYS[1]` = a key that never exists, `ARGV[1]` = base, `ARGV[2]` = the settings: empty, or
 * `<time in microseconds>,<dead letters>,<their life in ms>,<bytes of ended records>`, of which each may be empty or
 * cut off, for Redis' own time (tests and the simulation set it) and the usual bounds. All other keys are built from
 * base, which on a cluster is braced, so that they share the slot of `KEYS[1]`.
 *
 * Every script but enqueue begins with a `DEL`: Redis refuses a script's commands on a full memory only until its
 * first write, so whatever drains the queue goes on when nothing can be added (protocol rule 5).
 *
 * @module
 */
import type { BatchScript } from "../../port/coalescer.ts";
import { BOUNDS_LUA, ENDED } from "./ended.ts";

/**
 * Offsets are `HEADER_FIELDS` of `record.ts` plus one: Lua counts from 1. Digits have a fixed width and are compared
 * as strings; `tostring` would lose digits of a microsecond time, hence `%.0f`.
 */
const PRELUDE = String.raw`
local base = ARGV[1]
local call, sub, format = redis.call, string.sub, string.format
local NO_OWNER = "------------"
${BOUNDS_LUA}
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
  return r and string.find(r, "^1[0-8]...${"%d".repeat(35)}") and string.find(r, "^${"%d".repeat(15)}", 100)
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

${ENDED}
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
`;

/** Recovery and promotion: they ride on claim and on renew, so there is no daemon and no leader. */
export const RECOVERY: string = String.raw`
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
  call("SETRANGE", recordKey(id), "1", state .. sub(r, 3, 8) .. format("%03d", crashes) .. now .. sub(r, 25, 40) .. NO_OWNER)
end

-- A later version's record, in a rolling deploy: it is for listeners that can read it.
local function isNewer(r) return r and #r >= 114 and string.find(r, "^[2-9]") ~= nil end
-- What is no record: when no version can read it, it is set aside among the dead letters, its bytes as they are.
local aside = {}
local function setAside(id, r, name)
  if not r or isBare(r) or isNewer(r) then return end
  enterDead(id, name)
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

local function firstScore(key)
  local first = call("ZRANGE", key, 0, 0, "WITHSCORES")
  return first[2] and tonumber(first[2])
end

-- Takes back expired leases; returns when the next one ends, or nil.
local function recover(name)
  local key = place("lease", name)
  local first = firstScore(key)
  if not first or first > ms then return first end
  local ids = call("ZRANGEBYSCORE", key, "-inf", int(ms), "LIMIT", 0, 64)
  local records = recordsOf(ids)
  local gone = {}
  for i = #ids, 1, -1 do
    local r = records[i]
    if not isRecord(r) then setAside(ids[i], r, name)
    elseif sub(r, 2, 2) == "3" and nameOf(r) == name then takeBack(ids[i], r, name) end
    if isNewer(r) then call("ZADD", key, int(ms + NEWER_WAIT), ids[i]) else gone[#gone + 1] = ids[i] end
  end
  if #gone > 0 then call("ZREM", key, unpack(gone)) end
  return firstScore(key)
end

-- Moves due tasks to the queue; returns when the next one is due, or nil.
local function promote(name)
  local key = place("scheduled", name)
  local first = firstScore(key)
  if not first or first > ms then return first end
  local ids = call("ZRANGEBYSCORE", key, "-inf", int(ms), "LIMIT", 0, 64)
  local records = recordsOf(ids)
  local gone = {}
  local function bringForward(id, r)
    if isLate(r) then return finish(id, r, "7", NO_OWNER) end
    call("RPUSH", place("queue", name), id)
    call("SETRANGE", recordKey(id), "1", "2" .. sub(r, 3, 11) .. now)
  end
  for i = 1, #ids do
    local id, r = ids[i], records[i]
    if not isRecord(r) then setAside(id, r, name)
    elseif sub(r, 2, 2) == "1" and nameOf(r) == name then bringForward(id, r) end
    if isNewer(r) then call("ZADD", key, int(ms + NEWER_WAIT), id) else gone[#gone + 1] = id end
  end
  if #gone > 0 then call("ZREM", key, unpack(gone)) end
  return firstScore(key)
end

local function appear(listener, duration, first, last)
  for i = first, last do
    local key = place("listen", ARGV[i])
    call("ZADD", key, int(ms + duration), listener)
    call("ZREMRANGEBYSCORE", key, "-inf", int(ms))
    local last = call("ZRANGE", key, -1, -1, "WITHSCORES")
    if last[2] then call("PEXPIRE", key, int(last[2] - ms)) end
  end
end
`;

/** A script: its text is constant, user data only ever travels in `ARGV`. */
export interface Script extends BatchScript {
  readonly name: string;
}

/** Makes a script of the prelude and `body`; `refusable` ones do not begin with the `DEL` that makes them run on a full Redis. */
export function defineScript(name: string, body: string, options: { refusable?: boolean } = {}): Script {
  const drain = options.refusable ? "" : 'redis.call("DEL", KEYS[1])\n';
  const source = `${PRELUDE}${drain}${body}`;
  const script = { name, source, sha: null as string | null };
  sha1(source).then((sha) => {
    script.sha = sha;
  });
  return script;
}

async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
