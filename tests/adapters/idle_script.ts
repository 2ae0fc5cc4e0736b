/** Connects, says what it was told to do, and does nothing to end itself. Run by `tests/conformance/redis_port_life.ts`. */
import process from "node:process";
import type { RedisPort } from "../../src/port/redis.ts";
import { type ClientName, connect } from "../../src/adapters/connect.ts";
import type { ConnectFn } from "../conformance/redis_port_life.ts";
import { until } from "../support/wait.ts";

const [url = "", client = "", task = ""] = process.argv.slice(2);
/** The client is one that `connect` knows, or a module whose default export opens a URL. */
const open: ConnectFn = client.startsWith("file:")
  ? (await import(client)).default
  : (to) => connect(to, { client: client as ClientName }) as Promise<RedisPort>;
const redis = await open(url);
console.log("pong", await redis.exec([["PING"], ["SET", "idle", "1"]]));
if (task === "reconnect") {
  await redis.exec([["CLIENT", "KILL", "SKIPME", "no", "TYPE", "normal"]]).catch(() => {});
  const answers = () => redis.exec([["PING"]]).then(() => true, () => false);
  await until(answers, "it answers again");
}
if (task === "blocking") {
  const blocking = await redis.blocking();
  console.log("popped", await blocking.call(["BLPOP", "idle-list", "1"], 5000));
}
if (task === "subscription") {
  let hear = (_message: string) => {};
  const heard = new Promise<string>((resolve) => hear = resolve);
  const subscription = await redis.subscribe(["idle-channel"], hear, () => {});
  // A message may come before the subscription is known here.
  heard.then((message) => {
    console.log("message", message);
    subscription.close();
  });
}
if (task === "broken") {
  let restored = false;
  await redis.subscribe(["idle-channel"], () => {}, () => restored = true);
  await redis.exec([["CLIENT", "KILL", "TYPE", "pubsub"]]);
  await until(() => restored, "it listens again");
}
if (task === "refused") await open("redis://127.0.0.1:1").catch((error) => console.log(error.message));
if (["close", "broken", "refused"].includes(task)) {
  redis.close();
  const closed = performance.now();
  process.on("exit", () => console.log(`ended after ${Math.round(performance.now() - closed)} ms`));
}
