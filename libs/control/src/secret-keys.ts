import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { DataTraceError, Secret } from "@datatrace/core";

/** A secret as it stands in a record: AES-256-GCM, base64 each. */
interface Sealed {
  readonly $sealed: { readonly key: string; readonly nonce: string; readonly tag: string; readonly data: string };
}

interface SealingKey {
  readonly id: string;
  readonly bytes: Buffer;
}

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Seals what is secret in a document, and opens it again. The first key seals, every key opens: to rotate, put the new
 * one first, and take the old one out when every spec has been written again.
 */
export class SecretKeys {
  readonly #first: SealingKey;
  readonly #all: ReadonlyMap<string, SealingKey>;

  private constructor(first: SealingKey, others: readonly SealingKey[]) {
    this.#first = first;
    this.#all = new Map([first, ...others].map((key) => [key.id, key]));
  }

  /**
   * `text`: keys of 32 bytes in base64, with commas between.
   * @throws DataTraceError `config.secret_key_missing`, also for one that is no such key. It never holds the text (I8).
   */
  static parse(text: string): SecretKeys {
    const keys = text
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== "")
      .map((one) => sealingKey(one));
    const [first, ...others] = keys;
    if (first === undefined) throw new DataTraceError("config.secret_key_missing");
    return new SecretKeys(first, others);
  }

  /** The document as JSON data, each `Secret` in it sealed. `place` is bound to it: sealed text opens nowhere else. */
  seal(document: unknown, place: string): unknown {
    if (document instanceof Secret) return this.#seal(document, place);
    return mapEach(document, (value, name) => this.seal(value, `${place}/${name}`));
  }

  /**
   * The document with every secret as a `Secret`.
   * @throws DataTraceError `control.secret_unreadable` when no key opens one, or somebody has changed or moved it.
   */
  open(document: unknown, place: string): unknown {
    if (isSealed(document)) return this.#open(document, place);
    return mapEach(document, (value, name) => this.open(value, `${place}/${name}`));
  }

  /** Whether every secret in it is sealed with the first key. */
  isCurrent(document: unknown): boolean {
    if (isSealed(document)) return document.$sealed.key === this.#first.id;
    return valuesOf(document).every((value) => this.isCurrent(value));
  }

  #seal(secret: Secret, place: string): Sealed {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv("aes-256-gcm", this.#first.bytes, nonce).setAAD(Buffer.from(place));
    const data = Buffer.concat([cipher.update(secret.reveal(), "utf8"), cipher.final()]);
    return {
      $sealed: {
        key: this.#first.id,
        nonce: nonce.toString("base64"),
        tag: cipher.getAuthTag().toString("base64"),
        data: data.toString("base64"),
      },
    };
  }

  #open({ $sealed: { key: id, nonce, tag, data } }: Sealed, place: string): Secret {
    const key = this.#all.get(id);
    if (key === undefined) throw new DataTraceError("control.secret_unreadable", { detail: { place, key: id } });
    try {
      const options = { authTagLength: tagBytes };
      const decipher = createDecipheriv("aes-256-gcm", key.bytes, Buffer.from(nonce, "base64"), options)
        .setAAD(Buffer.from(place))
        .setAuthTag(Buffer.from(tag, "base64"));
      return new Secret(decipher.update(data, "base64", "utf8") + decipher.final("utf8"));
    } catch (error) {
      throw new DataTraceError("control.secret_unreadable", { cause: error, detail: { place, key: id } });
    }
  }
}

/** A key's id is made from it, so that it needs no name and cannot be given a wrong one. */
function sealingKey(text: string): SealingKey {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== keyBytes || bytes.toString("base64") !== text) {
    throw new DataTraceError("config.secret_key_missing", { message: "A key is not 32 bytes in base64." });
  }
  const id = createHash("sha256").update("datatrace sealing key").update(bytes).digest("hex").slice(0, 16);
  return { id, bytes };
}

function isSealed(value: unknown): value is Sealed {
  if (typeof value !== "object" || value === null) return false;
  const { $sealed: inner } = value as Partial<Sealed>;
  return (
    inner !== undefined &&
    [inner.key, inner.nonce, inner.tag, inner.data].every((part: unknown) => typeof part === "string")
  );
}

function valuesOf(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value) : [];
}

function mapEach(value: unknown, map: (value: unknown, name: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((one: unknown, index) => map(one, String(index)));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]: [string, unknown]) => [name, map(one, name)]));
}
