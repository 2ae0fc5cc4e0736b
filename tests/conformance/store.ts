/**
 * One suite for every store: each row of the protocol by its behaviour.
 *
 * @module
 */
import { describe } from "node:test";
import { testClaim } from "./store_claim.ts";
import { testAgain } from "./store_again.ts";
import { testAside } from "./store_aside.ts";
import { testBounds } from "./store_bounds.ts";
import { testClient } from "./store_client.ts";
import { testDead } from "./store_dead.ts";
import { testRemove, testRequeue } from "./store_dead_change.ts";
import { testEdges } from "./store_edges.ts";
import { testEnded } from "./store_ended.ts";
import { testEnqueue } from "./store_enqueue.ts";
import type { OpenWorld } from "./store_kit.ts";
import { testMessages } from "./store_messages.ts";
import { testOwner } from "./store_owner.ts";
import { testRecovery } from "./store_recovery.ts";

export type { OpenWorld, StoreWorld } from "./store_kit.ts";

/** Declares the suite for one kind of store. */
export function testStore(name: string, open: OpenWorld): void {
  describe(`${name}: enqueue`, () => testEnqueue(open));
  describe(`${name}: claim`, () => testClaim(open));
  describe(`${name}: an owner's calls`, () => testOwner(open));
  describe(`${name}: recovery`, () => testRecovery(open));
  describe(`${name}: a client's calls`, () => testClient(open));
  describe(`${name}: dead letters`, () => {
    testDead(open);
    testRequeue(open);
    testRemove(open);
  });
  describe(`${name}: what cannot be read`, () => testAside(open));
  describe(`${name}: ended tasks`, () => testEnded(open));
  describe(`${name}: bounds`, () => testBounds(open));
  describe(`${name}: calls that come again`, () => testAgain(open));
  describe(`${name}: edges`, () => testEdges(open));
  describe(`${name}: messages and bells`, () => testMessages(open));
}
