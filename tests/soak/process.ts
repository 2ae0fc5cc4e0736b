/**
 * A listener or a client of a soak, in a process of its own: `process.ts listener|client <options as JSON>`.
 *
 * A client hands tasks in at its rate and writes down what it is told of each. SIGTERM asks either to stop: a listener
 * as its library documents, a client once it has all its answers.
 */
import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { loadDriver, type ProcessOptions, type SoakClient } from "./driver.ts";
import { Journal } from "./journal.ts";
import { planOf, type Work } from "./work.ts";

/** Milliseconds between two looks at the size of this process. */
const SIZE_EVERY = 10_000;
/** A client waits for at most so many tasks at once: a queue that stands still is not buried. */
const IN_FLIGHT_MAX = 300;

const role = process.argv[2];
const options = JSON.parse(process.argv[3]!) as ProcessOptions;
const journal = new Journal(options.folder, process.pid);
const driver = await loadDriver(options.system);
const collect = collector();
const asked = new Promise<void>((resolve) => process.on("SIGTERM", () => resolve()));

/** What runs the garbage collector now: a heap that was not collected says nothing. */
function collector(): () => void {
  const bun = (globalThis as { readonly Bun?: { gc(atOnce: boolean): void } }).Bun;
  if (bun) return () => bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

function writeSize(): void {
  collect();
  const { rss, heapUsed } = process.memoryUsage();
  const sockets = countSockets();
  journal.write({ what: "size", rss, heap: heapUsed, ...(sockets === undefined ? {} : { sockets }) });
}

/** Where there is no /proc nobody counts. */
function countSockets(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").filter((fd) => linkOf(`/proc/self/fd/${fd}`).startsWith("socket:")).length;
  } catch {
    return undefined;
  }
}

/** Empty for one that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Does a call and writes down what it gives. */
async function tell(client: SoakClient, work: Work): Promise<void> {
  const { id } = work;
  try {
    if (work.asked) journal.write({ what: "answer", id, result: await client.query(work) });
    else {
      await client.enqueue(work);
      journal.write({ what: "ack", id });
    }
  } catch (error) {
    journal.write({ what: client.meaningOf(error), id, error: `${error}`.slice(0, 300) });
  }
}

async function drop(client: SoakClient, { id, dropAfter }: Work): Promise<void> {
  await sleep(dropAfter);
  const became = await client.cancel(id).catch((error) => `${error}`);
  journal.write({ what: "cancel", id, became });
}

async function hand(client: SoakClient, work: Work): Promise<void> {
  journal.write({ what: "sent", id: work.id, by: work.asked ? "query" : "enqueue" });
  const calls = [tell(client, work)];
  if (work.twice) calls.push(tell(client, work));
  if (work.kind === "dropped") calls.push(drop(client, work));
  await Promise.all(calls);
}

async function runClient(): Promise<void> {
  const client = await driver.connect(options);
  const flying = new Set<Promise<void>>();
  let isAsked = false;
  void asked.then(() => isAsked = true);
  for (let number = 0; !isAsked; number++) {
    if (flying.size < IN_FLIGHT_MAX) {
      const call = hand(client, planOf(`${options.ids}.${number}`, options.mix)).finally(() => flying.delete(call));
      flying.add(call);
    }
    await sleep(1_000 / options.rate);
  }
  await Promise.all(flying);
  await client.close();
}

async function runListener(): Promise<void> {
  const listener = await driver.listen(options, journal);
  await asked;
  await listener.stop();
}

const sizes = setInterval(writeSize, SIZE_EVERY);
const first = setTimeout(writeSize, SIZE_EVERY / 3);
console.log("ready");
await (role === "client" ? runClient() : runListener());
clearInterval(sizes);
clearTimeout(first);
