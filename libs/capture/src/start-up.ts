import {
  type CaptureSource,
  DataTraceError,
  type EventLog,
  failpoint,
  type Logger,
  type LogRecord,
  type LogWriter,
  positionTopic,
  rereadsTopic,
  stateTopic,
} from "@datatrace/core";
import type { Catalog } from "./catalog.ts";
import { encodePosition, positionKey, type StoredPosition, storedPosition } from "./position-record.ts";
import { encodeStream, storedStream, type StreamRecord, streamKey } from "./stream-record.ts";
import { storedTables, type TableRecord } from "./table-record.ts";
import type { TableSet } from "./table-set.ts";

export interface StartUpOptions {
  readonly capture: string;
  readonly source: CaptureSource;
  readonly log: EventLog;
  readonly writer: LogWriter;
  readonly tables: TableSet;
  readonly catalog: Catalog;
  /** Mode `snapshot`: tables that are done stay done. Otherwise they are read again, and followed. */
  readonly snapshotOnly: boolean;
  readonly logger: Logger;
}

const fenceKey = new TextEncoder().encode("fence");

/** Where a session begins. Null: a capture of mode `snapshot` that is complete. */
export type SessionStart = StoredPosition | null;

/**
 * Reads back what is stored, and keeps the start-up order: publication, intent record, stream, first position. A crash
 * between any two of them is recovered from at the next start. Call it with the writer open: nobody else appends then.
 */
export async function startUp(options: StartUpOptions, signal: AbortSignal): Promise<SessionStart> {
  const { capture, source, log, writer, tables, catalog, snapshotOnly } = options;
  await log.ensureTopic({ name: positionTopic(capture), partitions: 1, cleanup: "compact" }, signal);
  await log.ensureTopic({ name: stateTopic(capture), partitions: 1, cleanup: "compact" }, signal);
  await log.ensureTopic({ name: rereadsTopic, partitions: 1, cleanup: "compact" }, signal);
  // A fence marker: a process that was taken over while it lost its source must not end its successor's stream (I2).
  await writer.append([{ topic: stateTopic(capture), partition: 0, key: fenceKey, value: null }]);
  const position = storedPosition(await log.latestByKey(positionTopic(capture), signal));
  const state = await log.latestByKey(stateTopic(capture), signal);
  const stream = storedStream(state);
  const identity = await source.identity(signal);
  if (position !== null && stream !== null && stream.identity !== identity) {
    throw new DataTraceError("source.identity_changed", { detail: { stored: stream.identity, found: identity } });
  }
  // One candidate only: the position that the log has. The source's own is never combined with it (I2).
  if (position !== null) {
    if (!(await source.stream(signal)).exists) throw new DataTraceError("source.history_lost", { detail: { capture } });
    await restore(options, storedTables(state), signal);
    await catalog.refresh(signal);
    return position;
  }
  if (stream?.state === "finished") {
    await restore(options, storedTables(state), signal);
    if ((await source.stream(signal)).exists) await source.dropStream(signal);
    await catalog.refresh(signal);
    if (snapshotOnly && [...tables.all()].every((table) => table.settled)) return null;
  } else if (stream === null) {
    if ((await source.stream(signal)).exists)
      throw new DataTraceError("source.position_missing", { detail: { capture } });
    await catalog.refresh(signal);
  } else {
    // An intent and no position: whatever there is was never streamed from.
    await catalog.refresh(signal);
    if ((await source.stream(signal)).exists) await source.dropStream(signal);
  }
  return await firstPosition(options, { state: "intent", identity }, signal);
}

async function firstPosition(
  { capture, source, writer, tables, logger }: StartUpOptions,
  intent: StreamRecord,
  signal: AbortSignal,
): Promise<StoredPosition> {
  const at = { topic: stateTopic(capture), partition: 0 };
  await writer.append([{ ...at, key: streamKey, value: encodeStream(intent) }]);
  failpoint("capture.after_intent");
  const { position, unseen } = await source.createStream(signal);
  failpoint("capture.after_slot");
  const first: StoredPosition = { position, rows: 0n, unseen };
  const record: LogRecord = {
    topic: positionTopic(capture),
    partition: 0,
    key: positionKey,
    value: encodePosition(first),
  };
  await writer.append([...tables.drain(), record]);
  logger.info("stream made", { position });
  return first;
}

/** What a capture of mode `snapshot` stores when it is complete: its stream may be dropped from then on. */
export function finishedRecords(capture: string, identity: string): readonly LogRecord[] {
  return [
    {
      topic: stateTopic(capture),
      partition: 0,
      key: streamKey,
      value: encodeStream({ state: "finished", identity }),
    },
    { topic: positionTopic(capture), partition: 0, key: positionKey, value: null },
  ];
}

async function restore(
  { log, tables, snapshotOnly }: StartUpOptions,
  records: readonly TableRecord[],
  signal: AbortSignal,
): Promise<void> {
  for (const record of records) {
    const table = await tables.restore(record, signal);
    const { topic, partitions } = table;
    if (table.epoch === null) continue;
    const { epoch } = await log.ensureTopic({ name: topic, partitions, cleanup: "delete" }, signal);
    let recreated = epoch !== table.epoch;
    for (let partition = 0; partition < partitions && !recreated; partition += 1) {
      const { end } = await log.bounds({ topic, partition }, signal);
      recreated = end <= (table.last.get(partition) ?? -1n);
      // The writer is open, so nobody else appends: this is our own last record, whichever append it came from.
      if (end > 0n) table.last.set(partition, end - 1n);
    }
    if (table.phase === "parked") continue;
    if (recreated) {
      tables.park(table, new DataTraceError("log.topic_recreated", { detail: { table: table.id, topic } }));
    } else if (table.phase === "done" && !snapshotOnly) {
      table.phase = "pending";
      table.followed = false;
      table.rowsRead = 0;
      table.readWhole();
      tables.touch(table);
    }
  }
}
