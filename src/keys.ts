/**
 * Every key that errand uses in Redis, and nothing else builds one. Type and life time of each: ARCHITECTURE.md.
 *
 * @module
 */

/** The keys and channels of one `base` = `<prefix>|<suffix>`. */
export interface Keys {
  /** `<prefix>|<suffix>`, from which the scripts build the keys of a task they know by its id. */
  readonly base: string;
  /** A key that never exists: deleting it first lets a script run on a full Redis (protocol rule 5). */
  readonly none: string;
  record(id: string): string;
  joined(id: string): string;
  queue(name: string): string;
  scheduled(name: string): string;
  lease(name: string): string;
  dead(name: string): string;
  done(name: string): string;
  stats(name: string): string;
  bell(name: string): string;
  listen(name: string): string;
  listener(listener: string): string;
  inbox(client: string): string;
  control(listener: string): string;
}

/** Builds the keys of a prefix and suffix; a brace that is not one balanced, non-empty pair is a `TypeError`. */
export function keysOf(prefix: string, suffix: string): Keys {
  const base = `${withoutBar(prefix)}|${withoutBar(suffix)}`;
  refuseStrayBraces(base);
  return {
    base,
    none: `${base}|task-none`,
    record: (id) => `${base}|task-result:${id}`,
    joined: (id) => `${base}|task-joined:${id}`,
    queue: (name) => `${base}|task-queue|${name}`,
    scheduled: (name) => `${base}|task-scheduled|${name}`,
    lease: (name) => `${base}|task-lease|${name}`,
    dead: (name) => `${base}|task-dead|${name}`,
    done: (name) => `${base}|task-done|${name}`,
    stats: (name) => `${base}|task-stats|${name}`,
    bell: (name) => `${base}|task-bell|${name}`,
    listen: (name) => `${base}|task-listen|${name}`,
    listener: (listener) => `${base}|task-listener|${listener}`,
    inbox: (client) => `${base}|inbox|${client}`,
    control: (listener) => `${base}|control|${listener}`,
  };
}

/**
 * The first two bars of a key end its prefix and suffix: with a bar in them, another queue's names could build the same
 * key (`a|b` and `c`, `a` and `b|c`). One is written `%7C`, and a `%` that would read as ours is written `%25`.
 */
function withoutBar(text: string): string {
  return text.replaceAll(/%(?=7C|25)/g, "%25").replaceAll("|", "%7C");
}

/** Redis Cluster hashes what stands in the first pair of braces: a stray one would scatter the keys of one task. */
function refuseStrayBraces(base: string): void {
  const braces = base.replaceAll(/[^{}]/g, "");
  const balanced = braces === "" || (braces === "{}" && !base.includes("{}"));
  if (balanced) return;
  throw new TypeError(
    `Cannot use ${
      JSON.stringify(base)
    } as prefix and suffix: they may hold one balanced, non-empty pair of braces, for example "{app}"`,
  );
}
