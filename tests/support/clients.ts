/**
 * The clients that `connect` can make on the runtime that runs the test: what every road to Redis is tested with.
 *
 * @module
 */
import { bunRedis } from "../../src/adapters/bun.ts";
import type { ClientName } from "../../src/adapters/connect.ts";

/** One line a client. */
export const CLIENTS: readonly ClientName[] = [...(bunRedis() ? ["bun" as const] : []), "ioredis", "redis"];
