/**
 * Messages to inboxes and controls, and bells.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  ADA,
  ask,
  BOB,
  claimed,
  claimOf,
  inWorld,
  LEASE,
  Mailbox,
  nonce,
  ONE,
  type OpenWorld,
  own,
  type StoreWorld,
} from "./store_kit.ts";
import { byteLength, encodeRecord } from "../../src/record.ts";

const ignore = () => {};

/** Declares the tests. */
export function testMessages(open: OpenWorld): void {
  testInbox(open);
  testBell(open);
}

function testInbox(open: OpenWorld): void {
  inWorld(open, "the end of a task is told to its client and to those who joined", async (world) => {
    const { store } = world;
    const [ada, bob] = [new Mailbox(), new Mailbox()];
    const inboxes = [
      await store.openInbox(ADA, ada.receive, ignore),
      await store.openInbox(BOB, bob.receive, ignore),
    ];
    const task = own(await claimed(world, "a:😀"));
    await store.enqueue(ask("a:😀", { nonce: nonce(BOB) }));
    await store.complete(task, "\njson=1");
    await Promise.all([ada.until(1), bob.until(1)]);
    assert.deepEqual([ada.received, bob.received], [["a:😀"], ["a:😀"]]);
    for (const inbox of inboxes) inbox.close();
  });

  inWorld(open, "a lone end that is small brings its record along, to all who wait for it", async (world) => {
    const { store } = world;
    const [ada, bob] = [new Mailbox(), new Mailbox()];
    const inboxes = [
      await store.openInbox(ADA, ada.receive, ignore),
      await store.openInbox(BOB, bob.receive, ignore),
    ];
    const task = own(await claimed(world, "a:=😀"));
    await store.enqueue(ask("a:=😀", { nonce: nonce(BOB) }));
    await store.complete(task, '\njson="3:d=ü"');
    await Promise.all([ada.until(1), bob.until(1)]);
    const record = await store.read("a:=😀");
    assert.deepEqual([ada.records, bob.records], [[record], [record]]);
    assert.equal(record?.outcome, '\njson="3:d=ü"');
    for (const inbox of inboxes) inbox.close();
  });

  inWorld(open, "a record of 1,024 bytes is to be read, one byte less is not", async (world) => {
    const { store } = world;
    const mailbox = new Mailbox();
    const inbox = await store.openInbox(ADA, mailbox.receive, ignore);
    const small = await claimed(world, "small");
    const rest = 1_023 - byteLength(encodeRecord({ ...small, outcome: "" }));
    await store.complete(own(small), "ü" + "x".repeat(rest - 2));
    await store.complete(own(await claimed(world, "large", 2)), "ü" + "x".repeat(rest - 1));
    await mailbox.until(2);
    assert.deepEqual(mailbox.received, ["small", "large"]);
    assert.deepEqual(mailbox.records, [await store.read("small")]);
    inbox.close();
  });

  inWorld(open, "a message of several ends brings no record, nor does one of a replaced run", async (world) => {
    const { store } = world;
    const mailbox = new Mailbox();
    const inbox = await store.openInbox(ADA, mailbox.receive, ignore);
    await store.enqueue(ask("a", { timeout: 1_000 }));
    await store.enqueue(ask("b", { timeout: 1_000 }));
    await world.advance(1_000);
    await store.claim(claimOf(1));
    await store.enqueue(ask("c"));
    await store.enqueue(ask("c", { nonce: nonce(BOB), ifExists: "replace" }));
    await mailbox.until(3);
    assert.deepEqual([mailbox.received, mailbox.records], [["a", "b", "c"], []]);
    inbox.close();
  });

  inWorld(open, "cancelled, expired, failed and replaced tasks are told too", async (world) => {
    const { store } = world;
    const mailbox = new Mailbox();
    const inbox = await store.openInbox(ADA, mailbox.receive, ignore);
    await store.enqueue(ask("cancelled"));
    await store.cancel({ id: "cancelled" });
    await store.enqueue(ask("replaced"));
    await store.enqueue(ask("replaced", { nonce: nonce(BOB), ifExists: "replace" }));
    await store.cancel({ id: "replaced" });
    await store.fail(own(await claimed(world, "failed")), { state: "failed", outcome: "\n!{}" });
    await store.enqueue(ask("expired", { timeout: 1_000 }));
    await world.advance(1_000);
    await store.claim(claimOf(2));
    await mailbox.until(4);
    assert.deepEqual(mailbox.received, ["cancelled", "replaced", "failed", "expired"]);
    inbox.close();
  });

  inWorld(open, "a ping comes back, until the inbox is closed", async ({ store }) => {
    const [first, second] = [new Mailbox(), new Mailbox()];
    const closed = await store.openInbox(ADA, first.receive, ignore);
    closed.close();
    const inbox = await store.openInbox(ADA, second.receive, ignore);
    await store.pingInbox(ADA);
    await second.until(1);
    assert.deepEqual([first.received, second.received], [[], ["(ping)"]]);
    inbox.close();
  });

  inWorld(open, "a cancel of a running task is told to its owner", async (world) => {
    const mailbox = new Mailbox();
    const control = await world.store.openControl(ONE, mailbox.receive, ignore);
    await claimed(world, "a");
    await world.store.cancel({ id: "a" });
    await mailbox.until(1);
    assert.deepEqual(mailbox.received, ["a"]);
    control.close();
  });
}

/** Is there a token on the bell now? */
async function rings(world: StoreWorld, name: string = "greet"): Promise<boolean> {
  const bell = await world.store.openBell();
  const waiting = bell.wait([name], 20);
  await world.advance(20);
  const rang = await waiting;
  bell.close();
  return rang === name;
}

/** Takes every token off the bell, and counts them. */
async function silence(world: StoreWorld): Promise<number> {
  let count = 0;
  while (await rings(world)) count++;
  return count;
}

function testBell(open: OpenWorld): void {
  inWorld(open, "an enqueue wakes who sleeps", async ({ store }) => {
    const bell = await store.openBell();
    const waiting = bell.wait(["other", "greet"], 5_000);
    await store.enqueue(ask("a"));
    assert.equal(await waiting, "greet");
    bell.close();
  });

  inWorld(open, "F81: a bell keeps a few tokens at most", async (world) => {
    for (let n = 0; n < 10; n++) await world.store.enqueue(ask(`a${n}`));
    const tokens = await silence(world);
    assert.ok(tokens >= 1 && tokens <= 4, `${tokens} tokens`);
  });

  inWorld(open, "F81: a claim rings again only when its slots were used up and work is left", async (world) => {
    const { store } = world;
    for (const id of ["a", "b", "c"]) await store.enqueue(ask(id));
    await silence(world);
    await store.claim(claimOf(1, { free: 1 }));
    assert.equal(await rings(world), true);
    await silence(world);
    await store.claim(claimOf(2, { free: 2 }));
    assert.equal(await rings(world), false);
    await store.enqueue(ask("d"));
    await silence(world);
    await store.claim(claimOf(3, { free: 2 }));
    assert.equal(await rings(world), false);
  });

  inWorld(open, "a release rings", async (world) => {
    const task = own(await claimed(world, "a"));
    await silence(world);
    await world.store.release([task]);
    assert.equal(await rings(world), true);
  });

  inWorld(open, "a recovery on a renew rings", async (world) => {
    const { store } = world;
    const mine = own(await claimed(world, "a"));
    await store.enqueue(ask("b"));
    await store.claim(claimOf(1, { listener: "listener-two", lease: 1_000 }));
    await silence(world);
    await world.advance(1_000);
    await store.renew({ owner: ONE, lease: LEASE, tasks: [mine] });
    assert.equal(await rings(world), true);
  });

  inWorld(open, "who leaves rings for what waits, and for nothing else", async (world) => {
    await world.store.enqueue(ask("a"));
    await silence(world);
    await world.store.leave(ONE, ["greet", "other"]);
    assert.deepEqual([await rings(world), await rings(world, "other")], [true, false]);
  });

  inWorld(open, "a wait ends by cancel and by close", async ({ store }) => {
    const bell = await store.openBell();
    const first = bell.wait(["greet"], 60_000);
    await bell.cancel();
    assert.equal(await first, null);
    const second = bell.wait(["greet"], 60_000).catch(() => null);
    bell.close();
    assert.equal(await second, null);
  });

  inWorld(open, "a cancelled wait takes no later token", async (world) => {
    const bell = await world.store.openBell();
    const waiting = bell.wait(["greet"], 60_000);
    await bell.cancel();
    await waiting;
    await world.store.enqueue(ask("a"));
    assert.equal(await rings(world), true);
    bell.close();
  });
}
