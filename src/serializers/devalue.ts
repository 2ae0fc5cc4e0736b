/**
 * Rich values as text, by the package `devalue` (install it beside errand): what JSON has, and dates, maps, sets,
 * bigints, bytes, `undefined`, cycles and errors. Which types survive, `docs/serializers.md` lists.
 *
 * @example
 * ```ts
 * import { connect, RedisTaskQueue } from "@errand/errand";
 * import { devalueSerializer } from "@errand/errand/devalue";
 *
 * const queue = new RedisTaskQueue(await connect("memory:"), "shop", { serializer: devalueSerializer });
 * ```
 *
 * @module
 */
import { parse, stringify } from "devalue";
import { isSuspicious, refusePollution } from "../pollution.ts";
import { decodeError } from "../remote_error.ts";
import type { Serializer } from "../serializer.ts";

/** What travels of an error. Its cause may be any value. */
interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly code?: unknown;
  readonly cause?: unknown;
}

/** Without a stack: it names files of the machine, and the receiver has another. */
const reducers = {
  Error: (value: unknown): PlainError | false => {
    if (!(value instanceof Error)) return false;
    const { name, message } = value;
    const { code, cause } = value as { code?: unknown; cause?: unknown };
    return { name, message, ...(code === undefined ? {} : { code }), ...("cause" in value ? { cause } : {}) };
  },
};

const revivers = { Error: errorOf };

/** The same closed table of classes as for the errors of tasks: a name in Redis chooses no other code. */
function errorOf({ name, message, code, cause, ...rest }: PlainError): Error {
  if (typeof name !== "string" || typeof message !== "string" || Object.keys(rest).length > 0) {
    throw new TypeError("it holds an error that devalue did not write");
  }
  const error = decodeError(JSON.stringify({ name, message }));
  if (code !== undefined) Object.assign(error, { code });
  if (cause !== undefined) Object.defineProperty(error, "cause", { value: cause, writable: true, configurable: true });
  return error;
}

/** Writes and reads rich values with `devalue`. Functions, symbols and instances of user classes are refused. */
export const devalueSerializer: Serializer = {
  name: "devalue",
  serialize(value: unknown): string {
    const text = stringify(value, reducers);
    if (isSuspicious(text)) refusePollution(value);
    return text;
  },
  deserialize(text: string): unknown {
    const value: unknown = parse(text, revivers);
    if (isSuspicious(text)) refusePollution(value);
    return value;
  },
};
