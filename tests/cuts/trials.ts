/**
 * All trials: the verbs, and what needs a connection of its own: the bell, messages, subscribing, dialling.
 *
 * @module
 */
import { connect } from "../../src/adapters/connect.ts";
import type { RedisPort, Subscription } from "../../src/port/redis.ts";
import type { Bell, Store } from "../../src/store/store.ts";
import { ask, BOB, nonce } from "../conformance/store_kit.ts";
import { until } from "../support/wait.ts";
import { type Scene, SCENES } from "./scenes.ts";
import { type Finding, lost, type Outcome, type Run, type Trial, verbTrial, wrongError } from "./trial.ts";
import { insist, type World } from "./world.ts";

/** How long a blocking call of these trials waits on the server, in milliseconds. */
const WAIT = 1_000;

/** On a connection that is gone: what is cut is the dial with the call behind it. */
const REDIAL: Scene = {
  name: "dial again, enqueue",
  repeatedBy: "store",
  async prepare({ proxy }) {
    proxy.reset();
    await until(() => proxy.connections === 0, "the connection is gone");
  },
  call: (store) => store.enqueue(ask("a")),
};

/** On a server that has forgotten the scripts: the text of one is sent. */
const UNKNOWN_SCRIPT: Scene = {
  name: "enqueue, script unknown",
  repeatedBy: "store",
  prepare: ({ besides }) => besides.exec([["SCRIPT", "FLUSH"]]),
  call: (store) => store.enqueue(ask("a", { nonce: nonce(BOB) })),
};

/** A listener waits and is rung; the token of a lost answer is lost, but never the next one. */
class BellRun implements Run {
  readonly connections = 2;
  readonly #world: World;
  readonly #bell: Bell;

  constructor(world: World, bell: Bell) {
    this.#world = world;
    this.#bell = bell;
  }

  async prepare(): Promise<void> {
    await insist(() => this.#bell.wait(["greet"], 1));
    await insist(() => this.#world.port.exec([["PING"]])); // Behind what a broken wait may have sent there.
  }

  call(): Promise<string | null> {
    const waiting = this.#bell.wait(["greet"], WAIT);
    return Promise.all([waiting, this.#world.direct.ring("greet")]).then(([name]) => name);
  }

  async judge(outcome: Outcome): Promise<Finding | undefined> {
    if ("value" in outcome && outcome.value !== "greet") return lost(`the bell rang for ${String(outcome.value)}`);
    const wrong = wrongError(outcome);
    if (wrong) return wrong;
    for (let tries = 0; tries < 3; tries++) {
      const heard = insist(() => this.#bell.wait(["greet"], WAIT));
      await this.#world.direct.ring("greet");
      if (await heard === "greet") return undefined;
    }
    return lost("the bell is deaf afterwards");
  }

  async close(): Promise<void> {
    await this.#bell.cancel();
    this.#bell.close();
  }
}

/** The two kinds of channels. */
interface Channel {
  readonly open: (store: Store, onIds: (ids: readonly string[]) => void, onGap: () => void) => Promise<Subscription>;
  readonly name: (world: World) => string;
}

const INBOX: Channel = {
  open: (store, onIds, onGap) => store.openInbox(BOB, onIds, onGap),
  name: ({ keys }) => keys.inbox(BOB),
};
const CONTROL: Channel = {
  open: (store, onIds, onGap) => store.openControl(BOB, onIds, onGap),
  name: ({ keys }) => keys.control(BOB),
};

/** One who listens to a channel, and what was heard. */
class Hearer {
  readonly #world: World;
  readonly #channel: Channel;
  #subscription: Subscription | undefined;
  heard: string[] = [];
  gaps = 0;

  constructor(world: World, channel: Channel) {
    this.#world = world;
    this.#channel = channel;
  }

  async open(): Promise<void> {
    const onIds = (ids: readonly string[]) => void this.heard.push(...ids);
    this.#subscription = await this.#channel.open(this.#world.store, onIds, () => void this.gaps++);
  }

  async send(id: string): Promise<void> {
    await this.#world.besides.exec([["PUBLISH", this.#channel.name(this.#world), `${id.length}:${id}`]]);
  }

  /** Sends one that must be heard, once: again only when a gap was told. */
  async prove(): Promise<Finding | undefined> {
    const { gaps } = this;
    await this.send("proof");
    await until(() => this.heard.includes("proof") || this.gaps > gaps, "the proof is heard").catch(() => {});
    if (!this.heard.includes("proof") && this.gaps > gaps) return await this.prove();
    const times = this.heard.filter((id) => id === "proof").length;
    if (times === 1) return undefined;
    return times === 0 ? lost("deaf afterwards") : { kind: "twice", text: `the next message was heard ${times} times` };
  }

  close(): void {
    this.#subscription?.close();
  }
}

/** A message on its way to one who listens: it is heard, or a gap is told. */
class MessageRun implements Run {
  readonly connections = 2;
  readonly #hearer: Hearer;
  #gaps = 0;

  constructor(hearer: Hearer) {
    this.#hearer = hearer;
  }

  prepare(): Promise<void> {
    this.#hearer.heard = [];
    this.#gaps = this.#hearer.gaps;
    return Promise.resolve();
  }

  async call(): Promise<void> {
    await this.#hearer.send("task");
    await until(() => this.#hearer.heard.length > 0 || this.#hearer.gaps > this.#gaps, "heard or told", 60_000);
  }

  async judge(_outcome: Outcome, wasCut: boolean): Promise<Finding | undefined> {
    const { heard } = this.#hearer;
    if (heard.some((id) => id !== "task")) return lost(`heard ${JSON.stringify(heard)}`);
    if (wasCut) await until(() => this.#hearer.gaps > this.#gaps, "the gap is told").catch(() => {});
    if (wasCut && this.#hearer.gaps === this.#gaps) return lost("no gap was told");
    if (heard.length > 1) return { kind: "twice", text: `heard ${heard.length} times` };
    return await this.#hearer.prove();
  }

  close(): Promise<void> {
    return Promise.resolve(this.#hearer.close());
  }
}

/** Somebody begins to listen: it comes to be, in spite of the cut. */
class SubscribeRun implements Run {
  readonly connections = 1;
  readonly #make: () => Hearer;
  #hearer: Hearer;

  constructor(make: () => Hearer) {
    this.#make = make;
    this.#hearer = make();
  }

  prepare(): Promise<void> {
    this.#hearer = this.#make();
    return Promise.resolve();
  }

  call(): Promise<void> {
    return this.#hearer.open();
  }

  async judge(outcome: Outcome): Promise<Finding | undefined> {
    try {
      if ("error" in outcome) return wrongError(outcome) ?? lost(`not subscribed: ${String(outcome.error)}`);
      return await this.#hearer.prove();
    } finally {
      this.#hearer.close();
    }
  }

  close(): Promise<void> {
    return Promise.resolve(this.#hearer.close());
  }
}

/** `connect` dials once: it works, or says that it did not, and then it does the next time. */
class ConnectRun implements Run {
  readonly connections = 1;
  readonly #world: World;
  #port: RedisPort | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  prepare(): Promise<void> {
    this.#port = undefined;
    return Promise.resolve();
  }

  async call(): Promise<void> {
    const { proxy, client } = this.#world;
    this.#port = await connect(proxy.url, { client }) as RedisPort;
  }

  async judge(outcome: Outcome): Promise<Finding | undefined> {
    const wrong = wrongError(outcome);
    if (wrong) return wrong;
    if (this.#port === undefined) await this.call();
    const answers = await insist(() => this.#port!.exec([["PING"]]));
    await this.close();
    return answers[0] === "PONG" ? undefined : lost(`PING was answered ${String(answers[0])}`);
  }

  close(): Promise<void> {
    this.#port?.close();
    return Promise.resolve();
  }
}

async function openBell(world: World): Promise<Run> {
  return new BellRun(world, await world.store.openBell());
}

async function openMessages(world: World, channel: Channel): Promise<Run> {
  const hearer = new Hearer(world, channel);
  await hearer.open();
  return new MessageRun(hearer);
}

/** What there is to cut. */
export const TRIALS: readonly Trial[] = [
  ...[...SCENES, REDIAL, UNKNOWN_SCRIPT].map(verbTrial),
  { name: "bell", open: openBell },
  // The server would go on waiting for a listener that is gone, and give it the next token.
  { name: "bell, the server hears nothing", hows: ["ghost"], open: openBell },
  { name: "inbox, a message", open: (world) => openMessages(world, INBOX) },
  { name: "control, a message", open: (world) => openMessages(world, CONTROL) },
  { name: "inbox, subscribe", open: (world) => Promise.resolve(new SubscribeRun(() => new Hearer(world, INBOX))) },
  { name: "control, subscribe", open: (world) => Promise.resolve(new SubscribeRun(() => new Hearer(world, CONTROL))) },
  { name: "connect", open: (world) => Promise.resolve(new ConnectRun(world)) },
];
