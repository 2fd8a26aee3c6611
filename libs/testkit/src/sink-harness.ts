import type { Row, Sink, TableName, TableSchema } from "@datatrace/core";

/** Limits that a test makes short. */
export interface SinkLimits {
  /** The server ends a session that stands still this long inside a transaction. */
  readonly idleTransactionTimeoutMs?: number;
  /** A claim ends sessions of earlier owners that stand still this long. */
  readonly takeOverMs?: number;
  readonly answerTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
}

/** An empty target of its own for one test. */
export interface SinkBed extends AsyncDisposable {
  /** Where it is, in the form that `openSink` of the harness's module takes. */
  readonly target: string;
  /** Port of the server, for a proxy in front of it. */
  readonly port: number;
  /** What only the commit of a unit has on the wire. */
  readonly commit: string;
  /** Rows as the database has them, in key order, decoded to canonical values. */
  rows(target: TableName, schema: TableSchema): Promise<readonly Row[]>;
  /** What the database prints for every helper table, row by row: the proof that nothing moved. */
  helperRows(): Promise<string>;
  helperTables(): Promise<readonly string[]>;
  /** The user's own changes of the target. */
  dropTable(target: TableName): Promise<void>;
  addUnique(target: TableName, column: string): Promise<void>;
  /** Values below zero are refused from now on. */
  addCheck(target: TableName, column: string): Promise<void>;
  /** A table of the user's, with these columns as text of DDL, such as `id bigint PRIMARY KEY`. */
  createTable(target: TableName, columns: readonly string[]): Promise<void>;
}

/** What a sink's folder gives to `describeSink`. */
export interface SinkHarness {
  /** File url of a module that exports `openSink: OpenSink`: owners that are frozen run it in a process of their own. */
  readonly module: string;
  readonly openSink: OpenSink;
  makeBed(): Promise<SinkBed>;
}

export type OpenSink = (target: string, limits?: SinkLimits) => Sink;
