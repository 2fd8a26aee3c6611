import { DataTraceError } from "@datatrace/core";
import type { Position } from "@datatrace/core";
import { formatLsn, parseLsn } from "@datatrace/postgres";
import type { Lsn } from "@datatrace/postgres";

/** A transaction of which a part has been delivered. */
export interface OpenTransaction {
  /** Where its commit record begins. */
  readonly commit: Lsn;
  /** How many of its raw changes (insert, update, delete, truncate, transactional message) are done, wanted or not. */
  readonly index: number;
}

export interface StreamPosition {
  /** End of the last whole transaction, or a later place before which nothing is left. */
  readonly end: Lsn;
  readonly open: OpenTransaction | null;
}

/** `0/16B3748`, or `0/16B3748 0/16B37A0 17` inside a transaction. */
export function formatPosition({ end, open }: StreamPosition): Position {
  const text = open === null ? formatLsn(end) : `${formatLsn(end)} ${formatLsn(open.commit)} ${open.index}`;
  return text as Position;
}

/** @throws DataTraceError `source.decode_failed` for a position that this source did not make. */
export function parsePosition(position: Position): StreamPosition {
  const [end = "", commit, index, ...rest] = position.split(" ");
  if (commit === undefined) return { end: parseLsn(end), open: null };
  if (index === undefined || !/^\d+$/.test(index) || rest.length > 0) {
    throw new DataTraceError("source.decode_failed", { message: "A stored position is not one of PostgreSQL's." });
  }
  return { end: parseLsn(end), open: { commit: parseLsn(commit), index: Number(index) } };
}
