import assert from "node:assert/strict";
import process from "node:process";
import { after, afterEach, before, describe, it } from "node:test";
import { type CliResult, fixture, runCli, type RunningCli, startCli } from "./fixtures/run_cli.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until, within } from "./support/wait.ts";

const SECRET = "s3cret-word";
const TASKS = fixture("cli_tasks.ts");
/** Starting a runtime three times over on a busy machine takes its time. */
const SLOW = { timeout: 90_000 };

describe("errand, without Redis", () => {
  it("suggests the command and the flag that was meant, with exit code 2", SLOW, async () => {
    const [command, flag] = await Promise.all([runCli(["lisen", "x"]), runCli(["query", "add", "--tiemout", "1s"])]);
    assert.match(command.stderr, /did you mean `listen`\?/);
    assert.match(flag.stderr, /did you mean --timeout\?/);
    assert.deepEqual([command.code, flag.code], [2, 2]);
  });

  it("names a bad value and the way out, with exit code 2", SLOW, async () => {
    const bad: readonly (readonly [string[], RegExp])[] = [
      [["query", "add", "--timeout", "30"], /timeout: Cannot read the duration "30": it needs a unit/],
      [["query", "add", "--params", "{a"], /params: Cannot read it as JSON/],
      [["listen", TASKS, "--workers", "0"], /workers: Cannot use "0": it must be a whole number/],
      [["listen", fixture("no_tasks.ts")], /a map in which "add" is no function/],
      [["query", "add", "--policy", "local"], /name the module of its handler with --module/],
    ];
    const results = await Promise.all(bad.map(([args]) => runCli(args)));
    for (const [index, { code, stderr }] of results.entries()) {
      assert.match(stderr, bad[index]![1]);
      assert.equal(code, 2);
    }
  });

  it("prints help with the exit codes", SLOW, async () => {
    const help = await runCli(["query", "--help"]);
    assert.match(help.stdout, /EXIT CODES\n\s+0 {2}done/);
    assert.equal(help.code, 0);
  });

  it("says that Redis cannot be reached within seconds, without the password, with exit code 3", SLOW, async () => {
    const url = `redis://me:${SECRET}@127.0.0.1:1`;
    const began = performance.now();
    const results = await Promise.all([
      runCli(["get", "x", "--url", url]),
      runCli(["listen", TASKS], { REDIS_URL: url }),
    ]);
    assert.ok(performance.now() - began < 30_000);
    for (const { code, stderr, stdout } of results) {
      assert.match(stderr, /Cannot reach Redis at redis:\/\/\*\*\*@127\.0\.0\.1:1/);
      assert.doesNotMatch(stderr + stdout, new RegExp(SECRET));
      assert.equal(code, 3);
    }
  });

  it(
    "says once where Redis is not, in one line with our prefix; --verbose and ERRAND_DEBUG=1 add stacks",
    SLOW,
    async () => {
      const args = ["get", "x", "--url", "redis://127.0.0.1:1"];
      const [brief, verbose, debug, usage] = await Promise.all([
        runCli(args),
        runCli([...args, "--verbose"]),
        runCli(args, { ERRAND_DEBUG: "1" }),
        runCli(["get", "x", "--url", "redis://127.0.0.1:99999"]),
      ]);
      assert.match(
        brief.stderr,
        /^errand: Cannot reach Redis at redis:\/\/127\.0\.0\.1:1: (?!Cannot).*Is it running\?.*\n$/,
      );
      for (const { stderr } of [verbose, debug]) assert.match(stderr, /\n\s+at [^]*caused by ConnectionLostError/);
      assert.match(usage.stderr, /^errand: Cannot use Redis URL .*: its port 99999 is greater than 65535\n$/);
    },
  );

  it("begins complaints about usage with its name", SLOW, async () => {
    const results = await Promise.all([runCli(["lisen"]), runCli(["get"]), runCli(["query", "a", "--timeout", "3"])]);
    for (const { stderr } of results) assert.match(stderr, /^errand: /);
  });

  it("says that a memory store is empty in a new process", SLOW, async () => {
    const got = await runCli(["get", "x"], { REDIS_URL: "memory:" });
    assert.equal(got.code, 5);
    assert.match(got.stderr, /^errand: Cannot find task "x": a memory store is empty in each new process.*\n$/);
  });

  it(
    "fails in one line, with exit code 1, when JSON has no form for a result, and says the causes of an error",
    SLOW,
    async () => {
      const local = ["--url", "memory:", "--policy", "local", "--module", fixture("odd_results.ts")];
      const [circular, bigint, because] = await Promise.all(
        ["circular", "bigint", "because"].map((name) => runCli(["query", name, ...local])),
      );
      assert.match(circular!.stderr, /^errand: SerializationError: Cannot serialize the result of task circular:.*\n$/);
      assert.match(bigint!.stderr, /^errand: SerializationError: Cannot serialize the result of task bigint:.*\n$/);
      assert.equal(because!.stderr, "errand: RangeError: the task fails\n  caused by Error: the disk is full\n");
      assert.deepEqual([circular, bigint, because].map((ended) => ended!.code), [1, 1, 1]);
    },
  );

  it("ends when it is done, whatever a module of the user's keeps open", SLOW, async () => {
    const module = fixture("busy_module.ts");
    const ended = await within(
      runCli(["query", "x", "--url", "memory:", "--policy", "local", "--module", module]),
      "its end",
      30_000,
    );
    assert.deepEqual(ended, { code: 0, stdout: '"done"\n', stderr: "" });
  });

  it("does not repeat a password in its complaint about a mistyped call", SLOW, async () => {
    const results = await Promise.all([
      runCli(["get", "x", `redis://:${SECRET}@h`]),
      runCli(["get", "x", "--ulr", `redis://:${SECRET}@h`]),
      runCli(["get", "x", "--workers", SECRET, "--url", `redis://:${SECRET}@h`]),
    ]);
    for (const { stderr, stdout } of results) assert.doesNotMatch(stderr + stdout, new RegExp(SECRET));
  });
});

describe("errand, with Redis", () => {
  let redis: RedisServer;
  const running: RunningCli[] = [];
  before(async () => void (redis = await startRedis({ password: SECRET })));
  after(() => redis.stop());
  afterEach(async () => {
    for (const cli of running.splice(0)) {
      cli.kill("SIGKILL");
      await cli.done;
    }
  });

  function run(...args: string[]): Promise<CliResult> {
    return within(runCli(args, { REDIS_URL: redis.url }), `errand ${args.join(" ")}`, 30_000);
  }

  async function listen(...args: string[]): Promise<RunningCli> {
    const cli = startCli(["listen", TASKS, ...args], { REDIS_URL: redis.url });
    running.push(cli);
    await cli.wrote(/listening to/);
    return cli;
  }

  it("asks, does, shows and stops", SLOW, async () => {
    const listener = await listen("--workers", "2");
    const [sum, none, failed] = await Promise.all([
      run("query", "add", "--id", "sum", "--params", '{"a":1,"b":2}'),
      run("query", "nothing", "--policy", "remote"),
      run("query", "fail"),
    ]);
    assert.deepEqual(sum, { code: 0, stdout: "3\n", stderr: "" });
    assert.deepEqual(none, { code: 0, stdout: "null\n", stderr: "" });
    assert.equal(failed.code, 1);
    assert.match(failed.stderr, /^errand: TypeError: this task fails.*\n$/);
    const got = await run("get", "sum");
    const record = JSON.parse(got.stdout) as Record<string, unknown>;
    assert.deepEqual([record.id, record.name, record.state, record.result], ["sum", "add", "succeeded", 3]);
    listener.kill("SIGTERM");
    const ended = await within(listener.done, "the listener ends", 15_000);
    assert.equal(ended.code, 0);
    assert.doesNotMatch(listener.output(), new RegExp(SECRET));
  });

  it("answers an unknown id with exit code 5 and a timeout with 4", SLOW, async () => {
    const [get, cancel, late] = await Promise.all([
      run("get", "nobody"),
      run("cancel", "nobody"),
      run("query", "unattended", "--timeout", "300ms"),
    ]);
    assert.deepEqual([get.code, cancel.code, late.code], [5, 5, 4]);
    assert.match(get.stderr, /Cannot find task "nobody"/);
    assert.match(
      late.stderr,
      /^errand: nobody listens to unattended under prefix errand\nerrand: TaskTimeoutError: .*\n$/,
    );
  });

  it("tells refused credentials, a missing password and a missing database apart, with exit code 3", SLOW, async () => {
    const server = `127.0.0.1:${redis.port}`;
    const [wrong, none, database] = await Promise.all([
      runCli(["get", "x", "--url", `redis://:not-${SECRET}@${server}`]),
      runCli(["get", "x", "--url", `redis://${server}`]),
      runCli(["get", "x", "--url", `redis://:${SECRET}@${server}/99`]),
    ]);
    assert.match(
      wrong.stderr,
      /^errand: Redis at .* refused the credentials: WRONGPASS [^.]*\. See --url and REDIS_URL\n$/,
    );
    assert.match(none.stderr, /wants a password: write redis:\/\/:password@host in --url or REDIS_URL\n$/);
    assert.match(database.stderr, /has no such database: ERR DB index is out of range\. See/);
    for (const { code, stderr } of [wrong, none, database]) {
      assert.equal(code, 3);
      assert.doesNotMatch(stderr, new RegExp(SECRET));
    }
  });

  it("hints at TLS when a port does not speak it", SLOW, async () => {
    const { code, stderr } = await runCli(["get", "x", "--url", `rediss://:${SECRET}@127.0.0.1:${redis.port}`]);
    assert.equal(code, 3);
    assert.match(stderr, /it answers, but without TLS\. Write redis:\/\//);
  });

  it("takes ids that begin with a dash or hold spaces and line breaks behind --", SLOW, async () => {
    for (const id of ["--dash", "a b\nc"]) {
      await redis.cli("SET", `errand|task-queue|task-result:${id}`, '{"params":1}');
      const got = await run("get", "--", id);
      assert.deepEqual([(JSON.parse(got.stdout) as { id: string }).id, got.code], [id, 0]);
    }
  });

  it("names a task that cannot be read, in one line, and shows what can be", SLOW, async () => {
    await redis.cli("SET", "errand|task-queue|task-result:junk", "hello");
    await redis.cli("SET", "errand|task-queue|task-result:bare", "{abc");
    const [junk, cancelled, bare] = await Promise.all([run("get", "junk"), run("cancel", "junk"), run("get", "bare")]);
    for (const { code, stderr, stdout } of [junk, cancelled]) {
      assert.match(stderr, /^errand: Cannot read task "junk": .*begins with "hello"\n$/);
      assert.deepEqual([code, stdout], [1, ""]);
    }
    assert.match(bare.stderr, /^errand: Cannot read task "bare": .*\n$/);
    const { state, params } = JSON.parse(bare.stdout) as Record<string, unknown>;
    assert.deepEqual([bare.code, state, params], [1, "queued", "{abc"]);
  });

  it("runs a task here with --module when nobody listens", SLOW, async () => {
    const here = await run("query", "any-name", "--module", fixture("one_task.ts"), "--policy", "local");
    assert.deepEqual(here, { code: 0, stdout: '"did any-name"\n', stderr: "" });
  });

  it("cancels a running task", SLOW, async () => {
    const listener = await listen("--names", "wait");
    const asking = startCli(["query", "wait", "--id", "long", "--params", "60000"], { REDIS_URL: redis.url });
    running.push(asking);
    await listener.wrote(/waiting long/);
    const cancelled = await run("cancel", "long");
    assert.deepEqual([cancelled.code, JSON.parse(cancelled.stdout)], [0, { id: "long", cancel: "cancelled" }]);
    assert.equal((await within(asking.done, "the query ends", 10_000)).code, 6);
  });

  it("tells a cancel that came too late from one that nobody has heard yet", SLOW, async () => {
    const listener = await listen("--names", "add,wait");
    await run("query", "add", "--id", "done", "--params", '{"a":1,"b":2}');
    const late = await run("cancel", "done");
    assert.deepEqual([late.code, JSON.parse(late.stdout)], [7, { id: "done", cancel: "completed" }]);
    assert.match(late.stderr, /Cannot cancel task "done": it has ended already\n$/);
    running.push(startCli(["query", "wait", "--id", "held", "--params", "60000"], { REDIS_URL: redis.url }));
    await listener.wrote(/waiting held/);
    listener.kill("SIGKILL");
    await listener.done;
    const unheard = await run("cancel", "held", "--timeout", "200ms");
    assert.deepEqual([unheard.code, JSON.parse(unheard.stdout)], [4, { id: "held", cancel: "unreachable" }]);
    assert.match(unheard.stderr, /Cannot cancel task "held" yet: it runs still/);
  });

  it("lets running tasks end after one Ctrl-C", SLOW, async () => {
    const listener = await listen("--names", "stubborn");
    const asking = startCli(["query", "stubborn", "--id", "one", "--params", "700"], { REDIS_URL: redis.url });
    running.push(asking);
    await listener.wrote(/stubborn one/);
    listener.kill("SIGINT");
    assert.equal((await within(listener.done, "the listener ends", 15_000)).code, 0);
    assert.deepEqual(await within(asking.done, "the query ends"), { code: 0, stdout: '"done"\n', stderr: "" });
  });

  it("F18: gives running tasks back and exits with 130 after a second Ctrl-C", SLOW, async () => {
    const listener = await listen("--names", "wait", "--grace", "60s", "--lease", "60s");
    const asking = startCli(["query", "wait", "--id", "two", "--params", "60000"], { REDIS_URL: redis.url });
    running.push(asking);
    await listener.wrote(/waiting two/);
    listener.kill("SIGINT");
    await listener.wrote(/once more to stop at once/);
    const began = performance.now();
    listener.kill("SIGINT");
    assert.equal((await within(listener.done, "the listener ends")).code, 130);
    assert.ok(performance.now() - began < 3_000);
    const record = await run("get", "two");
    assert.equal((JSON.parse(record.stdout) as Record<string, unknown>).state, "queued");
  });

  it("gives up a query at the first Ctrl-C, with exit code 130", SLOW, async () => {
    const asking = startCli(["query", "unattended", "--id", "three"], { REDIS_URL: redis.url });
    running.push(asking);
    await until(async () => (await redis.cli("KEYS", "*task-result:three")) !== "", "the task is enqueued", 15_000);
    asking.kill("SIGINT");
    assert.equal((await within(asking.done, "the query ends")).code, 130);
  });

  it("F11: logs what a timer throws, stops and exits with 70", SLOW, async () => {
    const listener = await listen("--names", "late");
    await run("query", "late", "--policy", "remote");
    const ended = await within(listener.done, "the listener ends", 15_000);
    assert.match(ended.stderr, /Error: nobody catches this/);
    assert.equal(ended.code, 70);
  });

  it("F10: logs an unhandled rejection, stops and exits with 70", SLOW, async () => {
    const listener = await listen("--names", "leak");
    await run("query", "leak", "--policy", "remote");
    const ended = await within(listener.done, "the listener ends", 15_000);
    assert.match(ended.stderr, /unhandled: Error: nobody handles this/);
    assert.equal(ended.code, 70);
  });
});

describe("errand demo", () => {
  it("shows everything and ends by itself within a minute, with exit code 0", SLOW, async () => {
    const demo = await within(runCli(["demo"]), "the demo ends", 60_000);
    assert.equal(demo.code, 0, demo.stderr + demo.stdout);
    for (const policy of ["Local", "Remote", "LocalFirst", "RemoteFirst", "Auto"]) {
      assert.match(demo.stdout, new RegExp(`${policy} +(here|at a listener) \\(pid \\d+\\)`));
    }
    assert.match(demo.stdout, /RangeError: Cannot divide by 0/);
    assert.match(demo.stdout, /finished by the other listener/);
    assert.match(demo.stdout, /Done in/);
  });

  it("shows the memory store, and says so, where there is no redis-server", SLOW, async () => {
    const demo = await within(runCli(["demo"], { PATH: "/nowhere" }), "the demo ends", 60_000);
    assert.equal(demo.code, 0, demo.stderr + demo.stdout);
    assert.match(demo.stdout, /there is no redis-server here, so this shows the memory store/);
    assert.match(demo.stdout, /left out: the memory store has no other processes/);
  });

  it("ends every process that it started when it is interrupted", SLOW, async () => {
    const demo = startCli(["demo"]);
    await demo.wrote(/Listeners: \d+ and \d+/);
    const pids = [...demo.output().matchAll(/pid (\d+)|Listeners: (\d+) and (\d+)/g)]
      .flatMap((match) => match.slice(1)).filter((pid) => pid !== undefined).map(Number);
    demo.kill("SIGINT");
    assert.equal((await within(demo.done, "the demo ends", 15_000)).code, 130);
    assert.ok(pids.length >= 4);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), `process ${pid} is still there`);
  });
});
