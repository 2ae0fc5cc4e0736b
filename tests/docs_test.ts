import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const { name: NAME, exports: EXPORTS } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));

/** What a process left: its output, and how it ended. */
interface Ended {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a TypeScript file on the runtime that runs this test. It has to end by itself. */
function run(file: string): Promise<Ended> {
  const before = "Deno" in globalThis ? ["run", "-A", "--no-check"] : "Bun" in globalThis ? [] : ["--import", "tsx"];
  const env = { ...process.env, REDIS_URL: undefined, NO_COLOR: "1" };
  return new Promise((resolve) => {
    execFile(process.execPath, [...before, file], { cwd: ROOT, env, timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code ?? error.signal ?? null, stdout, stderr });
    });
  });
}

function assertPrints({ code, stdout, stderr }: Ended, expected: string): void {
  assert.equal(code, 0, `it ended with ${code}: ${stderr}`);
  assert.equal(stdout.trim(), expected);
}

/** A block as users write it, with its imports led to the sources. */
function fromHere(block: string): string {
  const paths = Object.entries<string>(EXPORTS).map(([path, file]) => [join(NAME, path), join(ROOT, file)] as const);
  return paths.reduce(
    (text, [name, file]) => text.replaceAll(`from "${name}"`, `from ${JSON.stringify(pathToFileURL(file).href)}`),
    block,
  );
}

/** The blocks of a page that begin with ```ts runnable. */
function runnableBlocks(page: string): string[] {
  return [...page.matchAll(/^```ts runnable\n([\s\S]*?)^```$/gm)].map(([, code]) => code!);
}

describe("the examples", () => {
  it("quick_start.ts answers and ends", async () => {
    assertPrints(await run("examples/quick_start.ts"), "42");
  });

  it("script.ts answers and ends without close()", async () => {
    assertPrints(await run("examples/script.ts"), "[ 1, 4, 9 ]");
  });

  it("worker.ts is a map of functions, as `errand listen` wants it", async () => {
    const { default: handlers } = await import("../examples/worker.ts");
    assert.deepEqual(Object.values(handlers).map((handler) => typeof handler), ["function", "function"]);
  });
});

describe("runnable blocks", () => {
  const folder = mkdtempSync(join(ROOT, "tests", ".readme-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const name of ["README.md", "docs/serializers.md", "docs/events.md"]) {
    const blocks = runnableBlocks(readFileSync(join(ROOT, name), "utf8"));
    for (const [index, block] of blocks.entries()) {
      it(`block ${index + 1} of ${name} prints what its comments say`, async () => {
        const file = join(folder, `${name.replaceAll(/\W/g, "_")}_${index}.ts`);
        writeFileSync(file, fromHere(block));
        const expected = [...block.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text]) => text).join("\n");
        assertPrints(await run(file), expected);
      });
    }

    it(`${name} has a block that runs`, () => {
      assert.ok(blocks.length > 0);
    });
  }
});

describe("README.md", () => {
  const page = readFileSync(join(ROOT, "README.md"), "utf8");

  it("has the exit codes of the command line", async () => {
    const { EXIT_MEANINGS } = await import("../src/cli/exit_codes.ts");
    const told = [...page.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm)].map(([, code, meaning]) => [Number(code), meaning]);
    assert.deepEqual(told, EXIT_MEANINGS.map(([code, meaning]) => [code, meaning]));
  });
});

describe("the pages", () => {
  const pages = [
    ...readdirSync(ROOT).filter((name) => name.endsWith(".md")),
    ...readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`),
  ];

  for (const page of pages) {
    it(`${page} names only files that are there`, () => {
      const text = readFileSync(join(ROOT, page), "utf8");
      const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, target]) =>
        join(dirname(page), target!)
      );
      const paths = [...text.matchAll(/`((?:src|tests|tools|docs|examples|bench)\/[\w./-]*\w\.(?:ts|mjs|md|json))`/g)]
        .map(([, path]) => path!);
      assert.deepEqual([...links, ...paths].filter((path) => !existsSync(join(ROOT, path))), []);
    });
  }
});
