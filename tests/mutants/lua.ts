/**
 * Mutants of the scripts, made from their syntax trees: each comparison negated, each term of an `and` or `or` dropped,
 * each write deleted, each number that bounds something one larger.
 *
 * What several scripts share (the prelude, recovery) is one mutant, made in all of them. An id names the function, the
 * text of the line and what is done to it, so that it outlives edits elsewhere.
 *
 * Next: `kill_lua.ts`.
 *
 * @module
 */
import luaparse from "luaparse";
import type { Script } from "../../src/store/redis/script.ts";

/** What the mutant list says of a mutant. */
export interface Mutant {
  readonly id: string;
  readonly file: string;
  /** The line, without its indentation. */
  readonly line: string;
  /** What is put in the place of what. */
  readonly change: string;
}

/** A mutant of scripts: by the name of a script, its mutated text. */
export interface LuaMutant extends Mutant {
  readonly sources: ReadonlyMap<string, string>;
}

interface Node {
  readonly type: string;
  readonly range: [number, number];
  readonly [field: string]: unknown;
}

interface Edit {
  readonly range: readonly [number, number];
  readonly text: string;
  readonly operator: string;
  readonly where: string;
}

const OPPOSITE: Readonly<Record<string, string>> = {
  "<": ">=",
  "<=": ">",
  ">": "<=",
  ">=": "<",
  "==": "~=",
  "~=": "==",
};
const WRITES =
  /^"(?:SET|DEL|UNLINK|SETRANGE|PEXPIRE|ZADD|ZREM|ZREMRANGEBYSCORE|RPUSH|LPUSH|LTRIM|SADD|HINCRBY|HSET|PUBLISH)"$/;
/** Numbers in these are offsets of bytes, not bounds. */
const OFFSETS = /^(?:sub|string\.(?:sub|find|match)|format|select)$/;

/** All mutants of these scripts; `fileOf` names the file in which a line stands. */
export function luaMutants(scripts: readonly Script[], fileOf: (line: string) => string): LuaMutant[] {
  const found = new Map<string, { line: string; change: string; sources: Map<string, string> }>();
  for (const { name, source } of scripts) {
    const counts = new Map<string, number>();
    for (const { range: [from, to], text, operator, where } of editsOf(source)) {
      const start = source.lastIndexOf("\n", from - 1) + 1;
      const end = source.indexOf("\n", from);
      const line = source.slice(start, end < 0 ? undefined : end).trim();
      const change = `${source.slice(from, to).replaceAll(/\s+/g, " ")} → ${text}`;
      const key = `${where}: ${line}: ${operator} ${change}`;
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      const id = count === 1 ? key : `${key} (${count})`;
      const one = found.get(id) ?? { line, change, sources: new Map<string, string>() };
      found.set(id, one);
      one.sources.set(name, source.slice(0, from) + text + source.slice(to));
    }
  }
  return [...found].map(([id, one]) => ({ id, file: fileOf(one.line), ...one }));
}

function editsOf(source: string): Edit[] {
  const tree = luaparse.parse(source, { ranges: true, luaVersion: "5.1", comments: false }) as Node;
  const edits: Edit[] = [];
  const visit = (node: Node, parents: readonly Node[]): void => {
    edits.push(...editsAt(source, node, parents));
    for (const value of Object.values(node)) {
      for (const child of [value].flat()) if (isNode(child)) visit(child, [...parents, node]);
    }
  };
  visit(tree, []);
  const where = (edit: Edit) => `${edit.where}`;
  return edits.filter((edit) => parses(source, edit)).toSorted((a, b) =>
    where(a) < where(b) ? -1 : a.range[0] - b.range[0]
  );
}

/** By the line, the place in it and the new text: most lines stand in every script, and parsing takes its time. */
const parsed = new Map<string, boolean>();

function parses(source: string, { range: [from, to], text }: Edit): boolean {
  const start = source.lastIndexOf("\n", from - 1) + 1;
  const key = [source.slice(start, source.indexOf("\n", to)), from - start, to - from, text].join("\0");
  const known = parsed.get(key);
  if (known !== undefined) return known;
  let isFine = true;
  try {
    luaparse.parse(source.slice(0, from) + text + source.slice(to), { luaVersion: "5.1" });
  } catch {
    isFine = false;
  }
  parsed.set(key, isFine);
  return isFine;
}

function editsAt(source: string, node: Node, parents: readonly Node[]): Edit[] {
  const where = functionOf(source, parents);
  const edit = (range: readonly [number, number], text: string, operator: string): Edit => ({
    range,
    text,
    operator,
    where,
  });
  const { left, right, operator } = node as unknown as { left: Node; right: Node; operator: string };
  if (node.type === "BinaryExpression" && operator in OPPOSITE) {
    const at = source.indexOf(operator, left.range[1]);
    return [edit([at, at + operator.length], OPPOSITE[operator]!, "negate")];
  }
  if (node.type === "LogicalExpression") {
    const nothing = operator === "and" ? "true" : "false";
    // A literal is what stands for an absent value, no term.
    const terms = [left, right].filter(({ type }) => !/^(?:String|Numeric)Literal$/.test(type));
    return terms.map(({ range }) => edit(range, nothing, "drop"));
  }
  if (isWrite(source, node)) {
    const isStatement = parents.at(-1)!.type === "CallStatement";
    return [edit(node.range, isStatement ? "do end" : "0", "delete")];
  }
  const text = source.slice(...node.range);
  if (node.type === "NumericLiteral" && isBound(source, node, parents)) {
    return [edit(node.range, String(Number(text) + 1), "more")];
  }
  if (node.type === "StringLiteral" && /^"\d{4,12}"$/.test(text) && parents.at(-1)!.type === "CallExpression") {
    return [edit(node.range, `"${Number(text.slice(1, -1)) + 1}"`, "more")];
  }
  return [];
}

function isWrite(source: string, node: Node): boolean {
  if (node.type !== "CallExpression") return false;
  const words = (node.arguments as Node[]).slice(0, 2).map(({ range }) => source.slice(...range));
  const base = source.slice(...(node.base as Node).range);
  if (base === "guarded" && words[0] === "call") return WRITES.test(words[1] ?? "");
  return (base === "call" || base === "redis.call") && WRITES.test(words[0] ?? "");
}

/** Indexes, offsets of bytes and the beginnings of loops bound nothing. */
function isBound(source: string, node: Node, parents: readonly Node[]): boolean {
  return parents.every((parent, index) => {
    const child = parents[index + 1] ?? node;
    if (parent.type === "IndexExpression") return child !== parent.index;
    if (parent.type === "ForNumericStatement") return child !== parent.start && child !== parent.step;
    if (parent.type !== "CallExpression") return true;
    return child === parent.base || !OFFSETS.test(source.slice(...(parent.base as Node).range));
  });
}

function functionOf(source: string, parents: readonly Node[]): string {
  const inner = parents.findLast(({ type, identifier }) => type === "FunctionDeclaration" && identifier);
  return inner ? source.slice(...(inner.identifier as Node).range) : "(script)";
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
