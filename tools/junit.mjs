/**
 * Reads the JUnit files that the three runtimes write, each with its own habits.
 *
 * Deno lists a `describe` as a test beside its steps, so what has steps is not counted, unless it failed by itself (a
 * hook). A file that cannot be loaded is in no JUnit file of Deno and Bun, so their output is looked at too.
 */

/**
 * One test of a JUnit file.
 *
 * @typedef {{ name: string, status: "passed" | "failed" | "skipped", message: string }} TestCase
 */

/**
 * The tests of a JUnit file.
 *
 * @param {string} xml
 * @returns {TestCase[]}
 */
export function readJUnit(xml) {
  const cases = [];
  for (const match of xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const [, attributes, body = ""] = match;
    const name = [attribute(attributes, "classname"), attribute(attributes, "name")];
    cases.push({
      name: fullName(name),
      status: statusOf(body),
      message: messageOf(body),
    });
  }
  return cases;
}

/**
 * Leaves out the tests that only stand for their steps.
 *
 * @param {TestCase[]} cases
 * @returns {TestCase[]}
 */
export function withoutParents(cases) {
  const parents = new Set();
  for (const { name } of cases) {
    const parts = name.split(" > ");
    for (let length = 1; length < parts.length; length++) {
      parents.add(parts.slice(0, length).join(" > "));
    }
  }
  return cases.filter(({ name, status, message }) =>
    !parents.has(name) ||
    (status === "failed" && !/^\d+ test steps? failed/.test(message))
  );
}

/**
 * Files that a runtime could not even load, as its output tells.
 *
 * @param {string} output
 * @returns {string[]}
 */
export function brokenFiles(output) {
  const deno = [...output.matchAll(/^Uncaught error from (\S+) FAILED/gm)].map(([, file]) => file);
  const bun = Number(/^ *(\d+) errors?$/m.exec(output)?.[1] ?? 0);
  return [...deno, ...Array.from({ length: bun }, () => "an error between the tests")];
}

function fullName([suite, name]) {
  const isNoise = suite === "" || suite === "test" || /\.(?:ts|js)\b/.test(suite);
  // Bun writes the innermost describe first.
  return isNoise ? name : [...suite.split(" > ").reverse(), name].join(" > ");
}

function statusOf(body) {
  if (/<(failure|error)\b/.test(body)) return "failed";
  return /<skipped\b/.test(body) ? "skipped" : "passed";
}

function messageOf(body) {
  const text = /<(?:failure|error)\b[^>]*>([\s\S]*?)<\/(?:failure|error)>/.exec(body)
    ?.[1] ?? "";
  return unescape(text).trim();
}

function attribute(attributes, name) {
  return unescape(new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? "");
}

function unescape(text) {
  const characters = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&", "#10": "\n" };
  return text.replaceAll(/&(lt|gt|quot|apos|amp|#10);/g, (_, name) => characters[name]);
}
