/**
 * What the wrappers share: the serializer that they wrap, and the name that tells what was done to a value.
 *
 * @module
 */
import { isSerializerName, type Serializer } from "../serializer.ts";

/** `<inner>+<step>`, for example `json+gzip+aes`. Throws `TypeError` for no serializer, and for a name that gets too long. */
export function wrappedName(inner: Serializer, step: string): string {
  if (typeof inner?.serialize !== "function" || typeof inner?.deserialize !== "function") {
    throw new TypeError(`Cannot wrap ${String(inner)}: the first argument is a serializer, such as jsonSerializer`);
  }
  const name = `${inner.name}+${step}`;
  if (isSerializerName(name)) return name;
  throw new TypeError(`Cannot wrap "${inner.name}": "${name}" is no name; it must be 1 to 32 of a-z 0-9 . _ / +`);
}
