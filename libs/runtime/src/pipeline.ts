import type { TableExistsStrategy } from "@datatrace/core";
import type { PipelineLog } from "./pipeline-log.ts";
import type { TablePattern } from "./table-pattern.ts";

/** `snapshot`: what is there now. `stream`: what changes from now on. `snapshot+stream`: both, without a gap. */
export type CaptureMode = "snapshot" | "stream" | "snapshot+stream";

/** What happens with a row that the target refuses for good. */
export type ErrorStrategy = "pause" | "skip" | "skip_row" | "quarantine";

/** An entry under `sources:` or `targets:`. */
export interface Endpoint {
  readonly id: string;
  readonly type: string;
  /** The entry without `type`, as its connector's `configSchema` says; fields marked `writeOnly` there are `Secret`s. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Line of the entry in the file. */
  readonly line: number;
}

export interface TaskObject {
  readonly pattern: TablePattern;
  /** Name in the target; null = the source's own name. Never with a glob. */
  readonly to: { readonly schema: string; readonly table: string } | null;
  readonly line: number;
}

export interface SyncSettings {
  /** Rows that a sink applies at once. */
  readonly batchRows: number;
  /** Chunks snapshotted, and partitions applied, at once. */
  readonly threads: number;
  readonly errorStrategy: ErrorStrategy;
  /** Partitions of a table's topic. */
  readonly partitions: number;
  readonly tableExistsStrategy: TableExistsStrategy;
}

export interface Task {
  readonly id: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly mode: CaptureMode;
  readonly objects: readonly TaskObject[];
  readonly sync: SyncSettings;
  readonly line: number;
}

/** A pipeline file after substitution, defaults and checks. */
export interface Pipeline {
  /** Absolute path of the file it was read from. */
  readonly file: string;
  readonly name: string;
  readonly log: PipelineLog;
  readonly sources: ReadonlyMap<string, Endpoint>;
  readonly targets: ReadonlyMap<string, Endpoint>;
  readonly tasks: readonly Task[];
}
