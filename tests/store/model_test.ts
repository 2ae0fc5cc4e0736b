/**
 * Memory store against Redis store: random walks of commands, after each of which both have to say and hold the same.
 *
 * Both claim to be the same protocol, the memory store being its executable specification, so every difference is a
 * mistake in one of them. `MODEL_SEED` repeats a walk that failed (the report names it), `MODEL_STEPS` says how far to
 * go in all.
 *
 * Next: `model_commands.ts`, `model_call.ts`, `model_walk.ts`.
 *
 * @module
 */
import { after, before, describe, it } from "node:test";
import process from "node:process";
import fc from "fast-check";
import type { RedisPort } from "../../src/port/redis.ts";
import { type RedisServer, startRedis } from "../support/redis_server.ts";
import { testConnect } from "../support/test_client.ts";
import { steps } from "./model_commands.ts";
import { RedisMessages } from "./model_messages.ts";
import { KEYS, walk } from "./model_walk.ts";

/** The longest walk; the lengths are spread evenly below it, so that a walk takes half as many steps on average. */
const LONGEST = 120;
const SEED = Number(process.env.MODEL_SEED ?? 20_260_730);
const STEPS = Number(process.env.MODEL_STEPS ?? 3_000);

let server: RedisServer;
let port: RedisPort;
let messages: RedisMessages;
before(async () => {
  server = await startRedis();
  port = await testConnect(server.url);
  messages = await RedisMessages.open(port, KEYS);
});
after(async () => {
  messages.close();
  port.close();
  await server.stop();
});

describe("memory store and Redis store", () => {
  it("answer and hold the same after every step of a random walk", { timeout: 600_000 }, async () => {
    const walks = fc.array(steps, { minLength: 1, maxLength: LONGEST, size: "max" }).map((parts) => parts.flat());
    await fc.assert(fc.asyncProperty(walks, (commands) => walk(port, messages, commands)), {
      seed: SEED,
      numRuns: Math.max(1, Math.ceil(STEPS / (LONGEST / 2))),
    });
  });
});
