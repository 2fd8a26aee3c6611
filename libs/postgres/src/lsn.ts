import { DataTraceError } from "@datatrace/core";

/** A place in the write-ahead log: bytes since its beginning. `16/B374D848` is PostgreSQL's way to write it. */
export type Lsn = bigint;

/** @throws DataTraceError `source.decode_failed` for any other form. */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  if (match === null) throw new DataTraceError("source.decode_failed", { message: "A WAL position is malformed." });
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xff_ff_ff_ffn).toString(16).toUpperCase()}`;
}
