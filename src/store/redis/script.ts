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
 * What costs time in Redis' Lua, measured in instructions: each function that a call makes (some hundreds, the more
 * the more locals of the chunk functions refer to, as Lua walks through them), so what most calls do not need is made
 * when it is needed (`endings`, `recoveries`); each byte of each new string (eight, Redis hashes them whole), so
 * records are not cut and joined without need; each number made a string (seven hundred), so that is done once a
 * call; each command (three thousand).
 *
 * @module
 */
import type { BatchScript } from "../../port/coalescer.ts";
import { ENDED } from "./ended.ts";

/**
 * Offsets are `HEADER_FIELDS` of `record.ts` plus one: Lua counts from 1. Digits have a fixed width and are compared
 * as strings; `tostring` would lose digits of a microsecond time, hence `%.0f`. `%d` is for small numbers only: it has
 * 32 bits on some machines.
 */
const PRELUDE = String.raw`
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

${ENDED}
`;

/** For those who give leases. */
export const OUTLIVE: string = String.raw`
-- A record lives at least two leases longer than its owner, whatever its deadline.
local function outlive(id, r, lease)
  local deadline = tonumber(sub(r, 57, 69))
  if deadline > 0 and deadline + 300000 < ms + 2 * lease and call("PTTL", RECORD .. id) < 2 * lease then
    call("PEXPIRE", RECORD .. id, int(2 * lease))
  end
end
`;

/** For the calls of owners. */
export const REFUSAL: string = String.raw`
-- The answer to an owner's call: verdict, state, cancel flag; nil when the call is to be carried out. An ownership is
-- fence and owner, as they stand in the header. A bare JSON task was written over it.
local function refusal(r, ownership)
  if not isRecord(r) then return isBare(r) and "l20" or "g--" end
  if sub(r, 25, 52) ~= ownership then return "l" .. sub(r, 2, 3) end
  if sub(r, 2, 2) ~= "3" then return "k" .. sub(r, 2, 3) end
end
`;

/** Recovery and promotion: they ride on claim and on renew, so there is no daemon and no leader. */
export const RECOVERY: string = String.raw`
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
`;

/** What claim and renew do about what is due. */
export const TEND: string = String.raw`
-- Takes back expired leases (kind "lease"), or moves due tasks to the queue ("scheduled"); returns when the next one
-- ends or is due, or nil.
local function tend(kind, name)
  local key = place(kind, name)
  local first = call("ZRANGE", key, "0", "0", "WITHSCORES")[2]
  if not first or tonumber(first) > ms then return tonumber(first) end
  recoveries()[kind](key, name)
  return tonumber(call("ZRANGE", key, "0", "0", "WITHSCORES")[2])
end
`;

/** The presence of a listener on the names that `ARGV` holds from `first` to `last`. */
export const APPEAR: string = String.raw`
local function appear(listener, duration, first, last)
  for i = first, last do
    local key = place("listen", ARGV[i])
    call("ZADD", key, int(ms + duration), listener)
    call("ZREMRANGEBYSCORE", key, "-inf", now)
    local last = call("ZRANGE", key, -1, -1, "WITHSCORES")
    if last[2] then call("PEXPIRE", key, int(last[2] - ms)) end
  end
end
`;

/** A script: its text is constant, user data only ever travels in `ARGV`. */
export class Script implements BatchScript {
  readonly name: string;
  readonly source: string;
  #sha: string | null = null;
  #isAsked = false;

  /** Costs nothing until it is used: most programs use few of the scripts, and some only import them. */
  constructor(name: string, source: string) {
    this.name = name;
    this.source = source;
  }

  /** The SHA-1 of the text: null until it is known, which is soon after it was first asked for. */
  get sha(): string | null {
    if (!this.#isAsked) {
      this.#isAsked = true;
      sha1(this.source).then((sha) => void (this.#sha = sha));
    }
    return this.#sha;
  }
}

/** Makes a script of the prelude and `body`; `refusable` ones do not begin with the `DEL` that makes them run on a full Redis. */
export function defineScript(name: string, body: string, options: { refusable?: boolean } = {}): Script {
  const drain = options.refusable ? "" : 'redis.call("DEL", KEYS[1])\n';
  return new Script(name, `${PRELUDE}${drain}${body}`);
}

async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
