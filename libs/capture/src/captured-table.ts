import {
  type DataTraceError,
  type PublishedTable,
  type Row,
  tableId,
  type TableName,
  type TablePhase,
} from "@datatrace/core";
import type { ChunkWindow } from "./chunk-window.ts";
import { cellsToJson } from "./key-cells.ts";
import { RateMeter } from "./rate-meter.ts";
import { RereadQueue } from "./reread-queue.ts";
import type { TableRecord } from "./table-record.ts";
import { TableScan, wholeTable } from "./table-scan.ts";
import type { TableVersion } from "./table-version.ts";

/** Beyond this many keys of its own, capture reads the whole table again: the stored state stays small. */
export const maxOwnRereads = 1000;

export interface CapturedTableOptions {
  readonly name: TableName;
  readonly topic: string;
  readonly partitions: number;
  /** Null for a table that was refused before it had a topic. */
  readonly epoch: number | null;
  readonly versions: readonly TableVersion[];
}

/** One table of a capture while it runs. Whoever changes what `record` holds tells the `TableSet`, which stores it. */
export class CapturedTable {
  readonly name: TableName;
  readonly id: string;
  readonly topic: string;
  readonly partitions: number;
  readonly epoch: number | null;
  /** Oldest first; the first is the newest that the stream has shown, the last is the newest known. */
  versions: readonly TableVersion[];
  phase: TablePhase = "pending";
  error: PublishedTable["error"] = null;
  followed = false;
  /** Taken out of the selection: this object is history. */
  removed = false;
  rowsRead = 0;
  estimatedRows = 0;
  /** Mean size of the rows read last, 0 before the first chunk. */
  rowBytes = 0;
  /** Of the rows read, for the status. */
  readonly meter = new RateMeter();
  scans: readonly TableScan[] = [];
  readonly rereads = new RereadQueue();
  /** Windows of chunks in flight. */
  readonly windows = new Set<ChunkWindow>();
  /** Last offset that an append put into each partition. */
  readonly last = new Map<number, bigint>();

  constructor({ name, topic, partitions, epoch, versions }: CapturedTableOptions) {
    this.name = name;
    this.id = tableId(name);
    this.topic = topic;
    this.partitions = partitions;
    this.epoch = epoch;
    this.versions = versions;
  }

  /** Its changes are published. */
  get publishes(): boolean {
    return !this.removed && this.epoch !== null && this.phase !== "parked" && this.phase !== "done";
  }

  /** Nothing of it is left to be read. */
  get settled(): boolean {
    return !this.publishes || (this.scans.length === 0 && this.rereads.size === 0);
  }

  get version(): TableVersion | undefined {
    return this.versions.at(-1);
  }

  /** Every row that is there now will be published as `r`: a partial event needs no answer of its own. */
  get snapshotOpen(): boolean {
    return this.scans.some((scan) => scan.column === null);
  }

  park(error: DataTraceError): void {
    this.phase = "parked";
    this.error = { code: error.code, message: error.message, fix: error.fix };
    this.scans = [];
    this.rereads.clear();
    this.windows.clear();
  }

  /** Queues a reading of the whole table, unless one is queued that has not begun. */
  readWhole(): void {
    if (!this.scans.some((scan) => scan.column === null && !scan.started)) {
      this.scans = [...this.scans, new TableScan(wholeTable)];
    }
    if (this.phase === "streaming") this.phase = "snapshotting";
  }

  /** Queues a reading of the rows that have a value in this new column. One of the whole table that has not begun covers it. */
  readColumn(column: string): void {
    if (this.scans.some((scan) => !scan.started && (scan.column === null || scan.column === column))) return;
    this.scans = [...this.scans, new TableScan({ ...wholeTable, column })];
  }

  /** The row of this key must be published again, whole. */
  reread(identity: string, cells: Row): void {
    if (this.scans.some((scan) => scan.column === null && !scan.started)) return;
    this.rereads.ask(identity, cells);
    if (this.rereads.ownSize <= maxOwnRereads) return;
    this.rereads.dropOwn();
    this.readWhole();
  }

  record(): TableRecord {
    return {
      table: this.name,
      topic: this.topic,
      partitions: this.partitions,
      phase: this.phase,
      error: this.error,
      rowsRead: this.rowsRead,
      estimatedRows: this.estimatedRows,
      epoch: this.epoch,
      followed: this.followed,
      versions: this.versions.map((version) => version.schema),
      scans: this.scans.map((scan) => scan.stored()),
      rereads: this.rereads.own().map(cellsToJson),
      last: [...this.last].map(([partition, offset]) => [partition, offset.toString()] as const),
    };
  }
}
