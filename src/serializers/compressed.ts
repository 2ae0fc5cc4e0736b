/**
 * A serializer that compresses what another writes, with the gzip of the web platform (it has a checksum, so a text
 * that was changed is noticed). Small values stay as they are.
 *
 * The text is `p` and the plain text, or `z` and the gzip in base64.
 *
 * @example
 * ```ts
 * import { connect, jsonSerializer, RedisTaskQueue } from "@errand/errand";
 * import { compressed } from "@errand/errand/compressed";
 *
 * const serializer = compressed(jsonSerializer);
 * const queue = new RedisTaskQueue(await connect("memory:"), "shop", { serializer });
 * ```
 *
 * @module
 */
import { andThen, type NowOrLater } from "../now_or_later.ts";
import { byteLength } from "../record.ts";
import { type Serializer, VALUE_LIMIT, type ValueContext } from "../serializer.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { wrappedName } from "./wrapped.ts";

/** Bytes inflated at a time. */
const SLICE = 1_024;

/** How to compress. */
export interface CompressedOptions {
  /** Bytes from which on a value is compressed. @default 1024 */
  readonly threshold?: number;
  /** Bytes that a value may have before it is compressed, and after it was read. @default 1 MiB */
  readonly limit?: number;
}

/**
 * Wraps a serializer; the name gets `+gzip`. A value over `limit` is refused with a `RangeError`, when it is written
 * and, as soon as so many bytes have come out, when it is read.
 *
 * Throws `TypeError` for no serializer or too long a name, `RangeError` for a number that is no count of bytes.
 */
export function compressed(inner: Serializer, options: CompressedOptions = {}): Serializer {
  const { threshold = 1_024, limit = VALUE_LIMIT } = options;
  refuseCount("threshold", threshold);
  refuseCount("limit", limit);
  return {
    name: wrappedName(inner, "gzip"),
    serialize: (value: unknown, context: ValueContext) =>
      andThen(inner.serialize(value, context), (text) => deflate(text, threshold, limit)),
    deserialize: (text: string, context: ValueContext) =>
      andThen(inflate(text, limit), (plain) => inner.deserialize(plain, context)),
  };
}

function refuseCount(name: string, value: number): void {
  if (Number.isInteger(value) && value >= 0) return;
  throw new RangeError(`Cannot compress with ${name} ${value}: it must be a number of bytes, 0 or more`);
}

function deflate(text: string, threshold: number, limit: number): NowOrLater<string> {
  const size = byteLength(text);
  if (size > limit) throw tooLarge(limit);
  if (size < threshold) return `p${text}`;
  const bytes = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return collect(bytes, Infinity).then((all) => {
    const packed = `z${toBase64(all)}`;
    return packed.length < size ? packed : `p${text}`;
  });
}

function inflate(text: string, limit: number): NowOrLater<string> {
  if (text.startsWith("p")) return text.slice(1);
  if (!text.startsWith("z")) throw new TypeError("it is no compressed value");
  const bytes = inSlices(fromBase64(text.slice(1))).pipeThrough(new DecompressionStream("gzip"));
  return collect(bytes, limit).then((all) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(all));
}

/** A runtime may inflate all that it is given before it gives any of it away: a slice becomes a thousandfold at most. */
function inSlices(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at += SLICE));
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

/** Reads a stream to its end; gives it up at the first piece too many, whatever else may come. */
async function collect(stream: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    size += read.value.length;
    if (size > limit) {
      await reader.cancel().catch(() => {});
      throw tooLarge(limit);
    }
    pieces.push(read.value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function tooLarge(limit: number): RangeError {
  return new RangeError(`its plain text has more than ${limit} bytes, the limit of compressed()`);
}
