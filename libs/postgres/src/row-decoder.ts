import { UNCHANGED } from "@datatrace/core";
import type { Row, TableSchema, Value } from "@datatrace/core";
import type { TextDecoder } from "./array-text.ts";
import { MalformedText, textDecoder } from "./text-decoder.ts";

/** A column that the schema calls NOT NULL was null: the constraint has been dropped since, or came later. */
export class UnexpectedNull extends Error {
  readonly column: number;

  constructor(column: number) {
    super("null in a column that the schema calls NOT NULL");
    this.name = "UnexpectedNull";
    this.column = column;
  }
}

const tab = 0x09;
const newline = 0x0a;
const backslash = 0x5c;
const letterN = 0x4e;

const nullTag = 0x6e;
const unchangedTag = 0x75;
const textTag = 0x74;

/** Decodes rows of one version of a table, from COPY's text format and from pgoutput's tuples, by the same cell decoders. */
export class RowDecoder {
  readonly schema: TableSchema;
  readonly #decoders: readonly TextDecoder[];
  readonly #nullable: readonly boolean[];
  #scratch = Buffer.allocUnsafe(1024);
  /** Where the tuple that was read last has ended. */
  #end = 0;

  constructor(schema: TableSchema) {
    this.schema = schema;
    this.#decoders = schema.columns.map((column) => textDecoder(column.type));
    this.#nullable = schema.columns.map((column) => column.nullable);
  }

  /**
   * One line of COPY … TO STDOUT in text format, with or without its newline.
   * @throws UnknownLabel, UnexpectedNull, MalformedText
   */
  copyRow(line: Buffer): Row {
    const decoders = this.#decoders;
    const count = decoders.length;
    const row: Value[] = [];
    const last = line[line.length - 1] === newline ? line.length - 1 : line.length;
    let start = 0;
    for (let column = 0; column < count; column += 1) {
      if (start > last) throw new MalformedText("row");
      let end = start;
      let escaped = false;
      for (; end < last; end += 1) {
        const byte = line[end];
        if (byte === tab) break;
        if (byte === backslash) escaped = true;
      }
      row.push(escaped ? this.#escapedCell(line, start, end, column) : this.#cell(line, start, end, column));
      start = end + 1;
    }
    if (start !== last + 1 && count > 0) throw new MalformedText("row");
    return row;
  }

  /**
   * A pgoutput TupleData at `offset`; `tupleEnd` is behind it. A column left out (unchanged TOAST) is `UNCHANGED`.
   * `partial`: a key tuple, in which the columns that do not belong to the replica identity are null.
   * @throws UnknownLabel, UnexpectedNull, MalformedText
   */
  tuple(message: Buffer, offset: number, partial: boolean): Row {
    const decoders = this.#decoders;
    const count = message.readUInt16BE(offset);
    if (count !== decoders.length) throw new MalformedText("row of this table version");
    const row: Value[] = [];
    let at = offset + 2;
    for (let column = 0; column < count; column += 1) {
      const tag = message[at];
      at += 1;
      if (tag === textTag) {
        const length = message.readUInt32BE(at);
        at += 4;
        row.push(this.#cell(message, at, at + length, column));
        at += length;
      } else if (tag === nullTag) {
        if (!partial && this.#nullable[column] === false) throw new UnexpectedNull(column);
        row.push(null);
      } else if (tag === unchangedTag) {
        row.push(UNCHANGED);
      } else {
        throw new MalformedText("row");
      }
    }
    this.#end = at;
    return row;
  }

  get tupleEnd(): number {
    return this.#end;
  }

  #cell(bytes: Buffer, start: number, end: number, column: number): Value {
    const decode = this.#decoders[column];
    return decode === undefined ? null : decode(bytes, start, end);
  }

  #escapedCell(line: Buffer, start: number, end: number, column: number): Value {
    if (end - start === 2 && line[start + 1] === letterN) {
      if (this.#nullable[column] === false) throw new UnexpectedNull(column);
      return null;
    }
    if (this.#scratch.length < end - start) this.#scratch = Buffer.allocUnsafe((end - start) * 2);
    const length = unescapeCopy(line, start, end, this.#scratch);
    return this.#cell(this.#scratch, 0, length, column);
  }
}

/** What COPY TO writes as a backslash and a letter; every other character stands for itself. */
const escapes: Readonly<Record<number, number>> = {
  0x62: 0x08,
  0x66: 0x0c,
  0x6e: 0x0a,
  0x72: 0x0d,
  0x74: 0x09,
  0x76: 0x0b,
};

function unescapeCopy(line: Buffer, start: number, end: number, into: Buffer): number {
  let length = 0;
  for (let at = start; at < end; at += 1) {
    let byte = line[at] ?? 0;
    if (byte === backslash) {
      at += 1;
      byte = line[at] ?? 0;
      byte = escapes[byte] ?? byte;
    }
    into[length] = byte;
    length += 1;
  }
  return length;
}
