/**
 * A certificate authority of the test's own: nothing about TLS can be shown without one, and no program makes it, since a
 * fresh machine has none.
 *
 * @module
 */
import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

/** A certificate and its private key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says of its owner. */
interface Owner {
  readonly name: string;
  /** Host names and IP addresses that a server answers for. */
  readonly hosts?: readonly string[];
}

const DAY = 24 * 60 * 60 * 1000;
let serial = 0;

/** Signs certificates that are valid from yesterday until tomorrow. */
export class Authority {
  /** What a client must trust, PEM. */
  readonly cert: string;
  readonly #name: string;
  readonly #key: string;

  /** `name` is only for people. */
  constructor(name: string) {
    const { cert, key } = make({ name }, [{ name: "basicConstraints", cA: true, critical: true }]);
    this.#name = name;
    this.#key = key;
    this.cert = cert;
  }

  /** A certificate of a server with these hosts, or of a client without any. */
  issue(owner: Owner): Certificate {
    const hosts = (owner.hosts ?? []).map((host) => isAddress(host) ? { type: 7, ip: host } : { type: 2, value: host });
    const names = hosts.length > 0 ? [{ name: "subjectAltName", altNames: hosts }] : [];
    const use = { name: "extKeyUsage", serverAuth: true, clientAuth: true };
    return make(owner, [{ name: "basicConstraints", cA: false }, use, ...names], { name: this.#name, key: this.#key });
  }
}

/** Makes and signs one; without an `issuer` it signs itself. */
function make(owner: Owner, extensions: readonly unknown[], issuer?: { name: string; key: string }): Certificate {
  // The keys of node:crypto: those of the library take seconds.
  const { publicKey, privateKey: key } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = (++serial).toString(16).padStart(2, "0");
  certificate.validity.notBefore = new Date(Date.now() - DAY);
  certificate.validity.notAfter = new Date(Date.now() + DAY);
  certificate.setSubject([{ name: "commonName", value: owner.name }]);
  certificate.setIssuer([{ name: "commonName", value: issuer?.name ?? owner.name }]);
  certificate.setExtensions([...extensions]);
  certificate.sign(forge.pki.privateKeyFromPem(issuer?.key ?? key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key };
}

function isAddress(host: string): boolean {
  return /^[\d.]+$|:/.test(host);
}
