import { tableId } from "@datatrace/core";
import type { DataTraceError, TableName, TableSchema } from "@datatrace/core";
import { columnType, keyColumns } from "@datatrace/postgres";
import type { Catalog, CatalogTable } from "@datatrace/postgres";
import { primaryKeyError, shapeError, typeName } from "./relation-shape.ts";

/** What is watched for, per table. */
interface Watched {
  readonly oid: number;
  readonly columns: ReadonlyMap<number, { readonly name: string; readonly type: string }>;
}

/**
 * Finds what the stream does not tell, or only with the next change of a row: a table that was dropped, renamed, made
 * again or taken out of the publication; a column that was dropped, also when one of the same name took its place.
 */
export class CatalogWatch {
  readonly #tables = new Map<string, Watched>();

  /**
   * Compares with the look before. `wanted`: tables that are, or at least were, in the publication. `known`: the versions that the runtime has, by table id, for the first look after a
   * restart. `published`: object ids in the publication. Answers each loss once.
   */
  look(
    wanted: readonly TableName[],
    known: ReadonlyMap<string, TableSchema>,
    catalog: Catalog,
    published: ReadonlySet<number>,
  ): readonly { readonly table: TableName; readonly error: DataTraceError }[] {
    const losses: { table: TableName; error: DataTraceError }[] = [];
    const present = new Map(catalog.tables.map((table) => [tableId(table.name), table]));
    const ids = new Set(wanted.map((name) => tableId(name)));
    for (const id of this.#tables.keys()) if (!ids.has(id)) this.#tables.delete(id);
    for (const name of wanted) {
      const error = this.#compare(
        name,
        known.get(tableId(name)) ?? null,
        present.get(tableId(name)),
        catalog,
        published,
      );
      if (error !== null) losses.push({ table: name, error });
    }
    return losses;
  }

  #compare(
    name: TableName,
    version: TableSchema | null,
    table: CatalogTable | undefined,
    catalog: Catalog,
    published: ReadonlySet<number>,
  ): DataTraceError | null {
    const lost = (what: string): DataTraceError => shapeError("source.schema_change_unsupported", name, what);
    const before = this.#tables.get(tableId(name));
    if (table === undefined) return lost("it was dropped or renamed");
    if (before !== undefined && before.oid !== table.oid) return lost("it was dropped or renamed, and made again");
    // What is wanted was published: this is another table of the same name, or somebody took it out.
    if (!published.has(table.oid)) return lost("it was dropped and made again, or taken out of the publication");
    const now = watched(table, catalog);
    this.#tables.set(tableId(name), now);
    const what = columnsLost(before?.columns ?? numbered(version), now.columns);
    if (what !== null) return lost(what);
    if (table.replicaIdentity === "n") {
      return shapeError("source.replica_identity", name, "its replica identity does not carry its key");
    }
    return version === null
      ? null
      : primaryKeyError(
          table,
          keyColumns(version).map((column) => column.name),
        );
  }
}

function watched(table: CatalogTable, catalog: Catalog): Watched {
  const columns = table.columns
    .filter((column) => !column.generated)
    .map((column) => {
      const carried = columnType(column.typeOid, column.typmod, catalog.types);
      const type = "uncarried" in carried ? carried.uncarried : typeName(carried.native);
      return [column.number, { name: column.name, type }] as const;
    });
  return { oid: table.oid, columns: new Map(columns) };
}

/** What the version says of columns whose numbers it knows. */
function numbered(version: TableSchema | null): Watched["columns"] {
  const columns = (version?.columns ?? []).flatMap(({ number, name, native }) =>
    number === undefined ? [] : [[number, { name, type: typeName(native) }] as const],
  );
  return new Map(columns);
}

function columnsLost(before: Watched["columns"], now: Watched["columns"]): string | null {
  for (const [number, column] of before) {
    const same = now.get(number);
    if (same === undefined) return `column ${column.name} was dropped`;
    if (same.name !== column.name) return `column ${column.name} was renamed to ${same.name}`;
    if (same.type !== column.type) {
      return `the type of column ${column.name} changed from ${column.type} to ${same.type}`;
    }
  }
  return null;
}
