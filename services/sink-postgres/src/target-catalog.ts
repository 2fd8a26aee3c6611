import type { TableName } from "@datatrace/core";
import type { PipelinedSession } from "@datatrace/postgres";

/** A type of the target as its catalog has it. */
export interface TargetType {
  readonly schema: string;
  readonly name: string;
  /** `pg_type.typtype`: `b` base, `e` enum, `d` domain, and others that no column of ours has. */
  readonly kind: string;
  /** Labels of an enum in their order, else null. */
  readonly labels: readonly string[] | null;
}

export interface TargetColumn {
  readonly name: string;
  /** Of an array the array type itself. */
  readonly type: TargetType;
  /** Element of an array type. */
  readonly element: TargetType | null;
  /** `pg_attribute.atttypmod`: -1 when the type has no limit. */
  readonly modifier: number;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  /** The target computes it: it cannot be written. */
  readonly computed: boolean;
  /** Two texts that the collation calls equal are the same bytes. */
  readonly deterministic: boolean;
}

export interface TargetIndex {
  readonly name: string;
  readonly columns: readonly string[];
  /** Can decide a conflict: unique, valid, checked at once, on whole columns of all rows. */
  readonly decides: boolean;
}

export interface TargetTableShape {
  readonly columns: readonly TargetColumn[];
  /** Unique indexes and exclusion constraints. */
  readonly indexes: readonly TargetIndex[];
  readonly foreignKeys: readonly string[];
  /** Triggers of the user's own. */
  readonly triggers: readonly string[];
}

const typeJson = (alias: string, namespace: string): string =>
  `json_build_object('schema', ${namespace}.nspname, 'name', ${alias}.typname, 'kind', ${alias}.typtype, 'labels',
     (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = ${alias}.oid))`;

const columnsJson = `(SELECT json_agg(json_build_object(
    'name', a.attname, 'modifier', a.atttypmod, 'notNull', a.attnotnull, 'hasDefault', a.atthasdef OR a.attidentity <> '',
    'computed', a.attgenerated <> '' OR a.attidentity = 'a', 'deterministic', coalesce(k.collisdeterministic, true),
    'type', ${typeJson("t", "tn")},
    'element', CASE WHEN el.oid IS NULL THEN NULL ELSE ${typeJson("el", "en")} END) ORDER BY a.attnum)
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_type el ON t.typcategory = 'A' AND el.oid = t.typelem
  LEFT JOIN pg_catalog.pg_namespace en ON en.oid = el.typnamespace
  LEFT JOIN pg_catalog.pg_collation k ON k.oid = a.attcollation
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

const indexesJson = `(SELECT json_agg(json_build_object(
    'name', ic.relname,
    'decides', i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL,
    'columns', (SELECT coalesce(json_agg(a.attname ORDER BY p.place), '[]'::json)
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS p(number, place)
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.number
      WHERE p.place <= i.indnkeyatts)) ORDER BY ic.relname)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
  WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion))`;

const shapeSql = `SELECT json_build_object('columns', ${columnsJson}, 'indexes', ${indexesJson},
    'foreignKeys', (SELECT json_agg(f.conname ORDER BY f.conname) FROM pg_catalog.pg_constraint f
      WHERE f.contype = 'f' AND c.oid IN (f.conrelid, f.confrelid)),
    'triggers', (SELECT json_agg(g.tgname ORDER BY g.tgname) FROM pg_catalog.pg_trigger g
      WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')))
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`;

/** Null when there is no table of this name. A view or foreign table of this name is no table. */
export async function readTableShape(session: PipelinedSession, table: TableName): Promise<TargetTableShape | null> {
  const { rows } = await session.send({ text: shapeSql, values: [table.schema, table.table] });
  const text = rows[0]?.[0];
  if (text === undefined || text === null) return null;
  const shape = JSON.parse(text) as { [Name in keyof TargetTableShape]: TargetTableShape[Name] | null };
  return {
    columns: shape.columns ?? [],
    indexes: shape.indexes ?? [],
    foreignKeys: shape.foreignKeys ?? [],
    triggers: shape.triggers ?? [],
  };
}

/** The type of this name in this schema, if there is one. */
export async function readType(session: PipelinedSession, schema: string, name: string): Promise<TargetType | null> {
  const { rows } = await session.send({
    text: `SELECT ${typeJson("t", "n")} FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = $1 AND t.typname = $2`,
    values: [schema, name],
  });
  const text = rows[0]?.[0];
  return text === undefined || text === null ? null : (JSON.parse(text) as TargetType);
}
