/**
 * Errors on the wire: an error of the listener arrives at the caller as an `Error` with its name, message, stack,
 * cause and own plain fields.
 *
 * Only classes named here are ever rebuilt (the built-in ones and errand's own); any other keeps its `name` on a plain
 * `Error`, so that what stands in Redis never chooses which code runs. Both directions are bounded and never throw:
 * a handler may throw a proxy, a cycle or a gigabyte, and it must not harm the listener. In an outcome the text
 * follows a `!` (`outcome.ts`).
 *
 * Rejected: rebuilding user classes from a registry, as pickle does: it runs constructors with foreign data.
 *
 * @module
 */
import * as errors from "./errors.ts";
import { isPolluting, refuseMember } from "./pollution.ts";

/** Characters kept of a message, of a stack, and of all own fields together. */
const TEXT_MAX = 8_192;
/** Causes kept below an error. */
const CAUSE_DEPTH = 5;
/** Own fields kept of one error, and values looked at inside one field. */
const FIELDS_MAX = 32;
const NODES_MAX = 1_000;

/** An error as JSON. A cause that is no error is `{ "value": … }`. */
interface WireError {
  name?: unknown;
  message?: unknown;
  stack?: unknown;
  cause?: WireError | { value: unknown };
  fields?: Record<string, unknown>;
}

const CLASSES: Readonly<Record<string, (message: string) => Error>> = {
  Error: (message) => new Error(message),
  TypeError: (message) => new TypeError(message),
  RangeError: (message) => new RangeError(message),
  SyntaxError: (message) => new SyntaxError(message),
  ReferenceError: (message) => new ReferenceError(message),
  EvalError: (message) => new EvalError(message),
  URIError: (message) => new URIError(message),
  TaskTimeoutError: (message) => new errors.TaskTimeoutError(message),
  TaskCancelledError: (message) => new errors.TaskCancelledError(message),
  TaskFailedError: (message) => new errors.TaskFailedError(message),
  FatalTaskError: (message) => new errors.FatalTaskError(message),
  TaskConflictError: (message) => new errors.TaskConflictError(message),
  TaskReplacedError: (message) => new errors.TaskReplacedError(message),
  LeaseLostError: (message) => new errors.LeaseLostError(message),
  ListenerStoppedError: (message) => new errors.ListenerStoppedError(message),
  QueueFullError: (message) => new errors.QueueFullError(message),
  SerializationError: (message) => new errors.SerializationError(message),
  ConnectionLostError: (message) => new errors.ConnectionLostError(message, { sent: false }),
};

/** What was thrown, as an `Error`: itself if it is one, else an `Error` that names it and has it as `cause`. Never throws. */
export function toError(thrown: unknown): Error {
  if (isError(thrown)) return thrown;
  return new Error(`A value that is not an Error was thrown: ${show(thrown)}`, { cause: thrown });
}

/** Writes an error as JSON text of bounded length (without the `!` that marks it in an outcome). Never throws. */
export function encodeError(error: unknown): string {
  const node = attempt(() => describe(toError(error), CAUSE_DEPTH));
  return attempt(() => JSON.stringify(node)) ?? '{"name":"Error","message":"An error that cannot be read was thrown"}';
}

/**
 * Reads what {@linkcode encodeError} wrote, with or without its `!`. Never throws: a text that cannot be read gives a
 * `SerializationError` that says so.
 */
export function decodeError(text: string): Error {
  try {
    const node: unknown = JSON.parse(text.startsWith("!") ? text.slice(1) : text, refuseMember);
    if (typeof node === "object" && node !== null) return build(node as WireError, CAUSE_DEPTH);
    throw new TypeError("it is no object");
  } catch (cause) {
    return new errors.SerializationError(`Cannot read the error of a task: ${toError(cause).message}`, { cause });
  }
}

function describe(error: Error, depth: number): WireError {
  const { cause } = error;
  const fields = fieldsOf(error);
  return {
    name: cut(attempt(() => String(error.name)) ?? "Error", 256),
    message: cut(attempt(() => String(error.message)) ?? ""),
    stack: cut(attempt(() => String(error.stack ?? "")) ?? ""),
    ...(cause !== undefined && depth > 0 ? { cause: describeCause(cause, depth - 1) } : {}),
    ...(Object.keys(fields).length > 0 ? { fields } : {}),
  };
}

function describeCause(cause: unknown, depth: number): WireError["cause"] {
  if (isError(cause)) return attempt(() => describe(cause, depth));
  const plain = plainText(cause);
  return { value: plain === undefined || plain.length > TEXT_MAX ? show(cause) : JSON.parse(plain) };
}

/** The own enumerable fields that are plain JSON, until their room is used up. */
function fieldsOf(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  let room = TEXT_MAX;
  for (const key of Object.keys(error).filter(isFieldName).slice(0, FIELDS_MAX)) {
    const text = attempt(() => plainText((error as unknown as Record<string, unknown>)[key]));
    if (text === undefined || text.length + key.length > room) continue;
    room -= text.length + key.length;
    fields[key] = JSON.parse(text);
  }
  return fields;
}

/** A field must not hide what every error has: a `toString` that is data would break whoever prints it. */
function isFieldName(key: string): boolean {
  return key !== "stack" && key !== "cause" && !(key in Error.prototype);
}

/** The JSON of a plain value; undefined for functions, class instances, cycles and what is too large to look at. */
function plainText(value: unknown): string | undefined {
  let nodes = 0;
  return attempt(() =>
    JSON.stringify(value, function (this: Record<string, unknown>, key, inner: unknown) {
      nodes += 1;
      if (nodes > NODES_MAX || !isPlain(this[key])) throw new TypeError("not plain");
      return isPolluting(key, inner) ? undefined : inner;
    })
  );
}

function isPlain(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function";
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Array.isArray(value) || value instanceof Date;
}

function build(node: WireError, depth: number): Error {
  const name = cut(asText(node.name) || "Error", 256);
  const make = Object.hasOwn(CLASSES, name) ? CLASSES[name]! : CLASSES.Error!;
  const error = make(asText(node.message));
  if (error.name !== name) hide(error, "name", name);
  hide(error, "stack", stackOf(name, error.message, asText(node.stack)));
  if (depth > 0 && typeof node.cause === "object" && node.cause !== null) {
    hide(error, "cause", "value" in node.cause ? node.cause.value : build(node.cause as WireError, depth - 1));
  }
  for (const [key, value] of Object.entries(node.fields ?? {}).filter(([key]) => isFieldName(key))) {
    Object.defineProperty(error, key, { value, enumerable: true, writable: true, configurable: true });
  }
  return error;
}

/** The remote stack; with a first line that names the error where the engine wrote none (JavaScriptCore). */
function stackOf(name: string, message: string, stack: string): string {
  if (stack !== "" && stack.slice(0, name.length + 200).includes(message.slice(0, 100))) return stack;
  return `${name}: ${message}${stack === "" ? "" : `\n${stack}`}`;
}

function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, enumerable: false, writable: true, configurable: true });
}

function isError(value: unknown): value is Error {
  return attempt(() => value instanceof Error || Object.prototype.toString.call(value) === "[object Error]") ?? false;
}

/** A value in a few words, for a message. */
function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : plainText(value) ?? attempt(() => String(value));
  return cut(text ?? "a value that cannot be shown", 256);
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The first characters, never half of a surrogate pair, with an ellipsis where something was cut. */
function cut(text: string, length = TEXT_MAX): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
