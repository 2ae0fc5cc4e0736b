/**
 * errand: ask for a task and get its answer, from this process or from any other that listens on the same Redis.
 *
 * @example One process asks, another one answers
 * ```ts
 * import { connect, type RedisTask, RedisTaskQueue } from "@errand/errand";
 *
 * const redis = await connect("memory:"); // or "redis://localhost:6379"
 * const stop = new AbortController();
 *
 * const worker = new RedisTaskQueue(redis, "app", {
 *   taskFn: { greet: (task: RedisTask<string>) => `Hello ${task.params}` },
 * });
 * const listening = worker.listen(["greet"], { signal: stop.signal });
 *
 * const client = new RedisTaskQueue(redis, "app");
 * console.log(await client.query("greeting-1", "greet", "Ada")); // "Hello Ada"
 *
 * stop.abort();
 * await listening;
 * ```
 *
 * @module
 */
export type { BunRedisClient } from "./src/adapters/bun.ts";
export { type ClientName, connect, type ConnectOptions } from "./src/adapters/connect.ts";
export type {
  DbRedisClient,
  DbRedisModule,
  DbRedisOptions,
  DbRedisPipeline,
  DbRedisSubscription,
} from "./src/adapters/db_redis_module.ts";
export type { IoredisClient, IoredisPipeline, IoredisStream } from "./src/adapters/ioredis.ts";
export type { NodeRedisClient } from "./src/adapters/node_redis.ts";
export type { DialOptions } from "./src/adapters/wire.ts";
export type { CancelOptions, CancelResult } from "./src/cancel.ts";
export type { Clock } from "./src/clock.ts";
export { type DeadChange, type DeadLetter, DeadLetters, type DeadListOptions } from "./src/dead_letters.ts";
export {
  ConnectionLostError,
  FatalTaskError,
  LeaseLostError,
  ListenerStoppedError,
  QueueFullError,
  SerializationError,
  TaskCancelledError,
  TaskConflictError,
  TaskFailedError,
  TaskReplacedError,
  type TaskState,
  TaskTimeoutError,
} from "./src/errors.ts";
export type { OnEvent, TaskEvent, TaskEventType } from "./src/events.ts";
export type { HealthOptions, Listening } from "./src/listening.ts";
export { consoleLog, type Log, type LogEntry } from "./src/log.ts";
export type { EnqueueOptions, ExecuteOptions, ListenOptions, QueryOptions, QueueOptions } from "./src/options.ts";
export type { FailedAttempt, Progress } from "./src/outcome.ts";
export { TaskExecutePolicy } from "./src/policy.ts";
export type { BlockingConnection, Command, RedisPort, RedisReplyError, Reply, Subscription } from "./src/port/redis.ts";
export type { Backoff, BackoffFn, BackoffPlan } from "./src/retry.ts";
export { RedisTaskQueue } from "./src/queue.ts";
export type { FnOf, ParamsOf, ResultOf } from "./src/queue_types.ts";
export type { Random } from "./src/random.ts";
export { type JsonSerializer, jsonSerializer, type Serializer, type ValueContext } from "./src/serializer.ts";
export { MemoryRedis } from "./src/store/memory/memory_redis.ts";
export type { QueueCounts } from "./src/store/ended.ts";
export type { RedisConnection } from "./src/store/open.ts";
export type { IfExists } from "./src/store/store.ts";
export { RedisTask, type RedisTaskInit, type TaskFn, type TaskFns, type TaskHooks } from "./src/task.ts";
