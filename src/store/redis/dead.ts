/**
 * What is done with tasks that have ended: dead letters are shown and queued again, whatever has ended is deleted.
 *
 * Previous: `ended.ts`, by which they came to be kept.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import type { Reply } from "../../port/redis.ts";
import { decodeRecord } from "../../record.ts";
import type { DeadLetter, DeadLetters, DeadPage, RemoveAnswer, RemoveRequest, RequeueAnswer } from "../ended.ts";
import { stateOf } from "./answers.ts";
import { LETTERS } from "./ended.ts";
import { defineScript, type Script } from "./script.ts";

/**
 * ARGV: 3 name, 4 offset, 5 limit, 6 `1` for the youngest first.
 * Returns {total, id, died at, `1` for a record or `0`, its bytes, id, …}, of about 256 KiB at most. Entries that their
 * records contradict are dropped, and the page is read again.
 */
export const deadScript: Script = defineScript(
  "dead",
  LETTERS + String.raw`
local name, offset, limit = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local key, BYTES_MAX, ROUNDS = place("dead", name), 262144, 3
local order = { "WITHSCORES" }
if ARGV[6] == "1" then order = { "REV", "WITHSCORES" } end

local function isEntry(r, at)
  if not r then return false end
  if isRecord(r) then return isLetter(r) and nameOf(r) == name and sub(r, 12, 24) == format("%013.0f", at) end
  return not isBare(r)
end

local function page()
  local answer, stale, bytes = {}, {}, 0
  local entries = call("ZRANGE", key, offset, offset + limit - 1, unpack(order))
  for i = 1, #entries, 2 do
    local id, at = entries[i], entries[i + 1]
    local r = guarded(call, "GET", RECORD .. id)
    if not isEntry(r, tonumber(at)) then stale[#stale + 1] = id
    elseif bytes < BYTES_MAX then
      bytes = bytes + #r
      for _, word in ipairs({ id, at, isRecord(r) and "1" or "0", r }) do answer[#answer + 1] = word end
    else break end
  end
  if #stale > 0 then call("ZREM", key, unpack(stale)) end
  return answer, #stale
end

local answer, stale
for _ = 1, ROUNDS do
  answer, stale = page()
  if stale == 0 then break end
end
return { int(call("ZCARD", key)), unpack(answer) }`,
);

/** ARGV: 3 id, 4 nonce. Returns {`q`} queued again · {`k`, state digit} · {`r`, state digit or `-`}. */
export const requeueScript: Script = defineScript(
  "requeue",
  LETTERS + String.raw`
local id, nonce = ARGV[3], ARGV[4]
local r = call("GET", RECORD .. id)
if not isRecord(r) then return { "r", isBare(r) and "2" or "-" } end
if sub(r, 80, 99) == nonce then return { "k", sub(r, 2, 2) } end
if not isLetter(r) then return { "r", sub(r, 2, 2) } end
call("RPUSH", place("queue", nameOf(r)), id)
call("SET", RECORD .. id, "12000" .. "000" .. "000" .. now .. sub(r, 25, 40) .. NO_OWNER .. sub(r, 53, 56) ..
  "0000000000000" .. sub(r, 70, 79) .. nonce .. sub(r, 100, bodyEnd(r)))
leaveDead(id, r)
guarded(ring, nameOf(r))
return { "q" }`,
);

/**
 * ARGV: 3 id, 4 nonce of the run or empty for any, 5 name under which it was set aside or empty.
 * Returns {`d`} deleted · {`k`} · {`r`, state digit or `-`}.
 */
export const removeScript: Script = defineScript(
  "remove",
  LETTERS + String.raw`
local id, nonce, name = ARGV[3], ARGV[4], ARGV[5]
local r = call("GET", RECORD .. id)
if not r or (#r >= 114 and string.find(r, "^[2-9]")) then return { "r", "-" } end
if isBare(r) then return { "r", "2" } end
if isRecord(r) then
  local state = sub(r, 2, 2)
  if state == "8" then return { "k" } end
  if (nonce ~= "" and sub(r, 80, 99) ~= nonce) or (state >= "1" and state <= "3") then return { "r", state } end
  bury(id, r)
  return { "d" }
end
if nonce ~= "" then return { "r", "-" } end
bury(id, "18000" .. "000" .. "000" .. now .. "0000000000000000" .. NO_OWNER .. "e001" .. "0000000000000" ..
  "0000000000" .. NO_OWNER .. "00000000")
if name ~= "" then guarded(call, "ZREM", place("dead", name), id) end
call("DEL", base .. "|task-joined:" .. id)
return { "d" }`,
);

/** ARGV: 3 the name whose bell is rung. */
export const ringScript: Script = defineScript(
  "ring",
  String.raw`
ring(ARGV[3])
return 1`,
);

/** The words of a page. */
export function deadWords(name: string, { offset = 0, limit = 100, newestFirst = false }: DeadPage): string[] {
  return [name, String(offset), String(Math.min(limit, 100)), newestFirst ? "1" : "0"];
}

/** Reads a page. */
export function deadAnswer(reply: Reply): DeadLetters {
  const [total, ...words] = reply as string[];
  const entries: DeadLetter[] = [];
  for (let at = 0; at < words.length; at += 4) {
    const [id, diedAt, isRecord, text] = words.slice(at, at + 4) as [string, string, string, string];
    const letter = { id, diedAt: Number(diedAt) };
    if (isRecord === "1") entries.push({ ...letter, record: decodeRecord(id, text), raw: null });
    else entries.push({ ...letter, record: null, raw: text });
  }
  return { total: Number(total), entries };
}

/** Reads what became of a requeue. */
export function requeueAnswer(reply: Reply): RequeueAnswer {
  const [verdict, state = "-"] = reply as [string, string?];
  if (verdict === "q") return { verdict: "requeued" };
  if (verdict === "k") return { verdict: "kept", state: stateOf(state)! };
  return { verdict: "refused", state: stateOf(state) };
}

/** The words of a removal. */
export function removeWords({ id, nonce = "", name = "" }: RemoveRequest): string[] {
  return [id, nonce, name];
}

/** Reads what became of a removal. */
export function removeAnswer(reply: Reply): RemoveAnswer {
  const [verdict, state = "-"] = reply as [string, string?];
  if (verdict === "d") return { verdict: "removed" };
  if (verdict === "k") return { verdict: "kept" };
  return { verdict: "refused", state: stateOf(state) as TaskState | null };
}
