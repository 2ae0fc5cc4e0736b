/** README.md: its blocks of code compile, run, or are walked by tests/roads; and its limits are the code's. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { ATTEMPT_TIMEOUT } from "../src/attempt.ts";
import { checkText } from "../src/checks.ts";
import { NAMES_MAX } from "../src/listener.ts";
import { settingsOf } from "../src/options.ts";
import { backoffDelay, DEFAULT_BACKOFF } from "../src/retry.ts";
import { CODEC_LIMIT, VALUE_LIMIT } from "../src/serializer.ts";
import { BOUNDS } from "../src/store/ended.ts";
import { CRASHES_MAX } from "../src/store/memory/memory_script.ts";
import { pairs, pinned } from "../tools/compatibility.ts";
import { runCli, type RunningCli, startCli } from "./fixtures/run_cli.ts";
import { type RedisServer, startRedis } from "./support/redis_server.ts";
import { until } from "./support/wait.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const page = readFileSync(join(ROOT, "README.md"), "utf8");
const fences = [...page.matchAll(/^```(\S[^\n]*)\n([\s\S]*?)^```$/gm)].map(([, kind, code]) => ({
  kind: kind!,
  code: code!,
}));
const blocks = (kind: string) => fences.filter((fence) => fence.kind === kind).map(({ code }) => code);

/** What fragments take for granted. */
const PREAMBLE = `
import { RedisTaskQueue, type RedisTask, TaskExecutePolicy } from "../../mod.ts";
declare const queue: RedisTaskQueue;
declare const [id, name]: [string, string];
declare const params: unknown;
declare function shrink(image: string, options: { signal: AbortSignal }): Promise<void>;
void TaskExecutePolicy;
export type Unused = RedisTask;
`;

/** The words of a command, quotes taken off; and what it prints, as its comment says. */
function parseCommand(line: string): { words: string[]; prints: string[] } {
  const [command, comment = ""] = line.split(" # ");
  const words = [...command!.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
  assert.equal(words.shift(), "errand", line);
  return { words, prints: comment.split("…").map((part) => part.trim()).filter(Boolean) };
}

describe("the blocks of README.md", () => {
  const folder = mkdtempSync(join(ROOT, "tests", ".readme-"));
  let redis: RedisServer;
  let listener: RunningCli | undefined;
  before(async () => void (redis = await startRedis()));
  after(async () => {
    listener?.kill("SIGKILL");
    await listener?.done;
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("are all of a kind that is tested", () => {
    const kinds = ["ts runnable", "ts", "sh walked", "sh here", "js tasks.mjs", "sh listener", "sh"];
    assert.deepEqual([...new Set(fences.map(({ kind }) => kind))].sort(), kinds.sort());
  });

  if ("Deno" in globalThis) {
    it("that are fragments compile", { timeout: 60_000 }, async () => {
      const files = blocks("ts").map((code, at) => {
        const file = join(folder, `fragment_${at}.ts`);
        writeFileSync(file, PREAMBLE + code);
        return file;
      });
      const failure = await new Promise<string>((resolve) => {
        execFile(
          process.execPath,
          ["check", "-q", ...files],
          { cwd: ROOT },
          (error, _, stderr) => resolve(error ? stderr : ""),
        );
      });
      assert.equal(failure, "");
    });
  }

  it("of the command line print what their comments say", { timeout: 120_000 }, async () => {
    const env = { REDIS_URL: redis.url };
    writeFileSync(join(folder, "tasks.mjs"), blocks("js tasks.mjs")[0]!);
    const [listen] = blocks("sh listener");
    const { words } = parseCommand(listen!.trim().replace("./tasks.mjs", join(folder, "tasks.mjs")));
    listener = startCli(words, env);
    await listener.wrote(/listening to/);
    for (const line of blocks("sh").join("").trim().split("\n")) {
      const { words, prints } = parseCommand(line);
      assert.ok(prints.length > 0, line);
      let stdout = "";
      // A task that was handed in needs its moment; what has been handed in must not be so twice.
      const isLook = ["get", "counts", "dead list"].some((start) => words.join(" ").startsWith(start));
      const asks = async () => {
        stdout = (await runCli(words, env)).stdout;
        return prints.every((text) => stdout.includes(text));
      };
      if (isLook) await until(asks, `${line} prints it, not ${stdout}`, 20_000);
      else assert.ok(await asks(), `${line} printed ${stdout}`);
    }
  });

  it("that are walked name only ways that tests/roads walks, and that the repository has", () => {
    const roads = readdirSync(join(ROOT, "tests/roads")).map((name) =>
      readFileSync(join(ROOT, "tests/roads", name), "utf8")
    );
    const walks: Readonly<Record<string, RegExp>> = {
      "npm install @errand/errand": /\["npm", \.\.\.INSTALL\]/,
      "npx errand listen ./tasks.mjs": /listen: \["npx", "errand"\], module: "\.\/tasks\.mjs"/,
      "npx @errand/errand listen ./tasks.mjs": /listen: \["npx", NAME\], module: "\.\/tasks\.mjs"/,
      "bun add @errand/errand": /\["bun", "add"\]/,
      "bunx --bun errand listen ./tasks.ts": /listen: \["bunx", "--bun", "errand"\], module: "\.\/tasks\.ts"/,
      "deno add npm:@errand/errand": /\["deno", "add"\], \[`npm:\$\{NAME\}`\]/,
      "deno run -A npm:@errand/errand listen ./tasks.ts":
        /listen: \[\.\.\.RUN, `npm:\$\{NAME\}`\], module: "\.\/tasks\.ts"/,
      // JSR cannot be reached from where the tests run: the same sources are walked.
      "deno add jsr:@errand/errand": /the sources, as from JSR/,
      "deno run -A jsr:@errand/errand/cli listen ./tasks.ts": /the sources, as from JSR/,
      "bun build --compile cli.ts --outfile errand": /a binary of bun build --compile/,
      "./errand listen ./tasks.ts": /a binary of bun build --compile/,
    };
    const lines = blocks("sh walked").join("").trim().split("\n").map((line) => line.split(" # ")[0]!.trim());
    for (const line of lines) assert.ok(walks[line]?.test(roads.join("\n")), line);
    const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    for (const line of blocks("sh here").join("").trim().split("\n")) {
      assert.ok(/^npm (?:run )?(\w+)/.exec(line)![1]! in scripts, line);
    }
  });
});

/** A number of the sources: the constant of a file of src. */
function constant(file: string, name: string): number {
  const source = readFileSync(join(ROOT, "src", file), "utf8");
  const [, digits] = new RegExp(`const ${name}(?:: \\w+)? = ([\\d_]+);`).exec(source) ?? [];
  assert.ok(digits !== undefined, `src/${file} has no number ${name}`);
  return Number(digits.replaceAll("_", ""));
}

describe("the limits of README.md", () => {
  const rows = new Map(
    [...page.slice(page.indexOf("## Limits")).matchAll(/^\| (.+?) +\| (.+?) +\|$/gm)].map((
      [, what, limit],
    ) => [what!, limit!]),
  );
  const count = (value: number) => value.toLocaleString("en-US");
  const days = (value: number) => value / 86_400_000;
  const seconds = (value: number) => value / 1_000;
  const expected: Readonly<Record<string, string>> = {
    "params, a result": `${count(VALUE_LIMIT)} bytes (1 MiB) each`,
    "an error's message, stack, fields": `${count(constant("remote_error.ts", "TEXT_MAX"))} characters each and ${
      constant("remote_error.ts", "CAUSE_DEPTH")
    } causes deep`,
    "a value's nesting, with JSON": `${count(constant("json_loss.ts", "DEPTH_MAX"))} deep`,
    "a codec": `${seconds(CODEC_LIMIT)} seconds`,
    "failed attempts kept of a task": `the last ${constant("outcome.ts", "LAST_ATTEMPTS")}, ${
      constant("outcome.ts", "MESSAGE_MAX")
    } characters`,
    "attempts of a task": `at most ${constant("retry.ts", "ATTEMPTS_MAX")}`,
    "lost leases of a task": `${CRASHES_MAX};`,
    "one attempt": `${seconds(ATTEMPT_TIMEOUT) / 60} minutes`,
    "progress": `every ${constant("progress_writer.ts", "PAUSE")} ms`,
    "names of one listener": `${NAMES_MAX}`,
    "one call of Redis": `${constant("port/coalescer.ts", "BATCH_ITEMS_MAX")} tasks or ${
      count(constant("port/coalescer.ts", "BATCH_CHARACTERS_MAX"))
    } characters`,
    "a lease": `at least ${constant("options.ts", "LEASE_MIN")} ms, ${
      seconds(settingsOf({}).lease)
    } seconds by default`,
    "durations": `at most ${count(constant("checks.ts", "DURATION_MAX"))} ms`,
    "`resultTtl`": `${count(constant("options.ts", "RESULT_TTL_MIN"))} to ${
      count(constant("options.ts", "RESULT_TTL_MAX"))
    } ms`,
    "dead letters": `${count(BOUNDS.deadMax)} of a name for ${days(BOUNDS.deadTtl)} days`,
    "other ended tasks": `${count(BOUNDS.doneBytes)} bytes (64 MiB) of a name`,
  };

  for (const [what, limit] of Object.entries(expected)) {
    it(`${what}: ${limit}`, () => assert.ok(rows.get(what)?.includes(limit), rows.get(what) ?? "no such row"));
  }

  it("ids, names, prefix, suffix: by the check itself", () => {
    assert.equal(rows.get("ids, names, prefix, suffix"), "1 to 512 bytes each");
    checkText("id", "x".repeat(512));
    for (const text of ["", "x".repeat(513)]) assert.throws(() => checkText("id", text), TypeError);
  });

  it("has no other row", () => {
    const others = ["what", "---", "ids, names, prefix, suffix", "Redis", "runtimes"];
    const known = [...Object.keys(expected), ...others];
    assert.deepEqual([...rows.keys()].filter((what) => !known.includes(what) && !/^-+$/.test(what)), []);
  });

  it("the waits of retries are the default backoff's", () => {
    const waits = Array.from({ length: 10 }, (_, at) => seconds(backoffDelay(DEFAULT_BACKOFF, at + 1, 0)));
    const text = page.replaceAll(/\s+/g, " ");
    assert.ok(text.includes(`${waits.slice(0, 8).join(", ")} and ${waits[8]} seconds, then ${waits[9]! / 60} minutes`));
    assert.equal(DEFAULT_BACKOFF.jitter, 0.5);
  });
});

describe("docs/compatibility.md", () => {
  const table = readFileSync(join(ROOT, "docs/compatibility.md"), "utf8");

  it("has a row for every client on every runtime that it supports", () => {
    const rows = [...table.matchAll(/^\| `([^`]+)` +\| (deno|bun|node) /gm)].map(([, client, runtime]) => ({
      client,
      runtime,
    }));
    assert.deepEqual(rows, pairs());
  });

  it("was written with the versions that are pinned", () => {
    const versions = new Map(
      [...table.matchAll(/^\| `([^`]+)` +\| (\^?\d[\d.]*) +\|$/gm)].map(([, name, at]) => [name, at]),
    );
    for (const [name, version] of Object.entries(pinned())) assert.equal(versions.get(name), version, name);
  });

  it("adds up", () => {
    const lines = table.split("\n").filter((line) => /^\| `[^`]+` +\| (deno|bun|node) /.test(line)).join("\n");
    const cells = lines.replaceAll(/`[^`]*`/g, "");
    const failed = [...cells.matchAll(/\*\*(\d+) failed/g)].reduce((sum, [, digits]) => sum + Number(digits), 0);
    const passed = [...cells.matchAll(/\| +(\d+)(?=[ ,])/g)].reduce((sum, [, digits]) => sum + Number(digits), 0);
    assert.ok(table.includes(`${passed} passed, ${failed} failed.`), `${passed} passed, ${failed} failed`);
  });
});
