import { DataTraceError } from "@datatrace/core";
import type { ErrorCode, Finding } from "@datatrace/core";
import type { CaptureNames } from "./capture-names.ts";
import type { ServerSessions } from "./server-sessions.ts";

interface ServerFacts {
  readonly version: number;
  readonly wal_level: string;
  readonly encoding: string;
  readonly in_recovery: boolean;
  readonly slots: number;
  readonly slots_used: number;
  readonly senders: number;
  readonly senders_used: number;
  readonly slot_exists: boolean;
  readonly publication_exists: boolean;
  readonly role: string;
  readonly database: string;
  readonly replication: boolean;
  readonly creates: boolean;
  /** Megabytes; -1 = no limit. */
  readonly keep_mb: number;
  readonly wal_sender_timeout_ms: number;
  readonly long_transactions: number;
  readonly oldest_s: number;
}

const oldestVersion = 140_000;
/** The warning is only for those that are not about to end. */
const longTransactionS = 10;

const factsQuery = `SELECT current_setting('server_version_num')::int AS version, current_setting('wal_level') AS wal_level,
  pg_encoding_to_char(d.encoding) AS encoding, pg_is_in_recovery() AS in_recovery,
  current_setting('max_replication_slots')::int AS slots,
  (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS slots_used,
  current_setting('max_wal_senders')::int AS senders,
  (SELECT count(*)::int FROM pg_catalog.pg_stat_replication) AS senders_used,
  EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1) AS slot_exists,
  EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $2) AS publication_exists,
  current_user AS role, current_database() AS database, r.rolreplication OR r.rolsuper AS replication,
  has_database_privilege(current_database(), 'CREATE') AS creates,
  (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_mb,
  (SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout') AS wal_sender_timeout_ms,
  (SELECT count(*)::int FROM pg_catalog.pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - make_interval(secs => $3)) AS long_transactions,
  coalesce((SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::int FROM pg_catalog.pg_stat_activity
    WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()), 0) AS oldest_s
FROM pg_catalog.pg_roles r, pg_catalog.pg_database d WHERE r.rolname = current_user AND d.datname = current_database()`;

/** What of the server would stop a capture, or endangers the server. Each fix is a statement to run, where there is one. */
export async function inspectServer(
  sessions: ServerSessions,
  names: CaptureNames,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    const result = await sessions.control(signal, (session) =>
      session.query<ServerFacts>(factsQuery, [names.slot, names.publication, longTransactionS]),
    );
    const [facts] = result.rows;
    return facts === undefined ? [] : [...serverFindings(facts, names), ...roleFindings(facts)];
  } catch (error) {
    if (!(error instanceof DataTraceError)) throw error;
    return [{ severity: "error", code: error.code, message: error.message, fix: error.fix }];
  }
}

function stopping(code: ErrorCode, message: string, fix: string): Finding {
  return { severity: "error", code, message, fix };
}

function warning(message: string, fix: string): Finding {
  return { severity: "warning", code: "source.setting", message, fix };
}

function serverFindings(facts: ServerFacts, names: CaptureNames): readonly Finding[] {
  const findings: Finding[] = [];
  const setting = (message: string, fix: string): number => findings.push(stopping("source.setting", message, fix));
  if (facts.version < oldestVersion) {
    setting(
      `The server is PostgreSQL ${Math.floor(facts.version / 10_000)}; 14 is the oldest supported.`,
      "Upgrade it.",
    );
  }
  if (facts.in_recovery) setting("The server is a standby.", "Point the url at the primary.");
  if (facts.wal_level !== "logical") {
    const fix = "ALTER SYSTEM SET wal_level = 'logical'; then restart the server.";
    setting(`wal_level is ${facts.wal_level}; logical is needed.`, fix);
  }
  if (facts.encoding !== "UTF8") {
    const fix = "Move the database to one with ENCODING 'UTF8'.";
    setting(`The database's encoding is ${facts.encoding}; only UTF8 is carried without loss.`, fix);
  }
  if (!facts.slot_exists && facts.slots_used >= facts.slots) {
    const fix = `ALTER SYSTEM SET max_replication_slots = ${facts.slots + 4}; then restart the server; or drop a slot that nobody uses (SELECT pg_drop_replication_slot(…)).`;
    setting(`All ${facts.slots} replication slots are in use.`, fix);
  }
  if (facts.senders_used >= facts.senders) {
    const fix = `ALTER SYSTEM SET max_wal_senders = ${facts.senders + 4}; then restart the server.`;
    setting(`All ${facts.senders} WAL senders are in use.`, fix);
  }
  if (facts.keep_mb < 0) {
    const fix =
      "ALTER SYSTEM SET max_slot_wal_keep_size = '100GB'; SELECT pg_reload_conf(); (as much as the disk can spare)";
    findings.push(
      warning("max_slot_wal_keep_size has no limit: a pipeline that is down for long can fill the server's disk.", fix),
    );
  }
  if (!facts.slot_exists && facts.long_transactions > 0) {
    const fix =
      "SELECT pid, xact_start, state FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start; then end those that are not needed.";
    const message = `${facts.long_transactions} transactions have been open for more than ${longTransactionS} s (the oldest for ${facts.oldest_s} s): making the slot ${names.slot} waits for them.`;
    findings.push(warning(message, fix));
  }
  return findings;
}

function roleFindings(facts: ServerFacts): readonly Finding[] {
  const findings: Finding[] = [];
  const role = `"${facts.role}"`;
  if (!facts.replication) {
    const message = `The role ${facts.role} may not start replication.`;
    findings.push(stopping("source.grant_missing", message, `ALTER ROLE ${role} REPLICATION;`));
  }
  if (!facts.publication_exists && !facts.creates) {
    const message = `The role ${facts.role} may not create a publication in the database ${facts.database}.`;
    findings.push(
      stopping("source.grant_missing", message, `GRANT CREATE ON DATABASE "${facts.database}" TO ${role};`),
    );
  }
  return findings;
}
