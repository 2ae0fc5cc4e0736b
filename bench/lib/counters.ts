/** Redis' own counters: CPU, commands, calls of scripts, bytes over the wire, memory. */
import { createConnection } from "node:net";

/** Counters since the server started; CPU in microseconds. */
export interface Counters {
  readonly cpu: number;
  readonly commands: number;
  readonly scripts: number;
  readonly bytes: number;
  readonly memory: number;
}

function info(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = createConnection(port, "127.0.0.1", () => socket.write("INFO all\r\nQUIT\r\n"));
    socket.on("data", (chunk) => text += String(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}

/** Reads them. */
export async function countersOf({ port }: { readonly port: number }): Promise<Counters> {
  const text = await info(port);
  const number = (key: string) => Number(new RegExp(`^${key}:([0-9.]+)`, "m").exec(text)?.[1] ?? 0);
  const calls = [...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name, count]) => ({
    ...{ name: name!, count: Number(count) },
  }));
  const sum = (of: RegExp) => calls.filter(({ name }) => of.test(name)).reduce((total, { count }) => total + count, 0);
  return {
    cpu: (number("used_cpu_user") + number("used_cpu_sys")) * 1e6,
    commands: sum(/^(?!info|quit)/),
    scripts: sum(/^(eval|evalsha|eval_ro|evalsha_ro|fcall|fcall_ro)$/),
    bytes: number("total_net_input_bytes") + number("total_net_output_bytes"),
    memory: number("used_memory"),
  };
}

/** What happened between, per task; memory as bytes a task. */
export function difference(before: Counters, after: Counters, count: number): Record<string, number> {
  return {
    redisCpu: (after.cpu - before.cpu) / count,
    commands: (after.commands - before.commands) / count,
    scripts: (after.scripts - before.scripts) / count,
    bytes: (after.bytes - before.bytes) / count,
    memory: (after.memory - before.memory) / count,
  };
}

/** Counts the commands that clients send (not those inside scripts), until it is asked for the count. */
export async function watchCommands({ port }: { readonly port: number }): Promise<() => Promise<string[]>> {
  const commands: string[] = [];
  let rest = "";
  const socket = createConnection(port, "127.0.0.1");
  socket.on("data", (chunk) => {
    const lines = (rest + String(chunk)).split("\r\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const command = /^\+[\d.]+ \[\d+ (?!lua).*?\] "(\w+)"/.exec(line)?.[1];
      if (command !== undefined && command.toUpperCase() !== "INFO") commands.push(command.toUpperCase());
    }
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.once("data", () => resolve());
    socket.write("MONITOR\r\n");
  });
  return async () => {
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.end();
    await closed;
    return commands;
  };
}
