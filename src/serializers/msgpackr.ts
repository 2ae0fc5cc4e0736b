/**
 * Rich values as MessagePack in base64, by the package `msgpackr` (install it beside errand): the smallest of the rich
 * ones. Which types survive, `docs/serializers.md` lists; what msgpackr would drop without a word is refused here.
 *
 * @example
 * ```ts
 * import { connect, RedisTaskQueue } from "@errand/errand";
 * import { msgpackrSerializer } from "@errand/errand/msgpackr";
 *
 * const queue = new RedisTaskQueue(await connect("memory:"), "shop", { serializer: msgpackrSerializer });
 * ```
 *
 * @module
 */
import { Packr } from "msgpackr";
import { isPolluting, refusePollution } from "../pollution.ts";
import type { Serializer } from "../serializer.ts";
import { binaryOf, bytesOf, toBase64 } from "./base64.ts";

/** Records are msgpackr's own form of objects; without them maps and cycles are refused. */
const packr = new Packr({ structuredClone: true });

/** What `Object.prototype.toString` says of the objects that have a form here; other ones become `{}`. */
const WRITTEN = /^\[object (?:Object|Array|Arguments|Map|Set|Date|RegExp|\w*Error|ArrayBuffer|DataView|\w+Array)\]$/;

/** Writes and reads rich values with `msgpackr`. Functions, symbols, promises and the like are refused. */
export const msgpackrSerializer: Serializer = {
  name: "msgpackr",
  serialize(value: unknown): string {
    refusePollution([value], isRefused);
    return toBase64(packr.pack(value));
  },
  deserialize(text: string): unknown {
    const binary = binaryOf(text);
    const value: unknown = packr.unpack(bytesOf(binary));
    // A key is named in the bytes: most values need no walk.
    if (binary.includes("__proto_") || binary.includes("constructor")) refusePollution([value], isPollutingHere);
    return value;
  },
};

/** msgpackr reads `__proto__` as `__proto_`, so both are refused. */
function isPollutingHere(key: string, value: unknown): boolean {
  return key === "__proto_" || isPolluting(key, value);
}

function isRefused(key: string, value: unknown): boolean {
  const isLost = typeof value === "function" || (typeof value === "object" && value !== null && !isWritten(value));
  if (!isLost) return isPollutingHere(key, value);
  const what = typeof value === "function" ? "function" : Object.prototype.toString.call(value).slice(8, -1);
  throw new TypeError(`MessagePack has no form for a ${what}${key === "" ? "" : ` (at ${key})`}`);
}

function isWritten(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype) return true;
  return WRITTEN.test(Object.prototype.toString.call(value)) || "toJSON" in value;
}
