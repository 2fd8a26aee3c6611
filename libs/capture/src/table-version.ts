import { avroFromTable, createEventEncoder, type EventEncoder, registerTable } from "@datatrace/avro";
import type { SchemaRegistry, SourceDescriptor, TableSchema } from "@datatrace/core";

/**
 * One version of a table as it is published. It stays the same object when a column turns out to be nullable: its rows
 * are aligned as before, and only schema and encoder are replaced.
 */
export interface TableVersion {
  schema: TableSchema;
  encoder: EventEncoder;
}

/** Who writes the events: what `source.version` and `source.name` say. */
export interface Publisher {
  readonly descriptor: SourceDescriptor;
  readonly prefix: string;
  readonly registry: SchemaRegistry;
}

/** `source.version` of our events: the version of the event contract, not of a package. */
const contractVersion = "1.0";

/** Registers the version's schemas under the topic's subjects, and makes its encoder. */
export async function publishedVersion(
  publisher: Publisher,
  topic: string,
  schema: TableSchema,
  signal: AbortSignal,
): Promise<TableVersion> {
  return { schema, encoder: await encoderOf(publisher, topic, schema, signal) };
}

/** Registers the version anew with this column nullable: the stream had a null where none was expected. */
export async function allowNull(
  publisher: Publisher,
  topic: string,
  version: TableVersion,
  column: number,
  signal: AbortSignal,
): Promise<void> {
  const schema: TableSchema = {
    ...version.schema,
    columns: version.schema.columns.map((each, index) => (index === column ? { ...each, nullable: true } : each)),
  };
  version.encoder = await encoderOf(publisher, topic, schema, signal);
  version.schema = schema;
}

async function encoderOf(
  { registry, descriptor, prefix }: Publisher,
  topic: string,
  schema: TableSchema,
  signal: AbortSignal,
): Promise<EventEncoder> {
  const ids = await registerTable(registry, topic, avroFromTable({ topic, schema, descriptor }), signal);
  return createEventEncoder({ ...ids, schema, descriptor, prefix, version: contractVersion });
}
