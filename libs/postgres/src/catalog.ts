import type { TableName } from "@datatrace/core";
import type { ClientBase, Pool } from "pg";
import { typeTable } from "./native-type.ts";

/** A column that is not dropped, as the catalog has it. */
export interface CatalogColumn {
  readonly name: string;
  /** `attnum`: never given again to another column of the table. */
  readonly number: number;
  readonly typeOid: number;
  readonly typmod: number;
  readonly notNull: boolean;
  /** `GENERATED ALWAYS AS (…)`, stored or virtual. */
  readonly generated: boolean;
  /** False for a collation that calls different texts equal. */
  readonly deterministic: boolean;
}

/** A table, view or the like. Object ids are unsigned 32-bit numbers. */
export interface CatalogTable {
  readonly name: TableName;
  readonly oid: number;
  /** `pg_class.relkind`: `r` table, `p` partitioned, `v` view, `m` materialized view, `f` foreign. */
  readonly kind: string;
  /** `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: string;
  /** `d` default, `f` full, `i` index, `n` nothing. */
  readonly replicaIdentity: string;
  /** Row security is on and applies to this role. */
  readonly rowSecurity: boolean;
  /** The planner's estimate; -1 when the table was never analyzed. */
  readonly estimatedRows: number;
  /** Main and TOAST data, without indexes. */
  readonly sizeBytes: number;
  /** This role is, or is a member of, the owner. */
  readonly owned: boolean;
  readonly selectable: boolean;
  readonly columns: readonly CatalogColumn[];
  /** `number`s of the primary key's columns, in key order; null without a primary key. */
  readonly primaryKey: readonly number[] | null;
  /** The primary key is DEFERRABLE: it cannot be the replica identity. */
  readonly primaryKeyDeferrable: boolean;
  /** `number`s of the columns of the REPLICA IDENTITY USING INDEX index; null when there is none. */
  readonly identityIndex: readonly number[] | null;
  /** Highest `attnum` of a dropped column, 0 if none was dropped. */
  readonly lastDropped: number;
}

/** A type that is not one of the built-in ones. */
export interface CatalogType {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `pg_type.typtype`: `b` base, `c` composite, `d` domain, `e` enum, `r` range, `m` multirange. */
  readonly kind: string;
  /** Labels in their order, for an enum. */
  readonly labels: readonly string[];
  /** Element type of a true array, else 0. */
  readonly elementOid: number;
}

export interface Catalog {
  readonly tables: readonly CatalogTable[];
  /** Types of the tables' columns, and their element types, by object id; built-in types are left out. */
  readonly types: ReadonlyMap<number, CatalogType>;
}

type Queryable = Pick<ClientBase | Pool, "query">;

const typeJson = `jsonb_build_object('oid', t.oid::int8, 'schema', n.nspname, 'name', t.typname, 'kind', t.typtype,
  'elementOid', CASE WHEN t.typcategory = 'A' THEN t.typelem::int8 ELSE 0 END,
  'labels', coalesce((SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '[]'))`;

/** Types that need no description. */
const carriedOids = `'{${typeTable.flatMap(({ oid, arrayOid }) => [oid, arrayOid]).join(",")}}'::oid[]`;

// One statement, so that tables and types are of one snapshot.
const tablesQuery = `WITH wanted AS (
  SELECT c.*, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (
    (n.nspname, c.relname) IN (SELECT * FROM unnest($1::name[], $2::name[])) OR c.oid = ANY ($3::oid[]))
), described AS (
  SELECT jsonb_build_object(
    'name', jsonb_build_object('schema', c.nspname, 'table', c.relname), 'oid', c.oid::int8, 'kind', c.relkind,
    'persistence', c.relpersistence, 'replicaIdentity', c.relreplident, 'rowSecurity', row_security_active(c.oid),
    'estimatedRows', c.reltuples, 'sizeBytes', CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END,
    'owned', pg_has_role(c.relowner, 'USAGE'),
    'selectable', has_schema_privilege(c.relnamespace, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
    'columns', coalesce((SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'number', a.attnum, 'typeOid', a.atttypid::int8,
        'typmod', a.atttypmod, 'notNull', a.attnotnull, 'generated', a.attgenerated <> '',
        'deterministic', coalesce(co.collisdeterministic, true)) ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
    'primaryKey', (SELECT to_jsonb((string_to_array(i.indkey::text, ' ')::int[])[1:i.indnkeyatts])
      FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisvalid),
    'primaryKeyDeferrable', EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate),
    'identityIndex', (SELECT to_jsonb((string_to_array(i.indkey::text, ' ')::int[])[1:i.indnkeyatts])
      FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisreplident AND i.indisvalid),
    'lastDropped', coalesce((SELECT max(a.attnum) FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attisdropped), 0)) AS description
  FROM wanted c
), used AS (
  SELECT DISTINCT a.atttypid AS oid FROM wanted c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid <> ALL (${carriedOids})
), types AS (
  SELECT ${typeJson} AS description FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  WHERE t.oid IN (SELECT oid FROM used)
    OR t.oid IN (SELECT e.typelem FROM pg_catalog.pg_type e WHERE e.oid IN (SELECT oid FROM used) AND e.typcategory = 'A')
)
SELECT (SELECT coalesce(jsonb_agg(description), '[]') FROM described) AS tables,
  (SELECT coalesce(jsonb_agg(description), '[]') FROM types) AS types`;

/** Reads tables by name, and by object id, as they are now. Those that do not exist are missing in the answer. */
export async function readCatalog(
  session: Queryable,
  names: readonly TableName[],
  oids: readonly number[] = [],
): Promise<Catalog> {
  const result = await session.query<{ tables: CatalogTable[]; types: CatalogType[] }>({
    name: "datatrace-catalog",
    text: tablesQuery,
    values: [names.map((name) => name.schema), names.map((name) => name.table), oids],
  });
  const { tables, types } = result.rows[0] ?? { tables: [], types: [] };
  return { tables, types: new Map(types.map((type) => [type.oid, type])) };
}

/** Types by object id, with the element types of arrays. */
export async function readTypes(
  session: Queryable,
  oids: readonly number[],
): Promise<ReadonlyMap<number, CatalogType>> {
  const result = await session.query<{ description: CatalogType }>(
    `SELECT ${typeJson} AS description FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.oid = ANY ($1) OR t.oid IN (SELECT e.typelem FROM pg_catalog.pg_type e WHERE e.oid = ANY ($1) AND e.typcategory = 'A')`,
    [oids],
  );
  return new Map(result.rows.map(({ description }) => [description.oid, description]));
}

/** Every table that could be captured or made a target: ordinary and partitioned, system schemas and partitions left out. */
export async function listTables(session: Queryable): Promise<readonly TableName[]> {
  const result = await session.query<TableName>(
    `SELECT n.nspname AS schema, c.relname AS "table" FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1, 2`,
  );
  return result.rows;
}
