export type { Brand } from "./brand.ts";
export type { CanonicalKind, CanonicalType, ScalarType } from "./canonical-type.ts";
export type {
  CaptureSource,
  ChangeOrigin,
  Chunk,
  KeyRange,
  Position,
  RowChange,
  SnapshotView,
  SourceBatch,
  SourceDescriptor,
  SourceEvent,
  SourceField,
  StreamStart,
  StreamState,
  TableDescription,
} from "./capture-source.ts";
export type { SinkConnector, SinkContext, SourceConnector, SourceContext } from "./connector.ts";
export { DataTraceError, errorTable } from "./errors.ts";
export type { ErrorCode, ErrorDetail, ErrorOptions, Retry } from "./errors.ts";
export type {
  AppendedRange,
  EventLog,
  GroupProgress,
  LogBounds,
  LogHeaders,
  LogReader,
  LogRecord,
  LogWriter,
  RecordsRead,
  ReaderEvent,
  SchemaRegistry,
  StoredRecord,
  TopicIdentity,
  TopicPartition,
  TopicSpec,
} from "./event-log.ts";
export { failpoint } from "./failpoint.ts";
export type { Finding } from "./finding.ts";
export { headers } from "./headers.ts";
export { invariant, invariants } from "./invariants.ts";
export type { Invariant } from "./invariants.ts";
export type { LogFields, Logger } from "./logger.ts";
export { parsePublishedTable, publishedTableKey } from "./published-table.ts";
export type { PublishedTable, TablePhase } from "./published-table.ts";
export { sizeOfRecords } from "./record-size.ts";
export { parseRereadMessageKey, rereadMessageKey, rereadMessageValue } from "./reread-message.ts";
export type { RowReader, TextRow } from "./row-reader.ts";
export { SourceText, UNCHANGED } from "./row.ts";
export type { Row, Value } from "./row.ts";
export { Secret } from "./secret.ts";
export type {
  ApplyOutcome,
  ApplyUnit,
  Claim,
  ClaimedTopicPartition,
  PartialUpdate,
  PartitionProgress,
  QuarantineEntry,
  RereadRequest,
  Rows,
  Sink,
  TableChanges,
  TableExistsStrategy,
  TargetTable,
} from "./sink.ts";
export { tableId } from "./table-schema.ts";
export type { Column, NativeType, TableName, TableSchema } from "./table-schema.ts";
export { dataTopic, positionTopic, rereadsTopic, stateTopic } from "./topic-names.ts";
export { untilAborted } from "./until-aborted.ts";
