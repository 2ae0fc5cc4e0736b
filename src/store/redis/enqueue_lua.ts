/**
 * The two parts of enqueue that most calls do not need and therefore do not make: what happens to a task that is no
 * plain new one, and what drops dead hints.
 *
 * Previous: `enqueue.ts`, whose locals they use. Next: `claim.ts`.
 *
 * @module
 */
import { JOINED_LIFE } from "../ended.ts";

/**
 * What is enqueued over something, delayed, or run by its caller. A task that is new and only waits goes the short way
 * (`enqueueScript`) together with all its like.
 */
export const CAREFULLY: string = String.raw`
  -- Where a new task waits (or runs): first the place, then the record. Its first write is refused when memory is full.
  local function enter(task, state)
    if state == "3" then return call("ZADD", place("lease", task.name), int(ms + task.lease), task.id) end
    if state == "1" then return call("ZADD", place("scheduled", task.name), int(ms + task.delay), task.id) end
    return call("RPUSH", place("queue", task.name), task.id)
  end

  local function leaveOld(task, old)
    if not isRecord(old) then return end
    local state, name = sub(old, 2, 2), nameOf(old)
    if state < "4" then endings().tell(task.id, old) end
    if state == "3" then call("PUBLISH", base .. "|control|" .. sub(old, 41, 52), sized(task.id)) end
    if state == "3" and (name ~= task.name or task.state ~= "3") then call("ZREM", place("lease", name), task.id) end
    if state == "1" and (name ~= task.name or task.state ~= "1") then call("ZREM", place("scheduled", name), task.id) end
    if endings().isLetter(old) then guarded(call, "ZREM", place("dead", name), task.id) end
  end

  local function start(task, old)
    local fence, owner, attempt = "0000000000000000", NO_OWNER, "000"
    if isRecord(old) then fence = sub(old, 25, 40) end
    task.state = task.delay > 0 and "1" or "2"
    if task.delay == 0 and task.owner ~= "" and not isListened(task.name) then
      task.state, owner, attempt, fence = "3", task.owner, "001", newFence(fence)
    end
    enter(task, task.state)
    local r = "1" .. task.state .. "000" .. attempt .. "000" .. now .. fence .. owner .. task.rest
    write(task.key, r, task.timeout)
    leaveOld(task, old)
    if task.state == "3" then
      outlive(task.id, r, task.lease)
      return { "o", r }
    end
    came[task.name], unswept[task.name] = (came[task.name] or 0) + 1, true
    return "a" .. task.state
  end

  local function note(task)
    local key = base .. "|task-joined:" .. task.id
    call("SADD", key, sub(task.nonce, 1, 12))
    local left = call("PTTL", task.key)
    -- A record without end may be evicted: then nobody removes this.
    call("PEXPIRE", key, int(left > 0 and left or ${JOINED_LIFE}))
    call("SETRANGE", task.key, "3", "1")
  end

  local function join(task, r)
    -- On a full Redis nothing can be noted: this waiter hears by its polls.
    if task.kind == "a" then guarded(note, task) end
    return { "j", sub(r, 2, 2), sub(r, 80, 99) }
  end

  -- A list may be lost with all its hints, when Redis evicts; then those who wait bring the hints of their tasks back.
  local isLost = {}
  local function hintAgain(id, name)
    if isLost[name] == nil then isLost[name] = call("LLEN", place("queue", name)) == 0 end
    if not isLost[name] then return end
    call("RPUSH", place("queue", name), id)
    came[name], unswept[name] = (came[name] or 0) + 1, true
  end

  -- The same submission again: answered by what became of it.
  local function again(task, r)
    local state = sub(r, 2, 2)
    if state == "8" then return "d" end
    if state >= "4" then return { "e", r } end
    if state == "3" and task.owner ~= "" and sub(r, 41, 52) == task.owner and sub(r, 53, 53) ~= "l" then
      guarded(call, "ZADD", place("lease", nameOf(r)), int(ms + task.lease), task.id)
      outlive(task.id, r, task.lease)
      return { "o", r }
    end
    if state == "2" then guarded(hintAgain, task.id, nameOf(r)) end
    return "a" .. state
  end

  -- A running task whose lease is over is taken back here too: with no listener nobody else would.
  local function recovered(task, r)
    if sub(r, 2, 2) ~= "3" then return r end
    local name = nameOf(r)
    local score = call("ZSCORE", place("lease", name), task.id)
    if not score or tonumber(score) > ms or (sub(r, 80, 99) == task.nonce and sub(r, 41, 52) == task.owner) then return r end
    recoveries().takeBack(task.id, r, name)
    call("ZREM", place("lease", name), task.id)
    return call("GET", task.key)
  end

  local function overUnreadable(task)
    if task.ifExists == "x" then return "x2" end
    if task.ifExists ~= "r" then return { "c", "(a record without header)" } end
    local answer = start(task, nil)
    guarded(call, "ZREM", place("dead", task.name), task.id)
    call("DEL", base .. "|task-joined:" .. task.id)
    return answer
  end

  local function enqueue(task, r)
    if not r then return start(task, nil) end
    if not isRecord(r) then return overUnreadable(task) end
    r = recovered(task, r)
    local state = sub(r, 2, 2)
    if sub(r, 80, 99) == task.nonce and state ~= "0" then return again(task, r) end
    local isFree = state == "0" or state == "8" or (state >= "5" and task.ifExists == "j") or
      sub(r, 5, 5) == "1" or ((state <= "2" or (state == "3" and sub(r, 53, 53) == "l")) and isLate(r))
    if isFree or task.ifExists == "r" then return start(task, r) end
    if task.ifExists == "x" then return "x" .. state end
    if nameOf(r) ~= task.name then return { "c", nameOf(r) } end
    if state == "4" then return { "e", r } end
    return join(task, r)
  end
`;

/**
 * Drops dead hints at the head, so that a queue that nobody serves does not grow by corpses. Only the head of the head's
 * record is read: it is alive nearly always, and may be large.
 */
export const SWEEP: string = String.raw`
  local swept = {}
  local function isWaiting(r, name) return sub(r, 2, 2) == "2" and nameOf(r) == name end
  local function isDead(id, r, name)
    if not r or swept[id] then return true end
    if not isRecord(r) then return false end -- A bare one, or one that a claim sets aside.
    if not isWaiting(r, name) then return true end
    if not isLate(r) then return false end
    endings().finish(id, r, "7", NO_OWNER)
    swept[id] = true
    return true
  end
  local function sweep(name, most)
    local list = place("queue", name)
    local first = call("LINDEX", list, "0")
    if not first then return end
    local r = call("GETRANGE", RECORD .. first, "0", "625")
    if isRecord(r) and isWaiting(r, name) and not isLate(r) then return end
    local head = call("LRANGE", list, 0, most - 1)
    local dead, found = 0, recordsOf(head)
    while dead < #head and isDead(head[dead + 1], found[dead + 1], name) do dead = dead + 1 end
    if dead > 0 then call("LTRIM", list, dead, -1) end
  end
`;
