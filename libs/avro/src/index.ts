/**
 * The event contract: tables as Debezium-compatible Avro, and changes as records of the log.
 *
 * Writing: `avroFromTable` → `registerTable` → `createEventEncoder`, once per version of a table; then `encode` per
 * change, synchronous; partition = `keyHash % partitions`; a delete is followed by `{ key, value: null }`.
 * Reading: one `createEventDecoder` per registry; `decode` answers at once for schemas it has met, and
 * `outline` leaves the row for later.
 */
export { avroFromTable } from "./table-avro.ts";
export { registerTable } from "./registered-schemas.ts";
export { createEventEncoder } from "./event-encoder.ts";
export type { EncodedEvent, EventChange, EventEncoder, Operation } from "./event-encoder.ts";
export { UnexpectedNull } from "./row-writer.ts";
export { createEventDecoder } from "./event-decoder.ts";
export type { DecodedEvent, EventDecoder } from "./event-decoder.ts";
export type { ChangeOutline, EventOutline } from "./event-outline.ts";
export type { ChangeEvent } from "./envelope-reader.ts";
export { keyIdentity, partitionOfKey } from "./wire-format.ts";
export { rowKeyIdentity } from "./key-encoder.ts";
export { keyJson, keyText } from "./key-text.ts";
export { RemoteSchemaRegistry } from "./remote-schema-registry.ts";
export type { RemoteRegistryOptions } from "./remote-schema-registry.ts";
export type { RegistryAddress, RegistryLogin, RegistryTlsOptions } from "./registry-connection.ts";
