/**
 * The rules of SECURITY.md as the tests need them: read out of the page itself, so that what is promised is what is tested.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** Prefix and suffix in the page's rules. */
const EXAMPLE = "app|task-queue";

/** A role of SECURITY.md. */
export type Role = "producer" | "listener" | "reader";

/** The rules of a role. */
export interface RoleRules {
  /** Words of `ACL SETUSER` behind the user's name: password, keys and channels of `base`, commands. */
  readonly words: readonly string[];
  /** The commands alone, in order: `get`, `client|id` … */
  readonly commands: readonly string[];
}

/** Reads the rules of a role for the keys of `base` and a password. */
export function rulesOf(role: Role, base: string, password: string): RoleRules {
  const page = readFileSync(new URL("../../SECURITY.md", import.meta.url), "utf8");
  const block = new RegExp(`^\`\`\`sh acl ${role}\n([^]*?)^\`\`\`$`, "m").exec(page)?.[1];
  const start = `redis-cli ACL SETUSER errand-${role} `;
  if (!block?.startsWith(start)) {
    throw new Error(`SECURITY.md has no block "sh acl ${role}" that begins with "${start}"`);
  }
  const words = [...block.slice(start.length).replaceAll("\\\n", " ").matchAll(/'([^']*)'|(\S+)/g)]
    .map(([, quoted, bare]) => quoted ?? bare!)
    .map((word) => word === ">PASSWORD" ? `>${password}` : word.replace(EXAMPLE, base));
  const commands = words.filter((word) => word.startsWith("+")).map((word) => word.slice(1)).sort();
  return { words, commands };
}
