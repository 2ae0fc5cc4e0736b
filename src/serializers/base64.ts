/**
 * Bytes as text and back, by what every runtime has: `btoa` and `atob`.
 *
 * @module
 */

/** So many arguments of a call are safe on every engine. */
const CHUNK = 8_192;

function toBinary(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return text;
}

/** Bytes as base64. */
export function toBase64(bytes: Uint8Array & { toBase64?(): string }): string {
  // Newer runtimes have it built in, several times faster.
  return bytes.toBase64?.() ?? btoa(toBinary(bytes));
}

/** The bytes of a base64 text as one character each. Throws a `TypeError` for what is none. */
export function binaryOf(text: string): string {
  try {
    return atob(text);
  } catch {
    throw new TypeError("it is no base64");
  }
}

/** One byte for each character. */
export function bytesOf(binary: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

/** The bytes of a base64 text. Throws a `TypeError` for what is none. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return bytesOf(binaryOf(text));
}
