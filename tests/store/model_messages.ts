/**
 * What both stores tell clients and listeners during a walk, to be compared step by step.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Keys } from "../../src/keys.ts";
import type { RedisPort, Subscription } from "../../src/port/redis.ts";
import { encodeRecord, type TaskRecord } from "../../src/record.ts";
import type { MemoryStore } from "../../src/store/memory/memory_store.ts";
import { readTold } from "../../src/store/redis/answers.ts";
import { CLIENTS, LISTENERS } from "./model_commands.ts";

/** Hears every inbox and control channel of a Redis base. */
export class RedisMessages {
  readonly #port: RedisPort;
  readonly #marker: string;
  readonly #heard = new Set<string>();
  readonly #marks = new Map<string, () => void>();
  #subscription: Subscription | null = null;
  #count = 0;

  private constructor(port: RedisPort, keys: Keys) {
    this.#port = port;
    this.#marker = `${keys.base}|marker`;
  }

  /** Subscribes; resolves when the server has confirmed it. */
  static async open(port: RedisPort, keys: Keys): Promise<RedisMessages> {
    const messages = new RedisMessages(port, keys);
    const owners = [...CLIENTS, ...LISTENERS];
    const channels = [...CLIENTS.map(keys.inbox), ...owners.map(keys.control), messages.#marker];
    messages.#subscription = await port.subscribe(channels, (text, channel) => messages.#hear(text, channel), () => {});
    return messages;
  }

  /** What was told since the last call: sorted `channel id` and the record that came along, each once. */
  async take(): Promise<string[]> {
    const mark = String(++this.#count);
    const marked = new Promise<void>((resolve) => this.#marks.set(mark, resolve));
    await this.#port.exec([["PUBLISH", this.#marker, mark]]);
    await marked; // Messages of one subscription come in their order.
    return takeSorted(this.#heard);
  }

  close(): void {
    this.#subscription?.close();
  }

  #hear(text: string, channel: string): void {
    if (channel === this.#marker) {
      this.#marks.get(text)?.();
      this.#marks.delete(text);
    } else {
      const { ids, record } = readTold(text);
      for (const id of ids) this.#heard.add(heardOf(channel, id, record));
    }
  }
}

/** Hears the same of a memory store; the answer takes what was told since its last call. */
export async function hearMemory(store: MemoryStore, keys: Keys): Promise<() => string[]> {
  const heard = new Set<string>();
  const into = (channel: string) => (ids: readonly string[], record: TaskRecord | null = null) =>
    ids.forEach((id) => heard.add(heardOf(channel, id, record === null ? null : encodeRecord(record))));
  for (const client of CLIENTS) await store.openInbox(client, into(keys.inbox(client)), () => {});
  for (const owner of [...CLIENTS, ...LISTENERS]) await store.openControl(owner, into(keys.control(owner)), () => {});
  return () => takeSorted(heard);
}

const BROUGHT = " brought ";

function heardOf(channel: string, id: string, record: string | null): string {
  return `${channel} ${id}${record === null ? "" : BROUGHT + record}`;
}

/** Compares what calls that share a script call have told: they share a message, which then brings no record. */
export function compareShared(actual: readonly string[], expected: readonly string[]): void {
  const differ = "the messages differ (actual: Redis, expected: memory)";
  const plain = (told: readonly string[]) => [...new Set(told.map((one) => one.split(BROUGHT)[0]!))];
  assert.deepEqual(plain(actual), plain(expected), differ);
  assert.deepEqual(actual.filter((one) => one.includes(BROUGHT) && !expected.includes(one)), [], differ);
}

function takeSorted(heard: Set<string>): string[] {
  const all = [...heard].toSorted();
  heard.clear();
  return all;
}
