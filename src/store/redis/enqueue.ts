/**
 * Enqueue: the record and its hint, written together, or what stands in the way.
 *
 * Previous: `../../queue.ts`. Next: `claim.ts`.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import { decodeRecord, digits, encodeBody, kindLetter } from "../../record.ts";
import type { Reply } from "../../port/redis.ts";
import type { EnqueueAnswer, EnqueueRequest } from "../store.ts";
import { defineScript, RECOVERY, type Script } from "./script.ts";
import { stateOf } from "./answers.ts";

/**
 * ARGV from 3, twelve an item: id, name, nonce, kind, ifExists (`j` join, `r` replace, `x` reject), timeout ms,
 * delay ms, resultTtl (10 digits), maxAttempts (3 digits), body, owner when it shall run there if nobody listens,
 * lease ms.
 * Returns an array an item: `a` state · `o` record · `j` state nonce · `e` record · `c` name · `x` state · `d` · `f` ·
 * `!` an error.
 *
 * Looks before it writes, so that the resend of an accepted task is answered on a full Redis; a new one is refused
 * there by its first write, before anything is stored.
 */
export const enqueueScript: Script = defineScript(
  "enqueue",
  RECOVERY + String.raw`
local WIDTH = 12
local ids, names, written = {}, {}, {}
for i = 3, #ARGV, WIDTH do ids[#ids + 1] = ARGV[i] end
local records = recordsOf(ids)

local function isUnattended(task)
  return task.owner ~= "" and task.delay == 0 and call("ZCOUNT", place("listen", task.name), "(" .. int(ms), "+inf") == 0
end

-- Where a new task waits (or runs): first the place, then the record. Its first write is refused when memory is full.
local function enter(task, state)
  if state == "3" then return call("ZADD", place("lease", task.name), int(ms + task.lease), task.id) end
  if state == "1" then return call("ZADD", place("scheduled", task.name), int(ms + task.delay), task.id) end
  return call("RPUSH", place("queue", task.name), task.id)
end

local function leaveOld(task, old)
  if not isRecord(old) then return end
  local state, name = sub(old, 2, 2), nameOf(old)
  if state < "4" then tell(task.id, old) end
  if state == "3" then call("PUBLISH", base .. "|control|" .. sub(old, 41, 52), #task.id .. ":" .. task.id) end
  if state == "3" and (name ~= task.name or task.state ~= "3") then call("ZREM", place("lease", name), task.id) end
  if state == "1" and (name ~= task.name or task.state ~= "1") then call("ZREM", place("scheduled", name), task.id) end
  if isLetter(old) then guarded(call, "ZREM", place("dead", name), task.id) end
end

local function start(task, old)
  local fence, owner, attempt = "0000000000000000", NO_OWNER, "000"
  if isRecord(old) then fence = sub(old, 25, 40) end
  task.state = task.delay > 0 and "1" or "2"
  if isUnattended(task) then
    task.state, owner, attempt, fence = "3", task.owner, "001", newFence(tonumber(fence))
  end
  enter(task, task.state)
  local deadline = task.timeout > 0 and format("%013.0f", ms + task.timeout) or "0000000000000"
  local r = "1" .. task.state .. "000" .. attempt .. "000" .. now .. fence .. owner .. task.kind .. task.maxAttempts ..
    deadline .. task.resultTtl .. task.nonce .. task.body
  if task.timeout > 0 then
    call("SET", recordKey(task.id), r, "PX", int(task.timeout + 300000))
  else
    call("SET", recordKey(task.id), r)
  end
  leaveOld(task, old)
  written[task.id] = r
  if task.state == "3" then
    outlive(task.id, r, task.lease)
    return { "o", r }
  end
  names[task.name] = (names[task.name] or 0) + 1
  return { "a", task.state }
end

local function note(task)
  local key = base .. "|task-joined:" .. task.id
  call("SADD", key, sub(task.nonce, 1, 12))
  local left = call("PTTL", recordKey(task.id))
  if left > 0 then call("PEXPIRE", key, int(left)) end
  call("SETRANGE", recordKey(task.id), "3", "1")
end

local function join(task, r)
  if task.kind == "a" then
    -- On a full Redis nothing can be noted: this waiter hears by its polls.
    guarded(note, task)
    written[task.id] = sub(r, 1, 3) .. "1" .. sub(r, 5)
  end
  return { "j", sub(r, 2, 2), sub(r, 80, 99) }
end

-- A list may be lost with all its hints, when Redis evicts; then those who wait bring the hints of their tasks back.
local isLost = {}
local function hintAgain(id, name)
  if isLost[name] == nil then isLost[name] = call("LLEN", place("queue", name)) == 0 end
  if not isLost[name] then return end
  call("RPUSH", place("queue", name), id)
  names[name] = (names[name] or 0) + 1
end

-- The same submission again: answered by what became of it.
local function again(task, r)
  local state = sub(r, 2, 2)
  if state == "8" then return { "d" } end
  if state >= "4" then return { "e", r } end
  if state == "3" and task.owner ~= "" and sub(r, 41, 52) == task.owner and sub(r, 53, 53) ~= "l" then
    guarded(call, "ZADD", place("lease", nameOf(r)), int(ms + task.lease), task.id)
    outlive(task.id, r, task.lease)
    return { "o", r }
  end
  if state == "2" then guarded(hintAgain, task.id, nameOf(r)) end
  return { "a", state }
end

-- A running task whose lease is over is taken back here too: with no listener nobody else would.
local function recovered(task, r)
  if sub(r, 2, 2) ~= "3" then return r end
  local name = nameOf(r)
  local score = call("ZSCORE", place("lease", name), task.id)
  if not score or tonumber(score) > ms or (sub(r, 80, 99) == task.nonce and sub(r, 41, 52) == task.owner) then return r end
  takeBack(task.id, r, name)
  call("ZREM", place("lease", name), task.id)
  written[task.id] = call("GET", recordKey(task.id))
  return written[task.id]
end

local function enqueue(task, r)
  if not r then return start(task, nil) end
  if not isRecord(r) then
    if task.ifExists == "r" then
      local answer = start(task, nil)
      guarded(call, "ZREM", place("dead", task.name), task.id)
      call("DEL", base .. "|task-joined:" .. task.id)
      return answer
    end
    if task.ifExists == "x" then return { "x", "2" } end
    return { "c", "(a record without header)" }
  end
  r = recovered(task, r)
  local state = sub(r, 2, 2)
  if sub(r, 80, 99) == task.nonce and state ~= "0" then return again(task, r) end
  local isFree = state == "0" or state == "8" or (state >= "5" and task.ifExists == "j") or
    sub(r, 5, 5) == "1" or ((state <= "2" or (state == "3" and sub(r, 53, 53) == "l")) and isLate(r))
  if isFree or task.ifExists == "r" then return start(task, r) end
  if task.ifExists == "x" then return { "x", state } end
  if nameOf(r) ~= task.name then return { "c", nameOf(r) } end
  if state == "4" then return { "e", r } end
  return join(task, r)
end

-- Drops dead hints at the head, so that a queue that nobody serves does not grow by corpses.
local swept = {}
local function isDead(id, r, name)
  if not r or swept[id] then return true end
  if not isRecord(r) then return false end -- A bare one, or one that a claim sets aside.
  if sub(r, 2, 2) ~= "2" or nameOf(r) ~= name then return true end
  if not isLate(r) then return false end
  finish(id, r, "7", NO_OWNER)
  swept[id] = true
  return true
end
local function sweep(name, most)
  local key = place("queue", name)
  local head = call("LRANGE", key, 0, most - 1)
  if #head == 0 or not isDead(head[1], call("GET", recordKey(head[1])), name) then return end
  local dead = 0
  local found = recordsOf(head)
  while dead < #head and isDead(head[dead + 1], found[dead + 1], name) do dead = dead + 1 end
  call("LTRIM", key, dead, -1)
end

local answers = {}
for i = 1, #ids do
  local at = 3 + (i - 1) * WIDTH
  local task = {
    id = ARGV[at], name = ARGV[at + 1], nonce = ARGV[at + 2], kind = ARGV[at + 3], ifExists = ARGV[at + 4],
    timeout = tonumber(ARGV[at + 5]), delay = tonumber(ARGV[at + 6]), resultTtl = ARGV[at + 7],
    maxAttempts = ARGV[at + 8], body = ARGV[at + 9], owner = ARGV[at + 10], lease = tonumber(ARGV[at + 11]),
  }
  local answer, failure = guarded(enqueue, task, written[task.id] or records[i])
  if answer then answers[i] = answer
  elseif string.find(failure, "OOM", 1, true) then answers[i] = { "f" }
  else answers[i] = { "!", failure } end
end
for name, count in pairs(names) do
  guarded(sweep, name, count + 2)
  guarded(ring, name)
end
conclude()
return answers`,
  { refusable: true },
);

const IF_EXISTS = { join: "j", replace: "r", reject: "x" } as const;

/** The words of one item. */
export function enqueueItem(request: EnqueueRequest): string[] {
  return [
    request.id,
    request.name,
    request.nonce,
    kindLetter(request.kind),
    IF_EXISTS[request.ifExists],
    String(Math.ceil(request.timeout)),
    String(Math.ceil(request.delay)),
    digits(request.resultTtl, 10),
    digits(request.maxAttempts, 3),
    encodeBody(request),
    request.ownIfUnattended?.owner ?? "",
    String(request.ownIfUnattended?.lease ?? 0),
  ];
}

/** Reads the answer to one item; null = Redis is full. */
export function enqueueAnswer(id: string, reply: Reply): EnqueueAnswer | null {
  const [verdict, first = "", second = ""] = reply as string[];
  switch (verdict) {
    case "a":
      return { verdict: "accepted", state: stateOf(first) as TaskState };
    case "o":
      return { verdict: "owned", record: decodeRecord(id, first) };
    case "j":
      return { verdict: "joined", state: stateOf(first) as TaskState, nonce: second };
    case "e":
      return { verdict: "ended", record: decodeRecord(id, first) };
    case "c":
      return { verdict: "conflict", name: first };
    case "x":
      return { verdict: "exists", state: stateOf(first) as TaskState };
    case "d":
      return { verdict: "deleted" };
    default:
      return null;
  }
}
