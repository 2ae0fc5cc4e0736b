/**
 * What it takes to write an adapter of one's own, for a client that `connect` does not know: {@linkcode Wire}, one
 * connection that is used once, and {@linkcode openPort}, which makes of such connections what a queue runs on.
 *
 * @example A queue over a wire of one's own
 * ```ts
 * import { RedisTaskQueue } from "@errand/errand";
 * import { openPort, type Wire } from "@errand/errand/adapter";
 *
 * declare class MyWire implements Wire { // docs/adapters.md has one that is complete
 *   constructor(onEnd: (reason: unknown) => void);
 *   readonly opened: Wire["opened"];
 *   send: Wire["send"];
 *   subscribe: Wire["subscribe"];
 *   keepAlive: Wire["keepAlive"];
 *   destroy: Wire["destroy"];
 * }
 *
 * const redis = await openPort({ address: "redis://localhost", open: (onEnd) => new MyWire(onEnd) });
 * const queue = new RedisTaskQueue(redis, "app");
 * ```
 *
 * @module
 */
export {
  type BlockingConnection,
  type Command,
  type RedisPort,
  RedisReplyError,
  type Reply,
  type Subscription,
} from "../port/redis.ts";
export { openPort } from "./port.ts";
export { parseRedisUrl, type RedisTarget } from "./url.ts";
export type { Dialer, Wire } from "./wire.ts";
