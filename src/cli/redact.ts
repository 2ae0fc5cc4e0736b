/**
 * Keeps passwords out of everything that the command line prints.
 *
 * All messages pass through {@linkcode Redactor.redact} on their way to a stream, whoever made them: our own, an
 * adapter's, a parser's that quotes a mistyped argument. Redacting where a message is made was rejected: one place
 * forgotten is one password in a log. What tasks return is data and passes untouched.
 *
 * @module
 */

const MASK = "***";
/** Shorter passwords are hidden only inside URLs: masking every "a" in a text would say more than it hides. */
const SHORTEST_SECRET = 4;

/** Masks credentials in texts; learns the passwords of the URLs in use, so that these are masked also when they stand alone. */
export class Redactor {
  readonly #secrets = new Set<string>();

  /** Learns the password of a Redis URL, as written and as decoded. Any other text is ignored: a path may hold an "@" too. */
  learn(url: string | undefined): void {
    const credentials = /^(?:rediss?|(?:redis\+)?unix):\/\/(.*)@/i.exec(url ?? "")?.[1];
    if (credentials === undefined) return;
    const password = credentials.slice(credentials.indexOf(":") + 1);
    for (const secret of [password, decoded(password)]) {
      if (secret.length >= SHORTEST_SECRET) this.#secrets.add(secret);
    }
  }

  /** The text with every password masked. */
  redact(text: string): string {
    let clean = redactUrls(text);
    for (const secret of this.#secrets) clean = clean.replaceAll(secret, MASK);
    return clean;
  }
}

/**
 * Masks user and password in every URL of a text: `redis://user:secret@host` becomes `redis://***@host`.
 *
 * What holds a `/` or a `[` is a path or a piece of our own help and stays, as does the password of our own hint; a
 * real password with such a letter is one that {@linkcode Redactor.learn} has seen.
 */
export function redactUrls(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)(?!:password@host\b)[^\s"'`/[]*@/gi, `$1${MASK}@`)
    .replace(/([?&](?:password|auth|token)=)[^&\s"'`]*/gi, `$1${MASK}`);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
