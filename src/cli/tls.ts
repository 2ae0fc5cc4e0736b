/**
 * The flags that name certificates: a private authority is the rule where Redis speaks TLS, and the environment
 * variables for one (NODE_EXTRA_CA_CERTS, DENO_CERT) differ between the runtimes.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import type { FlagParametersForType } from "@stricli/core";
import { usageError } from "./exit_codes.ts";

/** Paths of PEM files. */
export interface TlsFlags {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** The flags as stricli wants them. */
export const tlsFlags: FlagParametersForType<TlsFlags> = {
  tlsCa: file("For rediss://: the certificate of the CA to trust, instead of those of the system"),
  tlsCert: file("For rediss://: the certificate to show to the server"),
  tlsKey: file("For rediss://: the private key of that certificate"),
};

/**
 * The files' contents as `connect` takes them; undefined without any flag.
 * @throws {CliError} (usage) naming the flag whose file cannot be read, or which lacks the other.
 */
export async function tlsOf({ tlsCa, tlsCert, tlsKey }: TlsFlags): Promise<Record<string, string> | undefined> {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw usageError("--tls-cert and --tls-key go together");
  const given = Object.entries({ ca: tlsCa, cert: tlsCert, key: tlsKey });
  const read = given.flatMap(([name, path]) => path === undefined ? [] : [pem(name, path)]);
  return read.length === 0 ? undefined : Object.fromEntries(await Promise.all(read));
}

function file(
  brief: string,
): { kind: "parsed"; parse: (text: string) => string; optional: true; placeholder: string; brief: string } {
  return { kind: "parsed", parse: String, optional: true, placeholder: "file.pem", brief };
}

async function pem(name: string, path: string): Promise<[name: string, text: string]> {
  const flag = `--tls-${name} ${path}`;
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw usageError(`Cannot read ${flag}: ${cause.message}`, { cause });
  });
  // Some runtimes ignore what is no PEM, and would say that the server's certificate is not trusted.
  if (!text.includes("-----BEGIN ")) {
    throw usageError(`Cannot use ${flag}: it holds no "-----BEGIN …", so it is no PEM`);
  }
  return [name, text];
}
