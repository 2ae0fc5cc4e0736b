/**
 * The one door to what Deno, Bun and Node share but the web platform lacks.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate } from "node:timers";

export { AsyncLocalStorage };

/** Calls back after the present turn of the event loop, once its pending I/O was seen. */
export function nextTurn(callback: () => void): void {
  setImmediate(callback);
}

/** Lets the process end although this timer is pending. */
export function unrefTimer(timer: ReturnType<typeof setTimeout>): void {
  const foreign: unknown = timer;
  if (typeof foreign === "object" && foreign !== null && "unref" in foreign && typeof foreign.unref === "function") {
    foreign.unref();
    return;
  }
  const deno = (globalThis as { Deno?: { unrefTimer?: (id: number) => void } }).Deno;
  if (typeof foreign === "number") deno?.unrefTimer?.(foreign);
}
