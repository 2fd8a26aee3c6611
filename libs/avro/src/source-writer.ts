import { type ChangeOrigin, invariant, type SourceDescriptor, type SourceField } from "@datatrace/core";
import { Buffer } from "node:buffer";
import { ByteWriter } from "./byte-writer.ts";
import type { SnapshotFlag } from "./source-schema.ts";

export interface SourceIdentity {
  readonly descriptor: SourceDescriptor;
  /** `source.version`. */
  readonly version: string;
  /** `source.name`: the capture's topic prefix. */
  readonly prefix: string;
}

/**
 * Writes the envelope's `source` block. What is the same for every event is encoded once; a block of the same origin as
 * the one before (the rows of a chunk, say) is copied.
 */
export class SourceWriter {
  readonly #head: Uint8Array;
  readonly #database: Uint8Array;
  readonly #fields: readonly SourceField[];
  #origin: ChangeOrigin | null = null;
  #snapshot: SnapshotFlag = "false";
  #slab: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;

  constructor({ descriptor, version, prefix }: SourceIdentity) {
    this.#head = encoded(version, descriptor.connector, prefix);
    this.#database = encoded(descriptor.database);
    this.#fields = descriptor.fields;
  }

  /** Forgets the last block: its bytes may be overwritten when an event is dropped half-way. */
  forget(): void {
    this.#origin = null;
  }

  write(writer: ByteWriter, origin: ChangeOrigin, snapshot: SnapshotFlag): void {
    if (origin === this.#origin && snapshot === this.#snapshot) {
      writer.copyFrom(this.#slab, this.#from, this.#to);
      return;
    }
    const written = writer.at - writer.start;
    this.#encode(writer, origin, snapshot);
    this.#origin = origin;
    this.#snapshot = snapshot;
    this.#slab = writer.slab;
    this.#from = writer.start + written;
    this.#to = writer.at;
  }

  #encode(writer: ByteWriter, origin: ChangeOrigin, snapshot: SnapshotFlag): void {
    const { tsUs, sequence, fields } = origin;
    writer.copyFrom(this.#head, 0, this.#head.length);
    writer.long(Math.floor(tsUs / 1000));
    writer.byte(0);
    writer.string(snapshot);
    writer.copyFrom(this.#database, 0, this.#database.length);
    if (sequence === null) writer.byte(0);
    else {
      writer.byte(2);
      writer.string(sequence);
    }
    writer.byte(2);
    writer.long(tsUs);
    writer.byte(2);
    writer.thousandfold(tsUs);
    const described = this.#fields;
    invariant(fields.length === described.length, "an origin has as many fields as its descriptor");
    for (let i = 0; i < described.length; i += 1) {
      writeField(writer, (described[i] as SourceField).type, fields[i] ?? null);
    }
  }
}

function writeField(writer: ByteWriter, type: SourceField["type"], value: string | number | bigint | null): void {
  if (type === "nullable-string" || type === "nullable-long") {
    if (value === null) {
      writer.byte(0);
      return;
    }
    writer.byte(2);
  }
  if (typeof value === "string") {
    invariant(type === "string" || type === "nullable-string", "a source field is a text");
    writer.string(value);
  } else {
    invariant(value !== null && type !== "string" && type !== "nullable-string", "a source field is an integer");
    if (type === "int") writer.int(Number(value));
    else writer.long(value);
  }
}

function encoded(...texts: readonly string[]): Uint8Array {
  const writer = new ByteWriter();
  for (const text of texts) writer.string(text);
  return Buffer.from(writer.take());
}
