/**
 * Everything this system knows about PostgreSQL, for whatever reads or writes one.
 *
 * Connect: `parseConnectionUrl` → `connect` (one session) or `openPool`; both pin every setting that decides how values
 * print. Errors of the driver contain values: read them with `postgresFailure`, and pass on only that.
 * Names: `quoteName`, `quoteTable`, `quoteText`.
 * Types: `textDecoder(type)` reads the text of COPY, of pgoutput and of a text result; `textEncoder(type)` gives text
 * that the type's input function reads as exactly that value. `columnSql`, `columnTypeSql`, `columnEnum` make DDL.
 * Catalog: `readCatalog` (tables with columns, key, grants), then `tableShape` (→ `TableSchema` and findings).
 * Reads: `runScript` (a snapshot, COPY and more in one round trip) with `RowDecoder`; `rangeCondition`, `keysCondition`.
 * Stream: `ReplicationConnection`, `pgoutput.ts`, `PostgresSnapshot`, `widenTransactionId`.
 */
export { arrayElementText } from "./array-text.ts";
export type { TextDecoder } from "./array-text.ts";
export { listTables, readCatalog, readTypes } from "./catalog.ts";
export type { Catalog, CatalogColumn, CatalogTable, CatalogType } from "./catalog.ts";
export { columnEnum, columnSql, columnTypeSql } from "./column-sql.ts";
export type { EnumDefinition } from "./column-sql.ts";
export { parseConnectionUrl } from "./connection-settings.ts";
export type { ConnectionSettings } from "./connection-settings.ts";
export { quoteName, quoteTable, quoteText } from "./identifier.ts";
export { daysInMonth, daysOf } from "./calendar.ts";
export { typeEntry, typeTable } from "./native-type.ts";
export type { CarriedType, TypeEntry } from "./native-type.ts";
export { BindMessage } from "./bind-message.ts";
export { PipelinedSession } from "./pipelined-session.ts";
export type { Answer, BoundStatement, PipelineOptions, Statement } from "./pipelined-session.ts";
export { runScript } from "./copy-out.ts";
export type { ScriptReader } from "./copy-out.ts";
export { keyColumns, keysCondition, nameList, rangeCondition } from "./key-condition.ts";
export { formatLsn, parseLsn } from "./lsn.ts";
export type { Lsn } from "./lsn.ts";
export {
  isTransactionalMessage,
  pgoutputTag,
  readBegin,
  readCommit,
  readLogicalMessage,
  readRelation,
  readTruncate,
  tupleOffset,
  tupleTag,
} from "./pgoutput.ts";
export type { BeginMessage, CommitMessage, LogicalMessage, RelationColumn, RelationMessage } from "./pgoutput.ts";
export { ReplicationConnection } from "./replication-connection.ts";
export type { ReplicationOptions, ReplicationReceiver } from "./replication-connection.ts";
export { RowDecoder, UnexpectedNull } from "./row-decoder.ts";
export { PostgresSnapshot, widenTransactionId } from "./snapshot.ts";
export { failureDetail, postgresFailure } from "./postgres-failure.ts";
export type { FailureKind, PostgresFailure } from "./postgres-failure.ts";
export { PostgresRowReader } from "./row-reader.ts";
export { connect, openPool, sessionConfig } from "./session.ts";
export type { SessionOptions } from "./session.ts";
export { columnType, tableShape } from "./table-shape.ts";
export type { TableShape, UncarriedType } from "./table-shape.ts";
export { MalformedText, UnknownLabel, textDecoder } from "./text-decoder.ts";
export { textEncoder } from "./text-encoder.ts";
export type { TextEncoder } from "./text-encoder.ts";
export { sameNative, sameType } from "./type-equality.ts";
