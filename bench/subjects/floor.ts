/**
 * The floor: the least Redis work by which tasks can be handed on, written by hand on the runtime's fastest client. It
 * loses tasks when a worker dies, it knows no states, no deadlines and no ids: nobody should use it. It is here to show
 * how far everything else is from what Redis and the client can do.
 *
 * Hand in: RPUSH of the task. Work: LPOP of as many as there are workers, one HSET of all their results. Ask: RPUSH to
 * the worker's list, the answer comes back by a blocking pop of one's own list.
 */
import { type Driver, indexOf, load, type Params, paramsOf, type Role } from "./subject.ts";

type Send = (...command: string[]) => Promise<unknown>;

interface Client {
  readonly send: Send;
  close(): void;
}

interface Ioredis {
  readonly Redis: new (port: number, options: object) => {
    call(...command: string[]): Promise<unknown>;
    disconnect(): void;
  };
}

interface BunModule {
  readonly RedisClient: new (url: string) => {
    send(command: string, args: string[]): Promise<unknown>;
    close(): void;
  };
}

async function connect(port: number): Promise<Client> {
  if ("Bun" in globalThis) {
    const { RedisClient } = await load<BunModule>("bun");
    const client = new RedisClient(`redis://127.0.0.1:${port}`);
    return { send: (command, ...args) => client.send(command!, args), close: () => client.close() };
  }
  const { Redis } = await load<Ioredis>("ioredis");
  const client = new Redis(port, { enableAutoPipelining: true });
  return { send: (...command) => client.call(...command), close: () => client.disconnect() };
}

/** Connects the floor. */
export async function openFloor(port: number, role: Role): Promise<Driver> {
  const client = await connect(port);
  const blocking = await connect(port);
  const waiting = new Map<string, (answer: string) => void>();
  let closed = false;
  const body = (index: number) => JSON.stringify(paramsOf(index));
  const enqueue = (index: number) => client.send("RPUSH", "tasks", body(index));
  if (role === "ask") void hear();
  /** Answers are "<number> <result>", as many at once as there are. */
  async function hear(): Promise<void> {
    while (!closed) {
      for (const answer of await popped("answers")) {
        const at = answer.indexOf(" ");
        const settle = waiting.get(answer.slice(0, at));
        waiting.delete(answer.slice(0, at));
        settle?.(answer.slice(at + 1));
      }
    }
  }
  async function popped(key: string): Promise<string[]> {
    const answer = await blocking.send("BLMPOP", "1", "1", key, "LEFT", "COUNT", "128").catch(() => null);
    return Array.isArray(answer) ? answer[1] as string[] : [];
  }
  return {
    versions: `Redis commands by hand on ${"Bun" in globalThis ? "Bun's client" : "ioredis"}`,
    enqueue,
    enqueueMany: (from, count) =>
      client.send("RPUSH", "tasks", ...Array.from({ length: count }, (_, i) => body(from + i))),
    ask: (index) =>
      new Promise((resolve) => {
        waiting.set(String(index), resolve as (answer: string) => void);
        void client.send("RPUSH", "tasks", body(index));
      }),
    work: async (workers, work) => {
      const run = (task: string): [string, string] => {
        const index = indexOf(JSON.parse(task) as Params);
        return [String(index), work(index)];
      };
      if (role === "serve") return void serve(run);
      for (;;) {
        const tasks = await client.send("LPOP", "tasks", String(workers)) as string[] | null;
        if (tasks === null) break;
        await client.send("HSET", "results", ...tasks.flatMap(run));
      }
    },
    counts: async () => ({
      waiting: await client.send("LLEN", "tasks") as number,
      done: await client.send("HLEN", "results") as number,
    }),
    result: (index) => client.send("HGET", "results", String(index)),
    close: () => {
      closed = true;
      blocking.close();
      client.close();
      return Promise.resolve();
    },
  };

  async function serve(run: (task: string) => [string, string]): Promise<void> {
    while (!closed) {
      const answers = (await popped("tasks")).map((task) => run(task).join(" "));
      if (answers.length > 0) void client.send("RPUSH", "answers", ...answers);
    }
  }
}
