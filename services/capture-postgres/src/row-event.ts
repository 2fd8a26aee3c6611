import { UNCHANGED } from "@datatrace/core";
import type { ChangeOrigin, Row, SourceEvent, TableName, Value } from "@datatrace/core";
import { pgoutputTag, tupleOffset, tupleTag } from "@datatrace/postgres";
import type { FollowedTable } from "./followed-tables.ts";
import { sameValue } from "./same-value.ts";

/** What every change of a transaction shares. */
export interface ChangeTransaction {
  readonly txId: bigint;
  readonly commitTsUs: number;
  /** Beginning of `ChangeOrigin.sequence`: `["<commit position>","`. */
  readonly sequence: string;
}

/** `ChangeOrigin.fields` as `sourceDescriptor` names them. A WAL position is a number as long as that is exact: 8 PB. */
export function originOf(open: ChangeTransaction, table: TableName, walStart: number): ChangeOrigin {
  return {
    tsUs: open.commitTsUs,
    sequence: `${open.sequence}${walStart}"]`,
    fields: [table.schema, table.table, Number(open.txId), walStart, null, null, null],
  };
}

/** An insert, update or delete, read where it lies. @throws UnknownLabel, UnexpectedNull, MalformedText */
export function decodeRow(message: Buffer, table: FollowedTable, origin: ChangeOrigin): SourceEvent {
  const { schema, decoder } = table;
  const tag = message[tupleOffset];
  if (message[0] === pgoutputTag.insert) {
    return { kind: "insert", schema, after: decoder.tuple(message, tupleOffset + 1, false), origin };
  }
  if (message[0] === pgoutputTag.delete) {
    const beforeIsFull = tag === tupleTag.old;
    return {
      kind: "delete",
      schema,
      before: decoder.tuple(message, tupleOffset + 1, !beforeIsFull),
      beforeIsFull,
      origin,
    };
  }
  if (tag === tupleTag.new) {
    return {
      kind: "update",
      schema,
      before: null,
      oldKey: null,
      after: decoder.tuple(message, tupleOffset + 1, false),
      origin,
    };
  }
  const isFull = tag === tupleTag.old;
  const old = decoder.tuple(message, tupleOffset + 1, !isFull);
  const received = decoder.tuple(message, decoder.tupleEnd + 1, false);
  const after = received.includes(UNCHANGED) ? completed(received, old, isFull, table.identity) : received;
  const keyChanged = schema.key.some((index) => !sameValue(old[index] ?? null, after[index] ?? null));
  return { kind: "update", schema, before: isFull ? old : null, oldKey: keyChanged ? old : null, after, origin };
}

/** What the new tuple left out (unchanged TOAST), from the old one where that has it. */
function completed(after: Row, old: Row, isFull: boolean, identity: readonly boolean[]): Row {
  return after.map((value: Value, index): Value => {
    if (value !== UNCHANGED || !(isFull || identity[index] === true)) return value;
    return old[index] ?? null;
  });
}
