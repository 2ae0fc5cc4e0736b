/**
 * Mutants of the listener's guards: each condition of an `if` negated, each term of an `&&` or `||` in one dropped, by
 * the syntax trees of the TypeScript compiler.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import type { Mutant } from "./lua.ts";

/** Where the guards of a listener are. */
export const GUARDED: readonly string[] = [
  ...["listener", "claim_loop", "runner", "leases", "attempt", "attempt_ending", "inbox", "waiter"],
].map((name) => `src/${name}.ts`);

/** A mutant of one file. */
export interface SourceMutant extends Mutant {
  /** The whole mutated file. */
  readonly source: string;
}

/** All mutants of the guards under `root`. */
export function guardMutants(root: string): SourceMutant[] {
  return GUARDED.flatMap((file) => mutantsOf(file, readFileSync(join(root, file), "utf8")));
}

function mutantsOf(file: string, source: string): SourceMutant[] {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const counts = new Map<string, number>();
  const found: SourceMutant[] = [];
  const add = (node: ts.Node, text: string, operator: string) => {
    const [from, to] = [node.getStart(tree), node.getEnd()];
    const line = source.slice(source.lastIndexOf("\n", from - 1) + 1).split("\n", 1)[0]!.trim();
    const change = `${source.slice(from, to).replaceAll(/\s+/g, " ")} → ${text}`;
    const key = `${file}: ${functionOf(node)}: ${line}: ${operator} ${change}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    const id = count === 1 ? key : `${key} (${count})`;
    found.push({ id, file, line, change, source: source.slice(0, from) + text + source.slice(to) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isIfStatement(node)) {
      add(node.expression, `!(${node.expression.getText(tree).replaceAll(/\s+/g, " ")})`, "negate");
      dropTerms(node.expression, add);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function dropTerms(node: ts.Node, add: (node: ts.Node, text: string, operator: string) => void): void {
  if (ts.isBinaryExpression(node)) {
    const isAnd = node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken;
    const isOr = node.operatorToken.kind === ts.SyntaxKind.BarBarToken;
    if (isAnd || isOr) [node.left, node.right].forEach((term) => add(term, isAnd ? "true" : "false", "drop"));
  }
  ts.forEachChild(node, (child) => dropTerms(child, add));
}

function functionOf(node: ts.Node): string {
  for (let at: ts.Node | undefined = node; at !== undefined; at = at.parent) {
    const named = ts.isMethodDeclaration(at) || ts.isFunctionDeclaration(at) || ts.isGetAccessor(at) ? at.name : null;
    if (named) return named.getText();
    if (ts.isConstructorDeclaration(at)) return "constructor";
  }
  return "(module)";
}
