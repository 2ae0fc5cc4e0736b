/**
 * Finds functions and control statements in a source by its indentation, which `deno fmt` makes dependable: a block
 * begins on a line that ends with `{` and ends on the next line of the same indentation that begins with `}`.
 *
 * @module
 */

/** A function or a control statement with a body of its own lines. */
export interface Block {
  readonly kind: "function" | "control" | "other";
  /** Its first line, counted from 1. */
  readonly first: number;
  /** Lines from its first to its closing brace. */
  readonly lines: number;
  /** For a control statement: how many of its kind it stands in within its function, itself included. */
  readonly nesting: number;
}

interface Open {
  readonly kind: Block["kind"];
  readonly indent: number;
  readonly first: number;
  readonly nesting: number;
}

const CONTROL = /^(?:\} )?(?:else|if|for|while|switch|try|catch|finally|do)\b/;
const FUNCTION =
  /\bfunction\b|=>(?: \(?)?\s*\{$|^(?:(?:static|async|get|set|override|public|\*) ?)*[#\w$[\].]+(?:<.*>)?\(.*\{$|^\)[^;]*\{$/;
const DECLARATION = /^(?:export )?(?:default )?(?:abstract )?(?:class|interface|type|namespace)\b/;

/** All blocks of a source whose comments were blanked out. */
export function findBlocks(code: string): Block[] {
  const blocks: Block[] = [];
  const open: Open[] = [];
  let inTemplate = false;
  code.split("\n").forEach((line, index) => {
    const wasInTemplate = inTemplate;
    if ((line.match(/(?<!\\)`/g)?.length ?? 0) % 2 === 1) {
      inTemplate = !inTemplate;
    }
    if (wasInTemplate || line.trim() === "") return;
    const indent = line.length - line.trimStart().length;
    const top = open.at(-1);
    if (line.trimStart().startsWith("}") && top?.indent === indent) {
      blocks.push({
        kind: top.kind,
        first: top.first,
        lines: index + 2 - top.first,
        nesting: top.nesting,
      });
      open.pop();
    }
    if (line.endsWith("{")) {
      open.push(begin(line.trim(), indent, index + 1, open));
    }
  });
  return blocks;
}

function begin(text: string, indent: number, first: number, open: readonly Open[]): Open {
  const kind = kindOf(text);
  const inner = open.slice(open.findLastIndex((block) => block.kind === "function") + 1);
  const around = inner.filter((block) => block.kind === "control").length;
  return { kind, indent, first, nesting: kind === "control" ? around + 1 : 0 };
}

function kindOf(text: string): Block["kind"] {
  if (CONTROL.test(text)) return "control";
  if (DECLARATION.test(text)) return "other";
  return FUNCTION.test(text) ? "function" : "other";
}
