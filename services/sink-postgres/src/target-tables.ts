import { DataTraceError, tableId } from "@datatrace/core";
import type { TableName, TableSchema } from "@datatrace/core";
import { TableStatements } from "./table-statements.ts";
import type { TargetTableShape } from "./target-catalog.ts";

/** What this process knows of the target tables that it has prepared. */
export class TargetTables {
  readonly #shapes = new Map<string, TargetTableShape>();
  readonly #statements = new Map<string, Map<TableSchema, TableStatements>>();

  /** After `prepare`: statements made for an earlier shape are forgotten. */
  remember(target: TableName, shape: TargetTableShape): void {
    const table = tableId(target);
    const known = this.#shapes.get(table);
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(shape)) return;
    this.#shapes.set(table, shape);
    this.#statements.delete(table);
  }

  /** @throws DataTraceError `sink.table_missing` for a table that was not prepared. */
  statements(target: TableName, schema: TableSchema): TableStatements {
    const table = tableId(target);
    const versions = this.#statements.get(table) ?? new Map<TableSchema, TableStatements>();
    this.#statements.set(table, versions);
    const known = versions.get(schema);
    if (known !== undefined) return known;
    const shape = this.#shapes.get(table);
    if (shape === undefined) throw new DataTraceError("sink.table_missing", { detail: { table } });
    const made = new TableStatements(target, schema, shape);
    versions.set(schema, made);
    return made;
  }
}
