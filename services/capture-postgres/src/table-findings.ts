import { tableId } from "@datatrace/core";
import type { ErrorCode, Finding } from "@datatrace/core";
import { quoteTable } from "@datatrace/postgres";
import type { CatalogTable } from "@datatrace/postgres";

const notTables: Readonly<Record<string, string>> = {
  p: "a partitioned table",
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
};

/** What keeps one table from being captured, beside the types of its columns. */
export function tableFindings(table: CatalogTable): readonly Finding[] {
  const finding = (code: ErrorCode, message: string, fix: string): Finding => ({
    severity: "error",
    code,
    message: `${tableId(table.name)} ${message}`,
    fix,
    table: tableId(table.name),
  });
  const kind = notTables[table.kind];
  if (kind !== undefined) {
    const fix = table.kind === "p" ? "List its partitions as tables of their own." : "Capture the tables behind it.";
    return [finding("source.type_unsupported", `is ${kind}, which this version does not carry.`, fix)];
  }
  const name = quoteTable(table.name);
  const findings: Finding[] = [];
  if (table.persistence !== "p") {
    const fix = `ALTER TABLE ${name} SET LOGGED;`;
    findings.push(finding("source.setting", "is unlogged or temporary: its changes are not in the WAL.", fix));
  }
  findings.push(...keyFindings(table, finding));
  if (table.rowSecurity) {
    const fix = "ALTER ROLE <the source's role> BYPASSRLS;";
    findings.push(finding("source.grant_missing", "has row security that would hide rows from this role.", fix));
  }
  if (!table.selectable) {
    const fix = `GRANT USAGE ON SCHEMA, and GRANT SELECT ON ${name}, TO the source's role.`;
    findings.push(finding("source.grant_missing", "cannot be read by this role.", fix));
  }
  if (!table.owned) {
    const fix = "GRANT the table's owner TO the source's role (GRANT owner TO role), or make the role its owner.";
    findings.push(finding("source.grant_missing", "is not owned by this role, so it cannot be published.", fix));
  }
  return findings;
}

type MakeFinding = (code: ErrorCode, message: string, fix: string) => Finding;

function keyFindings(table: CatalogTable, finding: MakeFinding): readonly Finding[] {
  const name = quoteTable(table.name);
  const key = table.primaryKey;
  if (key === null) {
    return [finding("source.table_without_key", "has no primary key.", `ALTER TABLE ${name} ADD PRIMARY KEY (…);`)];
  }
  const findings: Finding[] = [];
  const columns = table.columns.filter((column) => key.includes(column.number));
  const generated = columns.find((column) => column.generated);
  if (generated !== undefined) {
    const fix = `Give ${name} a primary key without the generated column ${generated.name}.`;
    findings.push(
      finding("source.key_unsupported", `has a generated column in its key, which the WAL does not carry.`, fix),
    );
  }
  const coarse = columns.find((column) => !column.deterministic);
  if (coarse !== undefined) {
    const fix = `ALTER TABLE ${name} ALTER COLUMN ${coarse.name} TYPE … COLLATE a deterministic collation.`;
    const message = `has the key column ${coarse.name} with a nondeterministic collation: texts that it calls equal are different keys elsewhere.`;
    findings.push(finding("source.key_unsupported", message, fix));
  }
  const identity = table.identityIndex ?? [];
  const covered = {
    d: !table.primaryKeyDeferrable,
    f: true,
    i: key.every((number) => identity.includes(number)),
    n: false,
  }[table.replicaIdentity];
  if (covered !== true) {
    const deferrable = table.replicaIdentity === "d";
    const message = deferrable
      ? "has a deferrable primary key, which cannot be its replica identity."
      : "has a replica identity that does not carry its key: updates and deletes could not be followed.";
    const mode = deferrable ? "FULL" : "DEFAULT";
    findings.push(finding("source.replica_identity", message, `ALTER TABLE ${name} REPLICA IDENTITY ${mode};`));
  }
  return findings;
}
