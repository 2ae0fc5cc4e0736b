/**
 * What the header of a record says, read without a full decode: the journal looks at every record that is written.
 *
 * @module
 */

/** A record at one instant; states are the digits of the header. */
export interface Head {
  readonly state: string;
  readonly cancelAsked: boolean;
  readonly joined: boolean;
  readonly attempt: number;
  readonly crashes: number;
  readonly fence: string;
  readonly owner: string;
  readonly kind: string;
  readonly maxAttempts: number;
  readonly deadline: number;
  readonly nonce: string;
  readonly name: string;
  /** Name, options and params. */
  readonly body: string;
  readonly outcome: string;
}

/** Reads a record; null when there is none. Simulations write ASCII only. */
export function headOf(text: string | null): Head | null {
  if (text === null) return null;
  const nameLength = Number(text.slice(99, 102));
  const bodyEnd = 114 + nameLength + Number(text.slice(102, 106)) + Number(text.slice(106, 114));
  return {
    state: text[1]!,
    cancelAsked: text[2] === "1",
    joined: text[3] === "1",
    attempt: Number(text.slice(5, 8)),
    crashes: Number(text.slice(8, 11)),
    fence: text.slice(24, 40),
    owner: text.slice(40, 52),
    kind: text[52]!,
    maxAttempts: Number(text.slice(53, 56)),
    deadline: Number(text.slice(56, 69)),
    nonce: text.slice(79, 99),
    name: text.slice(114, 114 + nameLength),
    body: text.slice(114, bodyEnd),
    outcome: text.slice(bodyEnd),
  };
}

/** Scheduled, queued or running. */
export function isLive({ state }: { readonly state: string }): boolean {
  return state >= "1" && state <= "3";
}

/** Succeeded, failed, cancelled or expired. */
export function isEnded({ state }: { readonly state: string }): boolean {
  return state >= "4" && state <= "7";
}
