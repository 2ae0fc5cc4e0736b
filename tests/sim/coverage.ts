/**
 * Which verbs met which faults: a cell counts how often a fault struck while such a call was under way, or the task that
 * it had made was alive.
 *
 * @module
 */

/** Counts of all seeds of a run. */
export class Coverage {
  readonly #cells = new Map<string, number>();
  readonly #faults = new Map<string, number>();

  /** A fault struck while these verbs were concerned. */
  note(fault: string, verbs: ReadonlySet<string>): void {
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + 1);
    for (const verb of verbs) {
      const cell = `${verb}|${fault}`;
      this.#cells.set(cell, (this.#cells.get(cell) ?? 0) + 1);
    }
  }

  /** Pairs that never met. */
  missing(verbs: readonly string[], faults: readonly string[]): string[] {
    return verbs.flatMap((verb) =>
      faults.filter((fault) => !this.#cells.has(`${verb}|${fault}`)).map((fault) => `${verb} × ${fault}`)
    );
  }

  /** The table, a line a verb. */
  table(verbs: readonly string[], faults: readonly string[]): string {
    const width = Math.max(...verbs.map((verb) => verb.length), 8);
    const short = (count: number) => (count > 99_999 ? `${Math.round(count / 1_000)}k` : String(count)).padStart(7);
    const lines = verbs.map((verb) =>
      verb.padEnd(width) + faults.map((fault) => short(this.#cells.get(`${verb}|${fault}`) ?? 0)).join("")
    );
    const head = " ".repeat(width) + faults.map((fault) => fault.replaceAll(" ", "-").slice(0, 6).padStart(7)).join("");
    const sum = "struck".padEnd(width) + faults.map((fault) => short(this.#faults.get(fault) ?? 0)).join("");
    return [head, ...lines, sum].join("\n");
  }
}
