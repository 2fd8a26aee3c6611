import { DataTraceError, tableId } from "@datatrace/core";
import type { Finding, TargetTable } from "@datatrace/core";
import { quoteName, quoteTable } from "@datatrace/postgres";
import type { PipelinedSession } from "@datatrace/postgres";
import { existingHelperTables, helperTableNames } from "./helper-tables.ts";
import type { HelperTables } from "./helper-tables.ts";
import { readUnit } from "./prepare-table.ts";
import { decidesKey, shapeConflict } from "./shape-conflict.ts";
import { readTableShape } from "./target-catalog.ts";
import type { TargetTableShape } from "./target-catalog.ts";

const oldestMajor = 14;

/** Everything that would stop a delivery of these tables, each with what to do. Changes nothing. */
export async function inspectTarget(
  session: PipelinedSession,
  helpers: HelperTables,
  delivery: string,
  tables: readonly TargetTable[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const server = await readServer(session);
  if (server.major < oldestMajor) {
    findings.push({
      severity: "error",
      code: "sink.version_unsupported",
      message: `The target is PostgreSQL ${server.major}; ${oldestMajor} is the oldest supported.`,
      fix: `Upgrade the target to PostgreSQL ${oldestMajor} or newer.`,
    });
  }
  if (server.readOnly !== null) {
    findings.push({
      severity: "error",
      code: "sink.read_only",
      message: `The target accepts no writes: ${server.readOnly}.`,
      fix: "Point the url at the primary, or set default_transaction_read_only to off for this role.",
    });
  }
  findings.push(...(await inspectHelpers(session, helpers, server.role)));
  const known = (await existingHelperTables(session, helpers.schema)).length === helperTableNames.length;
  for (const table of tables) {
    const unit = known ? await readUnit(session, helpers, delivery, table.target).catch(() => null) : null;
    findings.push(...(await inspectTable(session, table, server.role, unit !== null)));
  }
  return findings;
}

interface Server {
  readonly major: number;
  readonly role: string;
  /** Why nothing can be written, null when it can. */
  readonly readOnly: string | null;
}

async function readServer(session: PipelinedSession): Promise<Server> {
  const { rows } = await session.send({
    text: `SELECT current_setting('server_version_num')::int / 10000, current_user, pg_is_in_recovery(),
      current_setting('default_transaction_read_only')`,
  });
  const [major, role, standby, readOnly] = rows[0] ?? [];
  const why = standby === "t" ? "it is a standby" : readOnly === "on" ? "default_transaction_read_only is on" : null;
  return { major: Number(major), role: role ?? "", readOnly: why };
}

async function inspectHelpers(
  session: PipelinedSession,
  helpers: HelperTables,
  role: string,
): Promise<readonly Finding[]> {
  const existing = await existingHelperTables(session, helpers.schema);
  const findings: Finding[] = [];
  if (existing.length < helperTableNames.length) {
    findings.push(...(await inspectCreate(session, helpers.schema, role, "the helper tables")));
  }
  for (const name of existing) {
    const table = quoteTable({ schema: helpers.schema, table: name });
    findings.push(...(await inspectGrants(session, table, role)));
  }
  return findings;
}

async function inspectTable(
  session: PipelinedSession,
  { target, schema, strategy }: TargetTable,
  role: string,
  isOurs: boolean,
): Promise<readonly Finding[]> {
  const table = tableId(target);
  const shape = await readTableShape(session, target);
  if (shape === null) {
    if (!isOurs) return inspectCreate(session, target.schema, role, `table ${table}`, table);
    return [finding(new DataTraceError("sink.table_missing", { detail: { table } }), table)];
  }
  if (!isOurs && strategy === "fail") {
    return [finding(new DataTraceError("sink.table_exists", { detail: { table } }), table)];
  }
  const findings = [...(await inspectGrants(session, quoteTable(target), role, table))];
  const missing = schema.columns.filter(({ name }) => !shape.columns.some((column) => column.name === name));
  if (missing.length > 0 && !(await canAlter(session, quoteTable(target)))) {
    const names = missing.map(({ name }) => name).join(", ");
    findings.push({
      severity: "error",
      code: "sink.grant_missing",
      message: `Table ${table} lacks columns (${names}), and role ${role} may not add them: add them, or let it.`,
      fix: `ALTER TABLE ${quoteTable(target)} OWNER TO ${quoteName(role)};`,
      table,
    });
  }
  const keys = new Set(schema.key.map((index) => schema.columns[index]?.name ?? ""));
  const present = { ...schema, ...keepColumns(schema, shape, keys) };
  const conflict = shapeConflict(target, present, shape);
  if (conflict !== null) findings.push(finding(conflict, table));
  return [
    ...findings,
    ...orderWarnings(
      table,
      schema.key.map((index) => schema.columns[index]?.name ?? ""),
      shape,
    ),
  ];
}

/** The schema without the columns that `prepare` would add. */
function keepColumns(
  schema: TargetTable["schema"],
  shape: TargetTableShape,
  keys: ReadonlySet<string>,
): Pick<TargetTable["schema"], "columns" | "key"> {
  const columns = schema.columns.filter(
    ({ name }) => keys.has(name) || shape.columns.some((column) => column.name === name),
  );
  const key = schema.key.map((index) => columns.findIndex((column) => column === schema.columns[index]));
  return { columns, key };
}

/** Constraints and triggers that look at more than the row itself: they may refuse a row until another has come. */
function orderWarnings(table: string, key: readonly string[], shape: TargetTableShape): readonly Finding[] {
  const warning = (what: string, names: readonly string[], fix: string): readonly Finding[] =>
    names.length === 0
      ? []
      : [
          {
            severity: "warning",
            code: "sink.order_dependent",
            message: `Table ${table} has ${what} ${names.join(", ")}.`,
            fix,
            table,
          },
        ];
  const unique = shape.indexes.filter((index) => !decidesKey(index, key)).map(({ name }) => name);
  return [
    ...warning(
      "unique indexes beside its key:",
      unique,
      "Drop them, or expect retries while the row that makes room arrives.",
    ),
    ...warning(
      "foreign keys:",
      shape.foreignKeys,
      "Drop them, or expect retries while the row that is referred to arrives.",
    ),
    ...warning(
      "triggers:",
      shape.triggers,
      "Drop or disable them unless they only look at the row: what they write is not checked.",
    ),
  ];
}

async function inspectCreate(
  session: PipelinedSession,
  schema: string,
  role: string,
  what: string,
  table?: string,
): Promise<readonly Finding[]> {
  const { rows } = await session.send({
    text: `SELECT has_schema_privilege(n.oid, 'CREATE, USAGE') AND has_schema_privilege(n.oid, 'USAGE'),
        has_database_privilege(current_database(), 'CREATE'), quote_ident(current_database())
      FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1`,
    values: [schema],
  });
  const [onSchema, onDatabase, database] = rows[0] ?? [];
  const missing = onSchema === undefined || onSchema === null ? onDatabase !== "t" : onSchema !== "t";
  if (!missing) return [];
  const grant = onSchema === null ? `CREATE ON DATABASE ${database}` : `USAGE, CREATE ON SCHEMA ${quoteName(schema)}`;
  return [
    {
      severity: "error",
      code: "sink.grant_missing",
      message: `Role ${role} may not create ${what} in schema ${schema}.`,
      fix: `GRANT ${grant} TO ${quoteName(role)};`,
      ...(table === undefined ? {} : { table }),
    },
  ];
}

const privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"];

async function inspectGrants(
  session: PipelinedSession,
  quoted: string,
  role: string,
  table?: string,
): Promise<readonly Finding[]> {
  const { rows } = await session.send({
    text: `SELECT ${privileges.map((name) => `has_table_privilege($1::regclass, '${name}')`).join(", ")}`,
    values: [quoted],
  });
  const missing = privileges.filter((_, place) => rows[0]?.[place] !== "t");
  if (missing.length === 0) return [];
  return [
    {
      severity: "error",
      code: "sink.grant_missing",
      message: `Role ${role} lacks ${missing.join(", ")} on ${quoted}.`,
      fix: `GRANT ${missing.join(", ")} ON ${quoted} TO ${quoteName(role)};`,
      ...(table === undefined ? {} : { table }),
    },
  ];
}

async function canAlter(session: PipelinedSession, quoted: string): Promise<boolean> {
  const { rows } = await session.send({
    text: `SELECT pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class WHERE oid = $1::regclass`,
    values: [quoted],
  });
  return rows[0]?.[0] === "t";
}

function finding(error: DataTraceError, table: string): Finding {
  return { severity: "error", code: error.code, message: error.message, fix: error.fix, table };
}
