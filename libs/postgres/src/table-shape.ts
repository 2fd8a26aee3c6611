import type { Column, Finding, TableSchema } from "@datatrace/core";
import { tableId } from "@datatrace/core";
import type { Catalog, CatalogColumn, CatalogTable, CatalogType } from "./catalog.ts";
import { builtinType, enumType } from "./native-type.ts";
import type { CarriedType } from "./native-type.ts";

/** A type that this version does not carry, by the name to show. */
export interface UncarriedType {
  readonly uncarried: string;
}

/** Maps a column's type by object id; `types` must hold what is not built in, with the element types of arrays. */
export function columnType(
  oid: number,
  typmod: number,
  types: ReadonlyMap<number, CatalogType>,
): CarriedType | UncarriedType {
  const builtin = builtinType(oid, typmod);
  if (builtin !== null) return builtin;
  const type = types.get(oid);
  if (type === undefined) return { uncarried: `type ${oid}` };
  if (type.kind === "e") return enumType(type.name, type.labels, false);
  const element = types.get(type.elementOid);
  if (element?.kind === "e") return enumType(element.name, element.labels, true);
  const kinds: Readonly<Record<string, string>> = { c: "composite type ", d: "domain ", r: "range ", m: "multirange " };
  return { uncarried: `${kinds[type.kind] ?? ""}${type.schema}.${type.name}` };
}

/** A table's shape, with what keeps it from being carried. */
export interface TableShape {
  /** Columns of types that are not carried and generated columns are left out. The key is the primary key. */
  readonly schema: TableSchema;
  readonly findings: readonly Finding[];
}

/** The schema of a table as the catalog has it, and a finding for each column that is left out. */
export function tableShape(table: CatalogTable, catalog: Catalog): TableShape {
  const findings: Finding[] = [];
  const id = tableId(table.name);
  const columns: Column[] = [];
  const numbers: number[] = [];
  for (const column of table.columns) {
    if (column.generated) {
      findings.push(generatedColumn(id, column));
      continue;
    }
    const carried = columnType(column.typeOid, column.typmod, catalog.types);
    if ("uncarried" in carried) {
      findings.push(uncarriedColumn(id, column.name, carried.uncarried));
      continue;
    }
    columns.push({ name: column.name, ...carried, nullable: !column.notNull, number: column.number });
    numbers.push(column.number);
  }
  const key = (table.primaryKey ?? []).map((number) => numbers.indexOf(number)).filter((index) => index >= 0);
  return { schema: { name: table.name, columns, key }, findings };
}

function generatedColumn(table: string, column: CatalogColumn): Finding {
  return {
    severity: "info",
    code: "source.type_unsupported",
    message: `Column ${column.name} of ${table} is generated; it is not carried, because the target can generate it too.`,
    fix: "Nothing to do. If the target needs the values, create its table with the same generated column.",
    table,
  };
}

function uncarriedColumn(table: string, column: string, type: string): Finding {
  return {
    severity: "error",
    code: "source.type_unsupported",
    message: `Column ${column} of ${table} has the type ${type}, which this version does not carry.`,
    fix: `Change the column's type (ALTER TABLE ${table} ALTER COLUMN ${column} TYPE text), or take the table out of the pipeline.`,
    table,
  };
}
