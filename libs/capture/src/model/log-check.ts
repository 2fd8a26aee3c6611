import { createEventDecoder } from "@datatrace/avro";
import {
  dataTopic,
  headers,
  parseRereadMessageKey,
  type Position,
  rereadsTopic,
  UNCHANGED,
  type Value,
} from "@datatrace/core";
import { storedPosition } from "../position-record.ts";
import { baseColumns, chgAt, type ModelDatabase, type ModelTable } from "./model-database.ts";
import type { ModelLog } from "./model-log.ts";

type Cells = Map<string, Value>;

interface KeyState {
  /** Null after a delete. */
  cells: Cells | null;
  /** `chg` of the last change that the log has of this key; null before the first. */
  chg: number | null;
}

/** Compares what the log has of a table with what the database did. @returns what is wrong, in words. */
export async function checkTable(
  table: ModelTable,
  database: ModelDatabase,
  log: ModelLog,
  prefix: string,
  streamStart: number,
): Promise<readonly string[]> {
  const topic = dataTopic(prefix, table.name);
  const decoder = createEventDecoder(log);
  const wrong: string[] = [];
  const keys = new Map<number, KeyState>();
  const seen = new Map<string, number>();
  const places = new Map<number, number>();
  for (const [partition, records] of log.records(topic).entries()) {
    let deleted: string | null = null;
    let lastEntry = -1;
    for (const record of records) {
      const event = await decoder.decode(record, { topic, partition });
      const key = Number(event.key[0]);
      const at = `${table.id} key ${key} offset ${record.offset}`;
      if (places.get(key) !== undefined && places.get(key) !== partition) wrong.push(`${at}: in two partitions`);
      places.set(key, partition);
      if (event.kind === "tombstone") {
        if (deleted !== String(key)) wrong.push(`${at}: tombstone without its delete`);
        deleted = null;
        continue;
      }
      if (deleted !== null) wrong.push(`${at}: delete without its tombstone`);
      deleted = event.op === "d" ? String(key) : null;
      const state = keys.get(key) ?? { cells: null, chg: null };
      const known = keys.has(key);
      keys.set(key, state);
      const chg = event.after === null ? null : Number(event.after[chgAt]);
      if (event.op === "r") {
        if (known && state.cells === null) wrong.push(`${at}: a row read comes after its delete`);
        if (state.chg !== null && chg !== state.chg) wrong.push(`${at}: row read of change ${chg} after ${state.chg}`);
        const row = database.history.get(chg ?? -1) ?? [];
        if (baseColumns.some((_, index) => event.after?.[index] !== row[index]))
          wrong.push(`${at}: never was like that`);
      } else {
        const change = `${event.lsn}/${event.txId}/${event.op}`;
        seen.set(change, (seen.get(change) ?? 0) + 1);
        if (Number(event.lsn) < lastEntry) wrong.push(`${at}: entry ${event.lsn} after ${lastEntry}`);
        lastEntry = Number(event.lsn);
        if (chg !== null) state.chg = chg;
      }
      if (event.after === null) {
        state.cells = null;
        continue;
      }
      const names = event.schema.columns.map((column) => column.name);
      const partial = event.after.includes(UNCHANGED);
      if (partial !== (record.headers[headers.unchanged] !== undefined))
        wrong.push(`${at}: header of unchanged columns`);
      const cells: Cells = new Map(names.map((name, index) => [name, event.after?.[index] ?? null]));
      const base = event.op === "u" ? state.cells : null;
      for (const [name, value] of cells)
        if (value === UNCHANGED && base?.has(name)) cells.set(name, base.get(name) ?? null);
      // A change carries the row of the version it was made in; what it does not know of stays as it was.
      for (const [name, value] of base ?? []) if (!cells.has(name)) cells.set(name, value);
      state.cells = cells;
    }
    if (deleted !== null) wrong.push(`${table.id}: ends with a delete without its tombstone`);
  }
  compareChanges(table, database, streamStart, seen, wrong);
  compareContent(table, database, keys, wrong);
  return wrong;
}

/** Every committed change of a published table is in the log exactly once. */
function compareChanges(
  table: ModelTable,
  database: ModelDatabase,
  streamStart: number,
  seen: Map<string, number>,
  wrong: string[],
): void {
  const expected = new Set<string>();
  let published: ReadonlySet<string> = new Set();
  for (const [entry, wal] of database.wal.entries()) {
    if (wal.kind === "publication") published = wal.tables;
    if (wal.kind !== "transaction" || entry < streamStart || !published.has(table.id)) continue;
    for (const [index, change] of wal.changes.entries()) {
      if (change.table !== table) continue;
      const moved = change.kind === "update" && change.oldKey !== null;
      if (change.kind === "delete" || moved) expected.add(`${entry}/${index}/d`);
      if (change.kind === "insert" || moved) expected.add(`${entry}/${index}/c`);
      else if (change.kind === "update") expected.add(`${entry}/${index}/u`);
    }
  }
  for (const change of expected) if (!seen.has(change)) wrong.push(`${table.id}: change ${change} is missing`);
  for (const [change, count] of seen) {
    if (!expected.has(change)) wrong.push(`${table.id}: change ${change} was never made`);
    else if (count > 1) wrong.push(`${table.id}: change ${change} is there ${count} times`);
  }
}

function compareContent(
  table: ModelTable,
  database: ModelDatabase,
  keys: ReadonlyMap<number, KeyState>,
  wrong: string[],
): void {
  const names = table.schema(table.columns).columns.map((column) => column.name);
  const content = database.content(table);
  for (const [key, row] of content) {
    const cells = keys.get(key)?.cells ?? null;
    if (cells === null) wrong.push(`${table.id} key ${key}: is not in the log`);
    else {
      for (const [index, name] of names.entries()) {
        const value = cells.get(name) ?? null;
        if (value !== (row[index] ?? null))
          wrong.push(`${table.id} key ${key}: ${name} is ${JSON.stringify(value)}, not ${row[index]}`);
      }
    }
  }
  for (const [key, { cells }] of keys)
    if (cells !== null && !content.has(key)) wrong.push(`${table.id} key ${key}: is gone`);
}

/** Log entry up to which the stored position goes; -1 before the first. */
export function storedEntry(log: ModelLog, positionTopic: string): number {
  const position = storedPosition(log.records(positionTopic)[0] ?? []);
  return position === null ? -1 : entryOf(position.position);
}

/** Where the stream of the capture begins. */
export function firstEntry(log: ModelLog, positionTopic: string): number {
  const position = storedPosition((log.records(positionTopic)[0] ?? []).slice(0, 1));
  return position === null ? 0 : entryOf(position.position);
}

/** Requests for re-reads that have no answer. */
export function openRequests(log: ModelLog): number {
  const open = new Set<string>();
  for (const { key, value } of log.records(rereadsTopic)[0] ?? []) {
    if (key === null || parseRereadMessageKey(key) === null) continue;
    const text = new TextDecoder().decode(key);
    if (value === null) open.delete(text);
    else open.add(text);
  }
  return open.size;
}

function entryOf(position: Position): number {
  return Number(position.split("/")[0]);
}
