import type { CaptureSource, TableName } from "@datatrace/core";

/** Limits that a test makes small. */
export interface CaptureTuning {
  readonly maxEvents?: number;
  readonly maxBytes?: number;
  /** How often an idle stream gives out its position. */
  readonly heartbeatMs?: number;
}

export interface CaptureOpening {
  /** Id of the capture; the same id goes on where another source object has stopped. */
  readonly capture?: string;
  readonly tuning?: CaptureTuning;
}

/** A connection of the source's user. Statements are plain SQL that every source understands. */
export interface UserSession extends AsyncDisposable {
  run(sql: string): Promise<void>;
}

/** An empty source database for one test. */
export interface CaptureBed extends AsyncDisposable {
  openSource(opening?: CaptureOpening): CaptureSource;
  connect(): Promise<UserSession>;
  /** The name under which the source lists a table that was made as `CREATE TABLE <table> …`. */
  nameOf(table: string): TableName;
  /** Ends every connection to the source but those of `connect`. */
  cutConnections(): Promise<void>;
  /** A type for texts of this many characters that the database stores apart from the row, such as `text`. */
  readonly largeText: string;
  /** What captures have made in the database and on its server. */
  leftovers(): Promise<readonly string[]>;
}

/** What a source's folder gives to `describeCaptureSource`. */
export interface CaptureHarness {
  makeBed(): Promise<CaptureBed>;
}
