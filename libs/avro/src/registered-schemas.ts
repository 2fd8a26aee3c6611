import { untilAborted } from "@datatrace/core";
import type { SchemaRegistry } from "@datatrace/core";
import type { AvroSchemas } from "./table-avro.ts";

/** Global ids of a table version's schemas. */
export interface TableSchemaIds {
  readonly keySchemaId: number | null;
  readonly valueSchemaId: number;
}

interface Known {
  readonly ids: Map<string, Promise<number>>;
  readonly texts: Map<number, Promise<string>>;
}

/** A registry never changes what an id means, so what it said once is kept as long as the registry object lives. */
const knownOf = new WeakMap<SchemaRegistry, Known>();

/**
 * Registers both schemas of a table under `<topic>-key` and `<topic>-value`. Asks the registry once per schema and
 * process. Errors are the registry's; nothing is remembered of a failed call.
 */
export async function registerTable(
  registry: SchemaRegistry,
  topic: string,
  schemas: AvroSchemas,
  signal?: AbortSignal,
): Promise<TableSchemaIds> {
  return {
    keySchemaId: schemas.key === null ? null : await register(registry, `${topic}-key`, schemas.key, signal),
    valueSchemaId: await register(registry, `${topic}-value`, schemas.value, signal),
  };
}

/** The schema of an id, as Avro JSON. @throws DataTraceError `registry.schema_unknown`. */
export async function schemaText(registry: SchemaRegistry, id: number, signal?: AbortSignal): Promise<string> {
  return await remembered(known(registry).texts, id, () => registry.byId(id), signal);
}

async function register(
  registry: SchemaRegistry,
  subject: string,
  schema: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { ids, texts } = known(registry);
  const id = await remembered(ids, `${subject} ${schema}`, () => registry.register(subject, schema), signal);
  texts.set(id, Promise.resolve(schema));
  return id;
}

function known(registry: SchemaRegistry): Known {
  let entry = knownOf.get(registry);
  if (entry === undefined) {
    entry = { ids: new Map(), texts: new Map() };
    knownOf.set(registry, entry);
  }
  return entry;
}

/**
 * One call for all who ask at the same time. It carries nobody's signal: whoever stops waiting must not end what the
 * others wait for.
 */
async function remembered<K, V>(
  map: Map<K, Promise<V>>,
  key: K,
  load: () => Promise<V>,
  signal: AbortSignal | undefined,
): Promise<V> {
  signal?.throwIfAborted();
  const pending = map.get(key) ?? begin(map, key, load);
  return signal === undefined ? await pending : await untilAborted(pending, signal);
}

function begin<K, V>(map: Map<K, Promise<V>>, key: K, load: () => Promise<V>): Promise<V> {
  const pending = load();
  map.set(key, pending);
  pending.catch(() => {
    if (map.get(key) === pending) map.delete(key);
  });
  return pending;
}
