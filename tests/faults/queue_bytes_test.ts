/**
 * Odd texts as ids, names, prefixes and suffixes; and the bytes of other versions, those before and those to come.
 */
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { type RedisTask, RedisTaskQueue, SerializationError } from "../../mod.ts";
import { type Keys, keysOf } from "../../src/keys.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { Scene } from "../support/scene.ts";
import { testConnect } from "../support/test_client.ts";
import { until } from "../support/wait.ts";

const ODD = [
  ...[":", "{", "}", "{}", "}{", "*", "?", "[a]", "|", "||", "a|b", "%7C", "%257C", "\0", "\n", "\r\n", "\\", '"', "'"],
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "task-none", "task-result:", "task-queue|a"],
  ...["😀", "\ufeff", "é", "e\u0301", "日本", " ", "0", "-1", "null", "undefined", "$(id)", "{{a}}"],
  ...["x".repeat(512), "é".repeat(256), "|".repeat(512), "\0".repeat(512)],
];
const HALVES = ["\ud800", "a\udc00", "\udc00\ud800", "😀\ud83d"];

/** All keys and channels that a queue, a task and a name have. */
function allKeys(keys: Keys, id: string, name: string): string[] {
  const ofName = [keys.queue, keys.scheduled, keys.lease, keys.dead, keys.done, keys.stats, keys.bell, keys.listen];
  const ofId = [keys.record, keys.joined];
  const ofOwner = [keys.listener, keys.inbox, keys.control].map((key) => key("0123456789ab"));
  return [keys.none, ...ofOwner, ...ofName.map((key) => key(name)), ...ofId.map((key) => key(id))];
}

const part = fc.oneof(
  fc.constantFrom("a", "b", "a|b", "|", "", "%7C", "%", "%25", "task-queue", "task-result:a", "task-queue|a", "inbox"),
  fc.string({ unit: fc.constantFrom("|", "%", "7", "C", "2", "5", ":", "a", "-"), maxLength: 8 }),
);

/** Records of version 1 as the first release wrote them: frozen, never to be changed together with the code. */
const ENDED = "14000001000175000000000000000000012345670123456789abe00100000000000000000300000client00000100000001" +
  "004000000000006workjson=1\njson=42";
const FAILED = "15000001000175000000000000000000012345670123456789abe00100000000000000000300000client00000100000001" +
  '004000000000006workjson=1{"progress":[1,2,1750000000000]}\n!{"name":"RangeError","message":"too big","stack":""}';
const QUEUED = "1200000000017500000000000000000000000000------------e00100000000000000000300000client00000100000001" +
  "004000000000006workjson=7";
/** The same with what a later version may add to options and outcome without another layout. */
const EXTENDED = "1200000000017500000000000000000000000000------------e00100000000000000000300000client00000100000001" +
  '004003800000006work{"future":{"a":[1]},"priority":"high"}json=7{"progress":[1,2,3],"later":true}\n';
const NEWER = `2${QUEUED.slice(1)}`;

describe("odd texts", () => {
  let server: RedisServer;
  let scene: Scene;

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    scene = new Scene("bytes");
  });
  afterEach(async () => {
    await scene.close();
  });

  it("F78: two different pairs of prefix and suffix, ids or names never share a key", () => {
    const place = fc.tuple(part, part, part, part);
    const property = fc.property(place, place, (one, other) => {
      const keys = [one, other].map(([prefix, suffix, id, name]) => allKeys(keysOf(prefix, suffix), id, name));
      const isSame = one[0] === other[0] && one[1] === other[1];
      for (const [kind, key] of keys[0]!.entries()) {
        for (const [otherKind, otherKey] of keys[1]!.entries()) {
          if (key !== otherKey) continue;
          assert.ok(isSame, `${JSON.stringify([one, other])} share ${JSON.stringify(key)}`);
          assert.equal(kind, otherKind, `two kinds share ${JSON.stringify(key)}`);
          if (kind >= keys[0]!.length - 2) assert.equal(one[2], other[2]);
          else if (kind >= 4) assert.equal(one[3], other[3]);
        }
      }
    });
    fc.assert(property, { numRuns: 5_000 });
    assert.notEqual(keysOf("a|b", "c").base, keysOf("a", "b|c").base);
    assert.notEqual(keysOf("a|b", "task-queue").queue("n"), keysOf("a", "b").queue("task-queue|n"));
    assert.equal(keysOf("50%", "q").base, "50%|q", "only what could be mistaken is written otherwise");
  });

  it("F78: each is an id and a name like any other: done under its own key, found, told apart", async () => {
    const work = (task: RedisTask) => `${task.name} of ${task.id}`;
    const queue = await scene.open(server.url, { taskFn: work });
    queue.listen(ODD).catch((error) => scene.log.push({ level: "error", message: "listen", error }));
    const asker = await scene.open(server.url);
    const ids = ODD.toReversed();
    const answers = await Promise.all(ODD.map((name, n) => asker.query(ids[n]!, name, n, { policy: "remote" })));
    assert.deepEqual(answers, ODD.map((name, n) => `${name} of ${ids[n]}`));
    for (const [n, id] of ids.entries()) {
      const task = await asker.getTask(id);
      assert.deepEqual([task?.id, task?.name, task?.params], [id, ODD[n], n]);
    }
    assert.equal(await asker.hasTask("toStrin"), false);
  });

  it("F78: a map of functions has no function for what objects inherit", async () => {
    const queue = await scene.open(server.url, { taskFn: { work: () => 1 } });
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"]) {
      await assert.rejects(queue.listen(name), { name: "TypeError", message: /has no function for it/ });
      await assert.rejects(queue.query("a", name, 1, { policy: "local" }), TypeError);
    }
  });

  it("F78: each may be a prefix and a suffix, but for braces that would scatter the keys of one task", async () => {
    const redis = await testConnect(server.url);
    let queues = 0;
    for (const text of ODD) {
      const open = () => new RedisTaskQueue(redis, text, { taskFn: () => text, suffix: text, log: () => {} });
      if (/[{}]/.test(text)) {
        assert.throws(open, { name: "TypeError", message: /pair of braces/ });
        continue;
      }
      queues += 1;
      await open().enqueue("a", "work", text);
    }
    assert.equal(Number(await server.cli("EVAL", "return #redis.call('KEYS', '*task-result:a')", "0")), queues);
    redis.close();
  });

  it("F78: half of a character is refused wherever a text is taken", async () => {
    const queue = await scene.open(server.url, { taskFn: () => 1 });
    const half = { name: "TypeError", message: /half of a surrogate pair/ };
    for (const text of HALVES) {
      assert.throws(() => new RedisTaskQueue(queue.redis, text), half);
      assert.throws(() => new RedisTaskQueue(queue.redis, "a", { suffix: text }), half);
      await assert.rejects(queue.query(text, "work", 1), half);
      await assert.rejects(queue.query("a", text, 1), half);
      await assert.rejects(queue.enqueue(text, "work", 1), half);
      await assert.rejects(queue.getTask(text), half);
      await assert.rejects(queue.hasTask(text), half);
      await assert.rejects(queue.cancel(text), half);
      await assert.rejects(queue.listen(text), half);
      await assert.rejects(queue.setQueueListened(text), half);
      assert.throws(() => queue.buildTask(text, "work", 1), half);
    }
    assert.equal(await server.cli("DBSIZE"), "0");
  });
});

describe("other versions", () => {
  const keys = keysOf("bytes", "task-queue");
  let server: RedisServer;
  let scene: Scene;

  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await server.stop();
  });
  beforeEach(async () => {
    await server.cli("FLUSHALL");
    scene = new Scene("bytes");
  });
  afterEach(async () => {
    await scene.close();
  });

  it("F83: the bytes of the first release are read", async () => {
    await server.cli("SET", keys.record("ended"), ENDED);
    await server.cli("SET", keys.record("failed"), FAILED);
    const queue = await scene.open(server.url);
    const ended = await queue.getTask("ended");
    assert.deepEqual([ended?.state, ended?.name, ended?.params, ended?.result], ["succeeded", "work", 1, 42]);
    const failed = await queue.getTask("failed");
    assert.deepEqual([failed?.state, failed?.currentProgress, failed?.totalProgress], ["failed", 1, 2]);
    assert.ok(failed?.error instanceof RangeError && failed.error.message === "too big");
  });

  it("F83: tasks of the first release, and of a later one that added to options and outcome, are done", async () => {
    await server.cli("SET", keys.record("old"), QUEUED);
    await server.cli("SET", keys.record("new"), EXTENDED);
    const bare = '{"params":7,"timeout":60000,"later":{"a":1}}';
    await server.cli("SET", keys.record("bare"), bare);
    await server.cli("RPUSH", keys.queue("work"), "old", "new", "bare");
    await scene.listen(server.url);
    const queue = await scene.open(server.url);
    for (const id of ["old", "new", "bare"]) {
      await until(async () => (await queue.getTask(id))?.state === "succeeded", `${id} is done`);
      assert.equal((await queue.getTask(id))?.result, 7);
    }
    const record = await server.cli("GETRANGE", keys.record("new"), "114", "170");
    assert.match(record, /^work\{"future":\{"a":\[1\]\},"priority":"high"\}json=7/, "what is not known is kept");
  });

  it("F83: a later layout is named to its reader, left to newer listeners, and harms no other task", async () => {
    await server.cli("SET", keys.record("newer"), NEWER);
    await server.cli("RPUSH", keys.queue("work"), "newer");
    await scene.listen(server.url);
    const queue = await scene.open(server.url);
    assert.equal(await queue.query("mine", "work", 1, { policy: "remote" }), 1);
    const version = (error: unknown) => error instanceof SerializationError && /version 2/.test(error.message);
    await assert.rejects(queue.getTask("newer"), version);
    await assert.rejects(queue.hasTask("newer"), version);
    assert.equal(await server.cli("GET", keys.record("newer")), NEWER);
    assert.equal(await server.cli("LRANGE", keys.queue("work"), "0", "-1"), "newer");
    assert.equal(scene.starts.has("newer"), false);
  });
});
