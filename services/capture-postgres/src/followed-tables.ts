import { DataTraceError, tableId } from "@datatrace/core";
import type { Column, TableName, TableSchema } from "@datatrace/core";
import { RowDecoder, keyColumns, sameNative } from "@datatrace/postgres";
import type { Catalog, CatalogTable, CatalogType, RelationMessage } from "@datatrace/postgres";
import {
  compareShape,
  identityError,
  lostLabels,
  primaryKeyError,
  relationShape,
  shapeError,
} from "./relation-shape.ts";
import type { RelationColumns } from "./relation-shape.ts";
import type { TableVersions } from "./table-versions.ts";

/** A table of the stream: how its rows read from here on, or why it cannot be followed. */
export interface FollowedTable {
  readonly relation: RelationMessage;
  readonly name: TableName;
  readonly schema: TableSchema;
  readonly decoder: RowDecoder;
  /** Per column: an old key tuple carries it. */
  readonly identity: readonly boolean[];
  readonly lost: DataTraceError | null;
}

const nothing = { columns: [], key: [] } as const;

/**
 * The tables of one stream, by what its Relation messages say. The messages come in the order of the log, so that a
 * version never goes back within a stream; the catalog is of today, so that it may only be asked for what yesterday
 * cannot contradict.
 */
export class FollowedTables {
  readonly #versions: TableVersions;
  readonly #byOid = new Map<number, FollowedTable>();
  readonly #types = new Map<number, CatalogType>();
  /** Tables lost under this name, whatever comes in it later. */
  readonly #lost = new Map<string, DataTraceError>();

  constructor(versions: TableVersions) {
    this.#versions = versions;
  }

  get(oid: number): FollowedTable | undefined {
    return this.#byOid.get(oid);
  }

  byName(name: TableName): FollowedTable | undefined {
    const id = tableId(name);
    return [...this.#byOid.values()].find((table) => tableId(table.name) === id);
  }

  /** Takes a Relation message where that needs nothing more; null = `resolve` it with the catalog. */
  offer(relation: RelationMessage): FollowedTable | null {
    const current = this.#byOid.get(relation.oid);
    const name = { schema: relation.schema, table: relation.table };
    if (current?.lost === null && sameRelation(current.relation, relation)) return current;
    const known = this.#lost.get(tableId(name));
    if (known !== undefined) return this.#lose(relation, known);
    const shape = relationShape(relation, this.#types);
    if (shape.kind !== "columns") return null;
    const before = current?.schema ?? this.#versions.newest(name);
    if (before === null || compareShape(before, shape.columns).kind !== "same") return null;
    // With FULL every column is flagged, so that only the catalog knows the primary key.
    if (relation.replicaIdentity === "f" || this.#replaced(relation) !== null) return null;
    const error = identityError(relation, keyNames(before));
    return error === null ? this.#follow(relation, before) : this.#lose(relation, error);
  }

  /**
   * Takes a Relation message with the catalog of now: of this object id, and of this name. `newLabels`: a row has shown
   * a label that the version does not have; without that an enum keeps the labels that it was known with.
   */
  resolve(relation: RelationMessage, catalog: Catalog, newLabels: boolean): FollowedTable {
    for (const [oid, type] of catalog.types) this.#types.set(oid, type);
    const result = this.#judge(relation, catalog, newLabels);
    return result instanceof DataTraceError ? this.#lose(relation, result) : this.#follow(relation, result);
  }

  /** A column was null that its version calls NOT NULL. */
  relax(table: FollowedTable, column: number): FollowedTable {
    return this.#follow(table.relation, this.#versions.relax(table.schema, column));
  }

  /** What was found out by other means than a Relation message. */
  loseByName(name: TableName, error: DataTraceError): void {
    const id = tableId(name);
    if (this.#lost.has(id)) return;
    this.#lost.set(id, error);
    const table = this.byName(name);
    if (table !== undefined) this.#byOid.set(table.relation.oid, { ...table, lost: error });
  }

  #judge(relation: RelationMessage, catalog: Catalog, newLabels: boolean): TableSchema | DataTraceError {
    const name = { schema: relation.schema, table: relation.table };
    const replaced = this.#replaced(relation);
    if (replaced !== null) return replaced;
    const shape = relationShape(relation, catalog.types);
    if (shape.kind === "uncarried") return shape.error;
    if (shape.kind === "lookup") {
      return shapeError("source.type_unsupported", name, "the type of one of its columns has been dropped");
    }
    const today = catalog.tables.find((table) => table.oid === relation.oid);
    const current = this.#byOid.get(relation.oid);
    const before = current?.schema ?? this.#versions.newest(name);
    const columns = newLabels || before === null ? shape.columns : withLabels(shape.columns, before);
    const schema = this.#version(relation, columns, current?.schema ?? null, today);
    if (schema instanceof DataTraceError) return schema;
    const key = keyNames(schema);
    if (key.length === 0) return shapeError("source.table_without_key", name, "it has no primary key");
    const byCatalog = today === undefined ? null : primaryKeyError(today, key);
    return identityError(relation, key) ?? byCatalog ?? schema;
  }

  #version(
    relation: RelationMessage,
    columns: RelationColumns,
    current: TableSchema | null,
    today: CatalogTable | undefined,
  ): TableSchema | DataTraceError {
    const name = { schema: relation.schema, table: relation.table };
    const before = current ?? this.#versions.newest(name);
    const full = columns.map((column, index) => completed(column, before?.columns[index], relation, index, today));
    if (before === null) return this.#versions.intern({ name, columns: full, key: newKey(relation, today) });
    const change = compareShape(before, columns);
    const changed = (what: string): DataTraceError => shapeError("source.schema_change_unsupported", name, what);
    switch (change.kind) {
      case "changed":
        return changed(change.what);
      case "same":
      case "wider": {
        const labels = lostLabels(before, columns);
        return labels === null ? this.#versions.intern({ name, columns: full, key: before.key }) : changed(labels);
      }
      case "narrower": {
        // The stream never goes back; only its first Relation may be of before a version that is known already.
        const older = current === null && addedLater(change.missing, columns, today);
        if (!older) return changed(`column ${change.missing[0]?.name ?? "?"} was dropped`);
        return before.key.every((index) => index < columns.length)
          ? this.#versions.intern({ name, columns: full, key: before.key }, true)
          : changed("its primary key changed");
      }
    }
  }

  /** The table of this object id had another name, or this name belonged to another table. */
  #replaced(relation: RelationMessage): DataTraceError | null {
    const name = { schema: relation.schema, table: relation.table };
    const former = this.#byOid.get(relation.oid)?.name;
    if (former !== undefined && tableId(former) !== tableId(name)) {
      return shapeError("source.schema_change_unsupported", former, `it was renamed to ${tableId(name)}`);
    }
    const other = this.byName(name);
    if (other === undefined || other.relation.oid === relation.oid) return null;
    return shapeError("source.schema_change_unsupported", name, "it was dropped or renamed, and made again");
  }

  #follow(relation: RelationMessage, schema: TableSchema): FollowedTable {
    const current = this.#byOid.get(relation.oid);
    const table: FollowedTable = {
      relation,
      name: { schema: relation.schema, table: relation.table },
      schema,
      decoder: current?.schema === schema ? current.decoder : new RowDecoder(schema),
      identity: relation.columns.map((column) => column.identity),
      lost: null,
    };
    this.#byOid.set(relation.oid, table);
    return table;
  }

  /** A renamed table stays lost under the name that it was followed by. */
  #lose(relation: RelationMessage, error: DataTraceError): FollowedTable {
    const name = this.#byOid.get(relation.oid)?.name ?? { schema: relation.schema, table: relation.table };
    this.#lost.set(tableId(name), error);
    const schema = { name, ...nothing };
    const table = { relation, name, schema, decoder: new RowDecoder(schema), identity: [], lost: error };
    this.#byOid.set(relation.oid, table);
    return table;
  }
}

function keyNames(schema: TableSchema): readonly string[] {
  return keyColumns(schema).map((column) => column.name);
}

function sameRelation(one: RelationMessage, other: RelationMessage): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What a Relation message does not say of a column: from the version before, else from today's column of the same type. */
function completed(
  column: RelationColumns[number],
  before: Column | undefined,
  relation: RelationMessage,
  index: number,
  today: CatalogTable | undefined,
): Column {
  if (before !== undefined) return { ...before, type: column.type };
  const { typeOid, typmod } = relation.columns[index] ?? {};
  const same = today?.columns.find(
    (one) => one.name === column.name && one.typeOid === typeOid && one.typmod === typmod,
  );
  return same === undefined
    ? { ...column, nullable: true }
    : { ...column, nullable: !same.notNull, number: same.number };
}

/** The types of the version before, for columns that still have the same: what differs can only be an enum's labels. */
function withLabels(columns: RelationColumns, before: TableSchema): RelationColumns {
  return columns.map((column, index) => {
    const was = before.columns[index];
    const same = was !== undefined && was.name === column.name && sameNative(was.native, column.native);
    return same && was.type.kind === column.type.kind ? { ...column, type: was.type } : column;
  });
}

/** Indexes of the primary key's columns in key order; without a catalog entry, of the columns that the Relation flags. */
function newKey(relation: RelationMessage, today: CatalogTable | undefined): readonly number[] {
  const names = relation.columns.map((column) => column.name);
  if (today?.primaryKey !== undefined && today.primaryKey !== null) {
    return today.primaryKey
      .map((number) => {
        const name = today.columns.find((column) => column.number === number)?.name;
        return name === undefined ? -1 : names.indexOf(name);
      })
      .filter((index) => index >= 0);
  }
  if (relation.replicaIdentity !== "d") return [];
  return relation.columns.flatMap((column, index) => (column.identity ? [index] : []));
}

/**
 * Whether these columns came after the others and are there still. A column dropped since could have been one of them
 * under the same name, so then the answer is no: better a table that must be read again than a silent difference.
 */
function addedLater(missing: readonly Column[], columns: RelationColumns, today: CatalogTable | undefined): boolean {
  if (today === undefined) return false;
  const numberOf = (name: string): number => today.columns.find((column) => column.name === name)?.number ?? 0;
  const last = Math.max(0, ...columns.map((column) => numberOf(column.name)));
  return today.lastDropped <= last && missing.every((column) => numberOf(column.name) > last);
}
