/**
 * A serializer that encrypts what another writes: AES-GCM of the web platform, a fresh nonce of 96 bits for each value,
 * keys that may be changed while tasks wait.
 *
 * The text is `1.<key id>.<base64 of nonce and ciphertext>`. The codec's name and version, the key's id, and the id,
 * name and part of the task are authenticated with it, so that a value which was changed, or put into another task's
 * place, is refused. Whoever can write to Redis can still bring back an older value of the same id, name and part.
 *
 * @example
 * ```ts
 * import { connect, jsonSerializer, RedisTaskQueue } from "@errand/errand";
 * import { encrypted } from "@errand/errand/encrypted";
 *
 * const keys = { k1: "MDEyMzQ1Njc4OWFiY2RlZg==" }; // 16 or 32 random bytes in base64, from your secrets
 * const serializer = encrypted(jsonSerializer, { keys, current: "k1" });
 * const queue = new RedisTaskQueue(await connect("memory:"), "shop", { serializer });
 * ```
 *
 * @module
 */
import type { Serializer, ValueContext } from "../serializer.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { wrappedName } from "./wrapped.ts";

/** With what to encrypt. */
export interface EncryptedOptions {
  /**
   * All keys that values may be encrypted with, by id (1 to 32 of `A-Z a-z 0-9 _ -`): AES-GCM keys of WebCrypto, or
   * their 16 or 32 bytes in base64.
   */
  readonly keys: Readonly<Record<string, CryptoKey | string>>;
  /** The id of the one that new values are encrypted with. */
  readonly current: string;
}

const VERSION = "1";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Wraps a serializer; the name gets `+aes`. Reading a value whose key is not among `keys`, or that is not what was
 * written for this task, throws; the error names the key's id, never a key.
 *
 * Throws `TypeError` for no serializer, too long a name, a wrong key or id, and a `current` that is not among the keys.
 */
export function encrypted(inner: Serializer, options: EncryptedOptions): Serializer {
  const name = wrappedName(inner, "aes");
  const keys = new Map(Object.entries(options?.keys ?? {}).map(([id, key]) => [id, keyOf(id, key)]));
  const current = options?.current;
  const writing = keys.get(current);
  if (writing === undefined) {
    throw new TypeError(
      `Cannot encrypt with the key "${current}": there is only ${[...keys.keys()].join(", ") || "none"}`,
    );
  }
  return {
    name,
    async serialize(value: unknown, context: ValueContext): Promise<string> {
      const text = await inner.serialize(value, context);
      if (typeof text !== "string") throw new TypeError(`"${inner.name}" answered with a ${typeof text}, not a text`);
      const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
      const algorithm = { name: "AES-GCM", iv: nonce, additionalData: boundTo(name, current, context) };
      const sealed = new Uint8Array(
        await crypto.subtle.encrypt(algorithm, await writing(), new TextEncoder().encode(text)),
      );
      const bytes = new Uint8Array(NONCE_BYTES + sealed.length);
      bytes.set(nonce);
      bytes.set(sealed, NONCE_BYTES);
      return `${VERSION}.${current}.${toBase64(bytes)}`;
    },
    async deserialize(text: string, context: ValueContext): Promise<unknown> {
      return await inner.deserialize(await open(text, { name, keys, context }), context);
    },
  };
}

/** Imported when it is first needed, once. */
type Key = () => Promise<CryptoKey>;

interface Opening {
  readonly name: string;
  readonly keys: ReadonlyMap<string, Key>;
  readonly context: ValueContext;
}

async function open(text: string, { name, keys, context }: Opening): Promise<string> {
  const [version, id = "", sealed = "", ...rest] = text.split(".");
  if (version !== VERSION || rest.length > 0) throw new TypeError("it is no encrypted value of this version");
  const key = keys.get(id);
  if (key === undefined) {
    throw new TypeError(`no key "${id.slice(0, 32)}" here, only ${[...keys.keys()].join(", ")}; keep old keys to read`);
  }
  const bytes = fromBase64(sealed);
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new TypeError("it is too short for an encrypted value");
  const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, NONCE_BYTES), additionalData: boundTo(name, id, context) };
  const plain = await crypto.subtle.decrypt(algorithm, await key(), bytes.subarray(NONCE_BYTES)).catch((cause) => {
    throw new TypeError(`it was changed, or written for another task, or key "${id}" is another key`, { cause });
  });
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(plain);
}

/** A list in JSON: no two contexts give the same bytes. */
function boundTo(codec: string, key: string, { id, name, part }: ValueContext): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(["errand", codec, VERSION, key, id, name, part]));
}

function keyOf(id: string, key: CryptoKey | string): Key {
  if (!/^[\w-]{1,32}$/.test(id)) {
    throw new TypeError(`Cannot use a key named ${JSON.stringify(id)}: an id is 1 to 32 of A-Z a-z 0-9 _ -`);
  }
  if (typeof key === "string") return importedOnce(rawKey(id, key));
  if (key?.algorithm?.name === "AES-GCM" && key.usages.includes("decrypt")) return () => Promise.resolve(key);
  throw new TypeError(`Cannot use key "${id}": it must be an AES-GCM CryptoKey that decrypts, or a text in base64`);
}

/** The bytes of a key; whatever is wrong with it, the error does not show it. */
function rawKey(id: string, text: string): Uint8Array<ArrayBuffer> {
  const size = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0 ? fromBase64(text).length : -1;
  if (size === 16 || size === 32) return fromBase64(text);
  const found = size < 0 ? "no base64" : `${size} bytes`;
  throw new TypeError(`Cannot use key "${id}": it must be 16 or 32 random bytes in base64, and is ${found}`);
}

function importedOnce(bytes: Uint8Array<ArrayBuffer>): Key {
  let key: Promise<CryptoKey> | undefined;
  return () => key ??= crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);
}
