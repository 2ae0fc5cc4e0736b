/**
 * Enqueue: the record and its hint, written together, or what stands in the way.
 *
 * Previous: `../../queue.ts`. Next: `enqueue_lua.ts`, `claim.ts`.
 *
 * @module
 */
import type { TaskState } from "../../errors.ts";
import { decodeRecord, digits, encodeBody, kindLetter } from "../../record.ts";
import type { Reply } from "../../port/redis.ts";
import type { EnqueueAnswer, EnqueueRequest } from "../store.ts";
import { CAREFULLY, SWEEP } from "./enqueue_lua.ts";
import { defineScript, OUTLIVE, RECOVERY, type Script } from "./script.ts";
import { stateOf } from "./answers.ts";

/**
 * ARGV from 3, six an item: id; name; kind and maxAttempts (1 + 3 characters); timeout ms; resultTtl, nonce and body
 * (10 + 20 + …); and empty, or what is unusual: ifExists (`j` join, `r` replace, `x` reject), delay ms, lease ms, owner
 * when it shall run there if nobody listens, with commas between.
 * Returns an answer an item, its first letter `a` state · `o` record · `j` state nonce · `e` record · `c` name ·
 * `x` state · `d` · `f` · `!` an error: an array, or one string where a state is all there is to say.
 *
 * Looks before it writes, so that the resend of an accepted task is answered on a full Redis; a new one is refused
 * there by its first write, before anything is stored.
 */
export const enqueueScript: Script = defineScript(
  "enqueue",
  OUTLIVE + RECOVERY + String.raw`
local WIDTH = 6
local ids, answers = {}, {}
for i = 3, #ARGV, WIDTH do ids[#ids + 1] = ARGV[i] end
local records, keys = recordsOf(ids)
local came, unswept = {}, {} -- By name: how many came into its queue; whether others may stand before them.

local listened = {}
local function isListened(name)
  if listened[name] == nil then listened[name] = call("ZCOUNT", place("listen", name), "(" .. now, "+inf") > 0 end
  return listened[name]
end

-- The deadline, and the life of the record, of a timeout.
local deadlines, lives = { ["0"] = "0000000000000" }, {}
local function deadlineOf(timeout)
  local deadline = deadlines[timeout]
  if not deadline then
    deadline, lives[timeout] = format("%013.0f", ms + timeout), int(timeout + 300000)
    deadlines[timeout] = deadline
  end
  return deadline
end
local function write(key, r, timeout)
  if lives[timeout] then call("SET", key, r, "PX", lives[timeout]) else call("SET", key, r) end
end

local FRESH = "12000000000" .. now .. "0000000000000000" .. NO_OWNER
local new, isNew = {}, {} -- By name the numbers of the items that are yet to be written; and their ids.
local function enterAll(name, items)
  local hints = {}
  for k = 1, #items do hints[k] = ids[items[k]] end
  local length = call("RPUSH", place("queue", name), unpack(hints))
  for k = 1, #items do
    local i = items[k]
    local at = 3 + (i - 1) * WIDTH
    local timeout = ARGV[at + 3]
    write(keys[i], FRESH .. ARGV[at + 2] .. deadlineOf(timeout) .. ARGV[at + 4], timeout)
    answers[i] = "a2"
  end
  came[name] = (came[name] or 0) + #items
  if length > #items then unswept[name] = true end
  return true
end
local function failed(failure)
  return find(failure, "OOM", 1, true) and "f" or "!" .. failure
end
local function flush()
  for name, items in pairs(new) do
    local ok, failure = guarded(enterAll, name, items)
    for _, i in ipairs(ok and {} or items) do answers[i] = answers[i] or failed(failure) end
  end
  new = {}
end

local carefully
local function enqueueCarefully(i, at, ifExists, delay, lease, owner)
  if not carefully then
${CAREFULLY}
    carefully = enqueue
  end
  local id, key, tail = ids[i], keys[i], ARGV[at + 4]
  local task = {
    id = id, key = key, name = ARGV[at + 1], nonce = sub(tail, 11, 30), kind = sub(ARGV[at + 2], 1, 1), ifExists = ifExists,
    timeout = ARGV[at + 3], delay = delay, owner = owner, lease = lease,
    rest = ARGV[at + 2] .. deadlineOf(ARGV[at + 3]) .. tail, -- The record from its kind on.
  }
  local r = records[i]
  if isNew[id] then r = call("GET", key) end
  return carefully(task, r)
end

for i = 1, #ids do
  local at = 3 + (i - 1) * WIDTH
  local id, name, unusual = ids[i], ARGV[at + 1], ARGV[at + 5]
  local ifExists, delay, lease, owner = "j", "0", "0", ""
  if unusual ~= "" then ifExists, delay, lease, owner = string.match(unusual, "^(.),([^,]*),([^,]*),(.*)$") end
  if not records[i] and not isNew[id] and delay == "0" and (owner == "" or guarded(isListened, name)) then
    local items = new[name]
    if items then items[#items + 1] = i else new[name] = { i } end
  else
    flush()
    local answer, failure = guarded(enqueueCarefully, i, at, ifExists, tonumber(delay), tonumber(lease), owner)
    answers[i] = answer or failed(failure)
  end
  isNew[id] = true
end
flush()
if next(unswept) then
${SWEEP}
  for name in pairs(unswept) do guarded(sweep, name, came[name] + 2) end
end
for name in pairs(came) do guarded(ring, name) end
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
    kindLetter(request.kind) + digits(request.maxAttempts, 3),
    String(Math.ceil(request.timeout)),
    digits(request.resultTtl, 10) + request.nonce + encodeBody(request),
    unusual(request),
  ];
}

function unusual({ ifExists, delay, ownIfUnattended: own }: EnqueueRequest): string {
  if (ifExists === "join" && delay === 0 && own === undefined) return "";
  return `${IF_EXISTS[ifExists]},${Math.ceil(delay)},${own?.lease ?? 0},${own?.owner ?? ""}`;
}

/** What nearly all answers are. */
const QUEUED: EnqueueAnswer = Object.freeze({ verdict: "accepted", state: "queued" });

/** Reads the answer to one item; null = Redis is full. */
export function enqueueAnswer(id: string, reply: Reply): EnqueueAnswer | null {
  if (reply === "a2") return QUEUED;
  const [verdict, first = "", second = ""] = typeof reply === "string" ? [reply[0], reply.slice(1)] : reply as string[];
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
