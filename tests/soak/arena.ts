/**
 * The processes of a soak, and the faults that befall them.
 *
 * Every slot has one process at a time; one that ends is followed by another. The first listener and the first client
 * are never ended: whether memory and sockets grow is seen on them.
 *
 * @module
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { type Runtime, startOn } from "../support/fleet.ts";
import type { Running } from "../support/program.ts";
import { within } from "../support/wait.ts";
import type { ProcessOptions } from "./driver.ts";
import type { Journal } from "./journal.ts";
import { Dice } from "./random.ts";
import type { PlannedFault } from "./schedule.ts";
import type { Servers } from "./servers.ts";

type Role = "listener" | "client";

/** A place for one process. */
export interface Slot {
  readonly role: Role;
  readonly runtime: Runtime;
  readonly steady: boolean;
}

interface Member extends Running {
  readonly slot: Slot;
  /** Its end was asked for, by whatever means. */
  asked: boolean;
  isStopped: boolean;
}

/** How long a process that was asked to stop may take, in milliseconds: a client waits for its answers, and a
 * listener repeats what is in doubt for half a minute. */
const STOP_LIMIT = { listener: 45_000, client: 90_000 };

/** Runs processes and faults. */
export class Arena {
  readonly #servers: Servers;
  readonly #journal: Journal;
  readonly #options: Omit<ProcessOptions, "ids">;
  readonly #seed: number;
  readonly #dice: Dice;
  readonly #members = new Map<Slot, Member>();
  readonly #running = new Set<Promise<void>>();
  #incarnation = 0;
  #isOver = false;
  /** What befalls servers comes one after another. */
  #serversFree: Promise<void> = Promise.resolve();
  /** What ended against expectation. */
  readonly troubles: string[] = [];
  /** Faults that could not be made. */
  readonly notMade: string[] = [];

  /** Starts nothing yet. */
  constructor(servers: Servers, journal: Journal, options: Omit<ProcessOptions, "ids">, seed: number) {
    this.#servers = servers;
    this.#journal = journal;
    this.#options = options;
    this.#seed = seed;
    this.#dice = new Dice(seed, "arena");
  }

  /** Starts one process in each slot. */
  start(slots: readonly Slot[]): void {
    for (const slot of slots) this.#spawn(slot);
  }

  /** Injects the faults at their times; resolves when every fault has passed and every client has its answers. */
  async torment(faults: readonly PlannedFault[], duration: number): Promise<void> {
    const started = performance.now();
    const reach = (at: number) => elapse(Math.max(0, started + at - performance.now()));
    for (const fault of faults) {
      await reach(fault.after);
      this.#keep(this.#befall(fault));
    }
    await reach(duration);
    this.#isOver = true;
    await Promise.all([this.stop("client"), ...this.#running]);
    this.#journal.write({ what: "calm" });
  }

  /** Asks all processes of a role to stop. */
  async stop(role: Role): Promise<void> {
    const members = [...this.#members.values()].filter(({ slot }) => slot.role === role);
    await Promise.all(members.map((member) => this.#end(member)));
  }

  /** Runs until it is over, and says when it could not be done. */
  #keep(work: Promise<void>): void {
    const kept = work.catch((error) => void this.troubles.push(`${error}`)).finally(() => this.#running.delete(kept));
    this.#running.add(kept);
  }

  #spawn(slot: Slot): void {
    const ids = `${this.#seed}.${slot.role}-${slot.runtime}.${this.#incarnation++}`;
    const options: ProcessOptions = { ...this.#options, ids };
    const running = startOn(slot.runtime, "tests/soak/process.ts", [slot.role, JSON.stringify(options)]);
    const member: Member = { ...running, slot, asked: false, isStopped: false };
    const { role, runtime, steady } = slot;
    this.#members.set(slot, member);
    this.#journal.write({ what: "born", pid: member.pid, role, runtime, steady });
    void member.done.then(({ code, stdout, stderr }) => this.#buried(member, code, stdout + stderr));
  }

  #buried(member: Member, code: number | null, output: string): void {
    const { slot, pid, asked } = member;
    appendFileSync(join(this.#options.folder, `${pid}.log`), output);
    this.#journal.write({ what: "died", pid, code, asked });
    if (!asked) this.troubles.push(`${slot.role} ${pid} on ${slot.runtime} ended by itself, code ${code}: ${pid}.log`);
    if (this.#members.get(slot) === member) this.#members.delete(slot);
    if (this.#isOver) return;
    // As an orchestrator would.
    const pause = this.#dice.between(200, 1_000);
    this.#keep(elapse(pause).then(() => this.#isOver && slot.role === "client" ? undefined : this.#spawn(slot)));
  }

  async #end(member: Member): Promise<void> {
    member.asked = true;
    member.kill("SIGTERM");
    const { role, runtime } = member.slot;
    const what = `${role} ${member.pid} on ${runtime} ends`;
    try {
      const { code } = await within(member.done, what, STOP_LIMIT[role]);
      if (code !== 0 && code !== null) this.troubles.push(`${role} ${member.pid} on ${runtime} ended with ${code}`);
    } catch (error) {
      this.troubles.push(`${error}`);
      member.kill("SIGKILL");
    }
  }

  async #befall(fault: PlannedFault): Promise<void> {
    const [verb, whom] = fault.kind.split(" ");
    if (whom === "listener" || whom === "client") return await this.#befallProcess(fault, verb!, whom);
    const network = this.#befallNetwork(fault);
    if (network !== undefined) return await network;
    this.#serversFree = this.#serversFree.then(() => this.#befallServers(fault))
      .catch((error) => void this.notMade.push(`${fault.kind}: ${error}`));
    await this.#serversFree;
  }

  async #befallProcess({ kind, lasts, whom }: PlannedFault, verb: string, role: Role): Promise<void> {
    const fit = [...this.#members.values()].filter(({ slot, asked, isStopped }) =>
      slot.role === role && !asked && !isStopped && (!slot.steady || verb === "stop")
    );
    const victim = fit[Math.floor(whom * fit.length)];
    if (victim === undefined) return; // All of them are down already.
    const { pid } = victim;
    const since = Date.now();
    this.#journal.write({ what: "fault", kind, pid, since, until: since + (verb === "stop" ? lasts : 0) });
    if (verb === "kill") {
      victim.asked = true;
      victim.kill("SIGKILL");
    } else if (verb === "stop") {
      victim.isStopped = true;
      victim.kill("SIGSTOP");
      await elapse(lasts);
      victim.kill("SIGCONT");
      victim.isStopped = false;
    } else await this.#end(victim);
  }

  #befallNetwork({ kind, lasts }: PlannedFault): Promise<void> | undefined {
    const { network } = this.#servers;
    const since = Date.now();
    const note = (length: number) => this.#journal.write({ what: "fault", kind, since, until: since + length });
    switch (kind) {
      case "network frozen":
        note(lasts);
        network.freeze();
        return elapse(lasts).then(() => network.thaw());
      case "connections refused":
        note(lasts);
        network.refuse(true);
        network.reset();
        return elapse(lasts).then(() => network.refuse(false));
      case "connections reset":
        note(0);
        return Promise.resolve(network.reset());
      case "connections forgotten":
        note(0);
        return Promise.resolve(network.forget());
      default:
        return undefined;
    }
  }

  async #befallServers({ kind, lasts }: PlannedFault): Promise<void> {
    const servers = this.#servers;
    let since = Date.now();
    if (kind === "kill Redis") await servers.kill9(lasts);
    else if (kind === "failover") await servers.failover();
    else if (kind === "failover, tail lost") since = await servers.failoverWithLoss(lasts);
    else if (kind === "scripts flushed") await servers.cli("SCRIPT", "FLUSH");
    else if (kind === "memory full") await servers.fill(lasts);
    else if (kind === "clients killed") {
      for (const type of ["normal", "pubsub"]) await servers.cli("CLIENT", "KILL", "TYPE", type);
    } else throw new Error(`Cannot inject "${kind}": nobody knows how`);
    this.#journal.write({ what: "fault", kind, since, until: Date.now() });
  }
}

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
