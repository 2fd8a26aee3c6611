import { DataTraceError } from "@datatrace/core";
import type { Lsn } from "./lsn.ts";

/**
 * Messages of the output plugin pgoutput, protocol version 1, text format. Layout: PostgreSQL documentation, "Logical
 * Replication Message Formats". Row messages are not turned into objects: whoever reads them decodes the tuples where
 * they lie, with `RowDecoder.tuple`.
 */
export const pgoutputTag = {
  begin: 0x42,
  commit: 0x43,
  origin: 0x4f,
  relation: 0x52,
  type: 0x59,
  insert: 0x49,
  update: 0x55,
  delete: 0x44,
  truncate: 0x54,
  message: 0x4d,
} as const;

/** Kinds of tuples in row messages. */
export const tupleTag = { key: 0x4b, old: 0x4f, new: 0x4e } as const;

/** Where the first tuple tag of an insert, update or delete stands: after the tag and the relation's object id. */
export const tupleOffset = 5;

export interface BeginMessage {
  /** Where the commit record begins: the identity of the transaction in the WAL. */
  readonly commitLsn: Lsn;
  /** Microseconds since 1970. */
  readonly commitTsUs: number;
  /** Low 32 bits of the transaction id. */
  readonly xid: number;
}

export interface CommitMessage {
  readonly commitLsn: Lsn;
  /** Behind the commit record: what may be acknowledged. */
  readonly endLsn: Lsn;
}

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** Part of the replica identity; with REPLICA IDENTITY FULL every column is. */
  readonly identity: boolean;
}

/** A table as it was when the changes that follow were made. */
export interface RelationMessage {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** `d` default, `f` full, `i` index, `n` nothing. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

export interface LogicalMessage {
  readonly transactional: boolean;
  readonly prefix: string;
  readonly content: string;
}

/** Microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch. */
const epochUs = 946_684_800_000_000;

export function readBegin(message: Buffer): BeginMessage {
  return {
    commitLsn: message.readBigUInt64BE(1),
    commitTsUs: Number(message.readBigInt64BE(9)) + epochUs,
    xid: message.readUInt32BE(17),
  };
}

export function readCommit(message: Buffer): CommitMessage {
  return { commitLsn: message.readBigUInt64BE(2), endLsn: message.readBigUInt64BE(10) };
}

export function readRelation(message: Buffer): RelationMessage {
  const cursor = new Cursor(message, 5);
  const namespace = cursor.text();
  const table = cursor.text();
  const replicaIdentity = String.fromCharCode(cursor.byte());
  const count = cursor.short();
  const columns: RelationColumn[] = [];
  for (let index = 0; index < count; index += 1) {
    const identity = (cursor.byte() & 1) === 1;
    columns.push({ identity, name: cursor.text(), typeOid: cursor.unsigned(), typmod: cursor.signed() });
  }
  // An empty namespace stands for pg_catalog.
  const schema = namespace === "" ? "pg_catalog" : namespace;
  return { oid: message.readUInt32BE(1), schema, table, replicaIdentity, columns };
}

/** Object ids of the tables that one TRUNCATE emptied. */
export function readTruncate(message: Buffer): readonly number[] {
  const count = message.readUInt32BE(1);
  return Array.from({ length: count }, (_, index) => message.readUInt32BE(6 + index * 4));
}

/** Transactional or not is known before the rest is read: only transactional ones count as raw changes. */
export function isTransactionalMessage(message: Buffer): boolean {
  return (message.readUInt8(1) & 1) === 1;
}

export function readLogicalMessage(message: Buffer): LogicalMessage {
  const cursor = new Cursor(message, 10);
  const prefix = cursor.text();
  const length = cursor.unsigned();
  return {
    transactional: isTransactionalMessage(message),
    prefix,
    content: message.toString("utf8", cursor.at, cursor.at + length),
  };
}

class Cursor {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    this.at += 1;
    return this.#bytes.readUInt8(this.at - 1);
  }

  short(): number {
    this.at += 2;
    return this.#bytes.readUInt16BE(this.at - 2);
  }

  unsigned(): number {
    this.at += 4;
    return this.#bytes.readUInt32BE(this.at - 4);
  }

  signed(): number {
    this.at += 4;
    return this.#bytes.readInt32BE(this.at - 4);
  }

  /** Ends with a zero byte. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.at);
    if (end < 0) throw new DataTraceError("source.decode_failed", { message: "A name in the stream has no end." });
    const text = this.#bytes.toString("utf8", this.at, end);
    this.at = end + 1;
    return text;
  }
}
