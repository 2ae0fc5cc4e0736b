/**
 * The two streams of a command: results on standard output, everything said about them on standard error.
 *
 * @module
 */
import process from "node:process";
import pc from "picocolors";
import type { LogEntry } from "../log.ts";
import { cannot, jsonSerializer } from "../serializer.ts";
import { CliError } from "./exit_codes.ts";
import { Redactor } from "./redact.ts";

/** How deep causes are shown. */
const CAUSES_MAX = 5;

/** The colours of picocolors, as far as the stream shows any. */
export type Colors = ReturnType<typeof pc.createColors>;

/** Where a command writes. */
export class Output {
  /** Masks passwords in all that goes to standard error. */
  readonly redactor: Redactor = new Redactor();
  /** Is standard error a terminal? (Bun leaves `isTTY` undefined in a pipe.) */
  readonly isTerminal: boolean = Boolean(process.stderr.isTTY);
  /** Colours for standard error. */
  readonly colors: Colors = colorsFor(process.stderr);

  /**
   * Writes a value as one line of JSON to standard output; `undefined` becomes `null`. It is data and not redacted.
   *
   * @throws {SerializationError} naming `what` when JSON has no form for it.
   */
  result(value: unknown, what: string): void {
    try {
      process.stdout.write(`${value === undefined ? "null" : jsonSerializer.serialize(value)}\n`);
    } catch (cause) {
      throw cannot(`serialize ${what}`, jsonSerializer.name, cause);
    }
  }

  /** Writes text that is no result (help, the demo's story) to standard output. */
  text(text: string): void {
    process.stdout.write(this.redactor.redact(text));
  }

  /** Writes text to standard error. */
  errorText(text: string): void {
    process.stderr.write(this.redactor.redact(text));
  }

  /** Writes a line about what happens to standard error. */
  note(line: string): void {
    this.errorText(`errand: ${line}\n`);
  }

  /** Writes what the queue logs, information dropped. */
  log(entry: LogEntry): void {
    if (entry.level === "info") return;
    const paint = entry.level === "error" ? this.colors.red : this.colors.yellow;
    this.note(`${paint(entry.message)}${entry.error === undefined ? "" : ` (${describeError(entry.error)})`}`);
  }

  /** Resolves when standard output has taken all that was written. */
  flushed(): Promise<void> {
    return new Promise((resolve) => process.stdout.write("", () => resolve()));
  }
}

/** The colours for a stream: none when it is no terminal or `NO_COLOR` is set. */
export function colorsFor(stream: { readonly isTTY?: boolean }): Colors {
  return pc.createColors(Boolean(stream.isTTY) && !process.env.NO_COLOR);
}

/** An error in one line: `TypeError: message`. Line breaks and other control characters become spaces. */
export function describeError(error: unknown): string {
  return oneLine(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
}

/**
 * An error and its causes, one line each; a cause whose message was said already is left out. A {@linkcode CliError} is
 * worded for people: it says what they need of its causes.
 */
export function describeBriefly(error: unknown): string {
  if (error instanceof CliError) return oneLine(error.message);
  return chainOf(error).reduce<string>((said, cause) => {
    const message = oneLine(cause instanceof Error ? cause.message : String(cause));
    return said.includes(message) ? said : `${said}\n  caused by ${describeError(cause)}`;
  }, describeError(error));
}

/** An error with its stack and those of its causes, for the person who has to find it. */
export function describeFully(error: unknown): string {
  return [error, ...chainOf(error)].map(withStack).join("\ncaused by ");
}

function withStack(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.stack?.includes(error.message) ? error.stack : `${describeError(error)}\n${error.stack ?? ""}`;
}

/** The causes of an error, a few at most: a chain may be a ring. */
function chainOf(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  let cause = error instanceof Error ? error.cause : undefined;
  while (cause !== undefined && chain.length < CAUSES_MAX) {
    chain.push(cause);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return chain;
}

function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
}
