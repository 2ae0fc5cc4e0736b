/**
 * What callers do with a task beside enqueueing it: withdraw, cancel, put, take, acknowledge, and the presence they ask for.
 *
 * @module
 */
import { digits, encodeBody, kindLetter, STATES } from "../../record.ts";
import type { PutRequest } from "../store.ts";
import { LETTERS } from "./ended.ts";
import { APPEAR, defineScript, OUTLIVE, type Script } from "./script.ts";

/**
 * ARGV: 3 id, 4 nonce, 5 owner, 6 lease ms. Returns {`o`, record} or {`r`, state digit or `-`}.
 * The hint stays in the list: it is dead, and the next claim drops it. A scheduled task keeps its delay or its backoff; one that is due may
 * be taken, since with no listener nobody promotes it. A run in no queue is no one's to take, its own client's neither.
 */
export const withdrawScript: Script = defineScript(
  "withdraw",
  OUTLIVE + String.raw`
local id, nonce, owner, lease = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local r = call("GET", RECORD .. id)
if not isRecord(r) then return { "r", isBare(r) and "2" or "-" } end
local state = sub(r, 2, 2)
if sub(r, 80, 99) ~= nonce then return { "r", state } end
if state == "3" and sub(r, 41, 52) == owner and sub(r, 53, 53) ~= "l" then
  call("ZADD", place("lease", nameOf(r)), int(ms + lease), id)
  outlive(id, r, lease)
  return { "o", r }
end
local due = state == "1" and call("ZSCORE", place("scheduled", nameOf(r)), id)
local isDue = due and tonumber(due) <= ms
if state ~= "2" and not isDue then return { "r", state } end
if isLate(r) then
  endings().finish(id, r, "7", NO_OWNER)
  if isDue then call("ZREM", place("scheduled", nameOf(r)), id) end
  conclude()
  return { "r", "7" }
end
local front = "3" .. sub(r, 3, 5) .. format("%03d", sub(r, 6, 8) + 1) .. sub(r, 9, 11) .. now ..
  newFence(sub(r, 25, 40)) .. owner
call("ZADD", place("lease", nameOf(r)), int(ms + lease), id)
call("SETRANGE", RECORD .. id, 1, front)
if isDue then call("ZREM", place("scheduled", nameOf(r)), id) end
outlive(id, r, lease)
return { "o", "1" .. front .. sub(r, 53) }`,
);

/**
 * ARGV: 3 id, 4 nonce or empty, 5 `1` to leave it when others joined.
 * Returns {`c`} cancelled · {`a`} its owner is asked · {`e`, state digit} · {`j`} · {`u`}.
 */
export const cancelScript: Script = defineScript(
  "cancel",
  String.raw`
local id, nonce, unlessJoined = ARGV[3], ARGV[4], ARGV[5]
local r = call("GET", RECORD .. id)
if not isRecord(r) then return { "u" } end
local state = sub(r, 2, 2)
if state == "8" or (nonce ~= "" and sub(r, 80, 99) ~= nonce) then return { "u" } end
if state >= "4" then return { "e", state } end
if unlessJoined == "1" and sub(r, 4, 4) == "1" then return { "j" } end
if state == "3" then
  call("SETRANGE", RECORD .. id, 2, "1")
  call("PUBLISH", base .. "|control|" .. sub(r, 41, 52), #id .. ":" .. id)
  return { "a" }
end
endings().finish(id, r, "6", NO_OWNER)
if state == "1" then call("ZREM", place("scheduled", nameOf(r)), id) end
conclude()
return { "c" }`,
);

/**
 * ARGV: 3 id, 4 nonce, 5 kind, 6 state digit, 7 owner, 8 timeout ms, 9 resultTtl (10 digits), 10 body, 11 outcome.
 * Returns {`w` or `c`, state digit}. Never over a live record of another nonce; only a local run replaces an ended one.
 */
export const putScript: Script = defineScript(
  "put",
  LETTERS + String.raw`
local id, nonce, kind, state, owner, timeout = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local r = call("GET", RECORD .. id)
local fence, flags = "0000000000000000", "000"

-- An end is final, but may be said twice; a task in a queue is not rewritten from outside.
local function mayRewrite(r, old)
  if old == "8" then return false end
  if old >= "4" then return old == state end
  return old == "0" or sub(r, 53, 53) == "l"
end
if r then
  if not isRecord(r) then return { "c", isBare(r) and "2" or "-" } end
  local old = sub(r, 2, 2)
  local isMine = sub(r, 80, 99) == nonce
  if isMine and not mayRewrite(r, old) then return { "c", old } end
  if not isMine and not (old == "0" or old == "8" or (old >= "4" and kind == "l")) then return { "c", old } end
  fence = isMine and sub(r, 25, 40) or newFence(sub(r, 25, 40))
  -- Its reader stands in it already; and a dead letter is evidence, which is not rewritten.
  if isMine and (sub(r, 5, 5) == "1" or isDeadLetter(id, r)) then return { "w", old } end
  if isMine then flags = sub(r, 3, 5) end
end
local ttl = tonumber(ARGV[9])
if state == "0" and timeout > 0 then ttl = timeout
elseif state < "4" and timeout > 0 then ttl = timeout + 300000
elseif state >= "4" then ttl = math.max(30000, ttl) end
local deadline = timeout > 0 and format("%013.0f", ms + timeout) or "0000000000000"
local new = "1" .. state .. flags .. (state == "0" and "000" or "001") .. "000" .. now .. fence .. owner .. kind .. "001" ..
  deadline .. ARGV[9] .. nonce .. ARGV[10] .. ARGV[11]
call("SET", RECORD .. id, new, "PX", int(math.max(1, ttl)))
if r then leaveDead(id, r) end
if state >= "4" then
  endings().note(id, new, nameOf(new))
  endings().tell(id, new)
end
conclude()
return { "w", state }`,
);

/**
 * ARGV: 3 id, 4 reader (12 characters), 5 nonce or empty for any run. Returns the record or false.
 * A taken record is kept for a minute, so that a reader whose answer was lost may take it again; a dead letter stays
 * as long as its entry, until it is acknowledged.
 */
export const takeScript: Script = defineScript(
  "take",
  LETTERS + String.raw`
local id, reader = ARGV[3], ARGV[4]
local r = call("GET", RECORD .. id)
if not r then return false end
if not isRecord(r) then return isBare(r) and ARGV[5] == "" and r end
local state = sub(r, 2, 2)
if state == "8" or (ARGV[5] ~= "" and sub(r, 80, 99) ~= ARGV[5]) then return false end
if state < "4" or sub(r, 4, 4) == "1" then return r end
if sub(r, 5, 5) == "1" then return sub(r, 41, 52) == reader and r end
call("SETRANGE", RECORD .. id, 4, "1")
call("SETRANGE", RECORD .. id, 40, reader)
if not isDeadLetter(id, r) then call("PEXPIRE", RECORD .. id, 60000) end
return sub(r, 1, 4) .. "1" .. sub(r, 6, 40) .. reader .. sub(r, 53)`,
);

/** ARGV: 3 id, 4 reader, 5 nonce of the run it took or empty for any. The header stays for a minute: a late copy of the enqueue finds its nonce in it and does not run again. */
export const acknowledgeScript: Script = defineScript(
  "acknowledge",
  LETTERS + String.raw`
local id, reader = ARGV[3], ARGV[4]
local r = call("GET", RECORD .. id)
-- A late copy does not delete what the same reader has taken of another run since.
local isMine = isRecord(r) and sub(r, 5, 5) == "1" and sub(r, 41, 52) == reader and
  ((ARGV[5] or "") == "" or sub(r, 80, 99) == ARGV[5])
if isMine and sub(r, 2, 2) ~= "8" then bury(id, r) end
return 1`,
);

/** ARGV: 3 name. Returns how many listen to it now. */
export const listenedScript: Script = defineScript(
  "listened",
  String.raw`return call("ZCOUNT", place("listen", ARGV[3]), "(" .. int(ms), "+inf")`,
);

/** ARGV: 3 listener, 4 ms, then the names. */
export const appearScript: Script = defineScript(
  "appear",
  APPEAR + String.raw`
appear(ARGV[3], tonumber(ARGV[4]), 5, #ARGV)
return 1`,
);

/** ARGV: 3 listener, then the names. Rings for what waits: the token that would have woken another may be in its hands. */
export const leaveScript: Script = defineScript(
  "leave",
  String.raw`
local function leave(name)
  call("ZREM", place("listen", name), ARGV[3])
  if call("LLEN", place("queue", name)) > 0 then ring(name) end
end
for i = 4, #ARGV do guarded(leave, ARGV[i]) end
call("DEL", base .. "|task-listener|" .. ARGV[3])
return 1`,
);

/** The words of a put. */
export function putWords(request: PutRequest): string[] {
  return [
    request.id,
    request.nonce,
    kindLetter(request.kind),
    String(STATES.indexOf(request.state)),
    request.owner,
    String(Math.ceil(request.timeout)),
    digits(request.resultTtl, 10),
    encodeBody(request),
    request.outcome,
  ];
}
