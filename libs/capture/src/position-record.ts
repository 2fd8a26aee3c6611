import type { Position, StoredRecord } from "@datatrace/core";

/** The one small record of a capture's position topic, written in the append of the events up to it (I3). */
export interface StoredPosition {
  readonly position: Position;
  /** Rows appended since the capture began, for lag in rows. */
  readonly rows: bigint;
  /** Transactions at or before the position that no read had yet shown as visible. */
  readonly unseen: readonly bigint[];
}

interface JsonPosition {
  readonly position: string;
  readonly rows: string;
  readonly unseen: readonly string[];
}

const text = new TextEncoder();

export const positionKey = text.encode("position");

export function encodePosition({ position, rows, unseen }: StoredPosition): Uint8Array {
  const json: JsonPosition = { position, rows: rows.toString(), unseen: unseen.map(String) };
  return text.encode(JSON.stringify(json));
}

/** The stored position, from what the position topic holds; null when there is none. */
export function storedPosition(records: readonly StoredRecord[]): StoredPosition | null {
  const value = records.at(-1)?.value ?? null;
  if (value === null) return null;
  const json = JSON.parse(new TextDecoder().decode(value)) as JsonPosition;
  return { position: json.position as Position, rows: BigInt(json.rows), unseen: json.unseen.map(BigInt) };
}
