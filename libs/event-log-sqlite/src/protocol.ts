import type {
  AppendedRange,
  ErrorCode,
  ErrorDetail,
  GroupProgress,
  LogBounds,
  TopicIdentity,
  TopicPartition,
  TopicSpec,
} from "@datatrace/core";

import type { PackedAppend } from "./append-pack.ts";
import type { RecordRun } from "./record-frame.ts";
import type { LogStatistics } from "./statistics.ts";

/** Settings with all defaults filled in. */
export interface StoreSettings {
  readonly directory: string;
  readonly maxSizeBytes: number;
  /** How long a member that gives no sign of life keeps its partitions. */
  readonly leaseMs: number;
  /** How long to wait for another process's write before `log.locked`. */
  readonly lockedAfterMs: number;
}

/** What the log's thread can be asked, with the answer of each. */
export interface Operations {
  open: { request: StoreSettings; answer: null };
  close: { request: null; answer: null };
  ensureTopic: { request: TopicSpec; answer: TopicIdentity };
  topic: { request: { readonly name: string }; answer: TopicIdentity | null };
  topics: { request: { readonly prefix: string }; answer: readonly string[] };
  deleteTopics: { request: { readonly names: readonly string[] }; answer: null };
  bounds: { request: TopicPartition; answer: LogBounds };
  openWriter: { request: { readonly id: string }; answer: { readonly epoch: number } };
  append: {
    request: PackedAppend & { readonly writer: string; readonly epoch: number };
    answer: readonly AppendedRange[];
  };
  /** A run without records stands for nothing there. */
  read: {
    request: TopicPartition & { readonly from: bigint };
    answer: { readonly run: RecordRun; readonly next: bigint };
  };
  latestByKey: { request: { readonly topic: string }; answer: RecordRun };
  registerGroup: { request: { readonly group: string; readonly topics: readonly string[] }; answer: null };
  removeGroup: { request: { readonly group: string }; answer: null };
  groupProgress: { request: { readonly group: string }; answer: readonly GroupProgress[] };
  openReader: {
    request: { readonly reader: string; readonly group: string; readonly topics: readonly string[] };
    answer: null;
  };
  setTopics: { request: { readonly reader: string; readonly topics: readonly string[] }; answer: null };
  closeReader: { request: { readonly reader: string }; answer: null };
  commit: { request: { readonly group: string; readonly partitionId: number; readonly next: bigint }; answer: null };
  registerSchema: { request: { readonly subject: string; readonly schema: string }; answer: number };
  schemaById: { request: { readonly id: number }; answer: string };
  statistics: { request: null; answer: LogStatistics };
  reclaim: { request: null; answer: null };
}

export type Operation = keyof Operations;

/** A partition of one incarnation of a topic: `partitionId` is never used again after the topic was deleted. */
export interface AssignedPartition extends TopicPartition {
  readonly partitionId: number;
  /** Differs each time that the partition is given to a member. */
  readonly grant: number;
}

/** `turn` ties an answer to the question, so that one from before a seek is not taken for one after it. */
export interface FetchPosition {
  readonly partitionId: number;
  readonly offset: bigint;
  readonly turn: number;
}

export type FetchedPart = { readonly partitionId: number; readonly turn: number } & (
  | { readonly run: RecordRun; readonly next: bigint }
  | { readonly outOfRange: LogBounds }
);

/** An error on its way between the threads. */
export interface WireError {
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;
}

export type ToWorker =
  | {
      readonly [O in Operation]: { kind: "request"; id: number; operation: O; request: Operations[O]["request"] };
    }[Operation]
  /** Asks to give up a request that still waits for its turn. It is answered in any case. */
  | { readonly kind: "cancel"; readonly id: number }
  /** Changes what the reader waits for: one offset per partition. */
  | {
      readonly kind: "fetch";
      readonly reader: string;
      readonly wait: readonly FetchPosition[];
      readonly forget: readonly number[];
    };

export type FromWorker =
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: WireError }
  | { readonly kind: "cancelled"; readonly id: number }
  /** All partitions that the reader now has. */
  | { readonly kind: "assignment"; readonly reader: string; readonly partitions: readonly AssignedPartition[] }
  | { readonly kind: "fetched"; readonly reader: string; readonly parts: readonly FetchedPart[] }
  /** Everything that the reader waited for is forgotten. */
  | { readonly kind: "reader_failed"; readonly reader: string; readonly error: WireError };
