import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError, failpoint, tableId } from "@datatrace/core";
import type { Logger, TableName } from "@datatrace/core";
import { quoteName, quoteTable, quoteText } from "@datatrace/postgres";
import type { ServerSessions } from "./server-sessions.ts";
import { sourceError } from "./source-error.ts";

/** A table that a publication carries. */
export interface PublishedRelation extends TableName {
  readonly oid: number;
  /** Somebody has given it a WHERE clause, which would leave out rows without a trace. */
  readonly filtered: boolean;
}

interface PublicationRow {
  readonly all_tables: boolean;
  readonly complete: boolean;
}

const retryMs = 100;

/** The publication of a capture: which tables its slot decodes. */
export class Publication {
  readonly #sessions: ServerSessions;
  readonly #name: string;
  readonly #logger: Logger;

  constructor(sessions: ServerSessions, name: string, logger: Logger) {
    this.#sessions = sessions;
    this.#name = name;
    this.#logger = logger;
  }

  /** Makes it carry exactly these tables; answers those that it did not carry before. */
  async publish(tables: readonly TableName[], signal: AbortSignal): Promise<readonly TableName[]> {
    await this.#create(signal);
    const carried = await this.read(signal);
    const wanted = new Set(tables.map((table) => tableId(table)));
    const present = new Set(carried.map((table) => tableId(table)));
    const filtered = carried.find((table) => table.filtered && wanted.has(tableId(table)));
    if (filtered !== undefined) {
      throw new DataTraceError("source.setting", {
        message: `The publication ${this.#name} carries only a part of the rows of ${tableId(filtered)}.`,
        fix: `ALTER PUBLICATION ${quoteName(this.#name)} DROP TABLE ${quoteTable(filtered)}; then take a new snapshot.`,
      });
    }
    for (const table of carried) if (!wanted.has(tableId(table))) await this.#remove(table, signal);
    const added = tables.filter((table) => !present.has(tableId(table)));
    for (const table of added) await this.#add(table, signal);
    return added;
  }

  /** What it carries now; nothing if it does not exist. */
  async read(signal: AbortSignal): Promise<readonly PublishedRelation[]> {
    const result = await this.#sessions.control(signal, (session) =>
      session.query<PublishedRelation>(
        // The row as JSON, because `prqual` came with PostgreSQL 15.
        `SELECT n.nspname AS schema, c.relname AS "table", c.oid::int8::float8 AS oid,
           coalesce(to_jsonb(pr) ->> 'prqual', '') <> '' AS filtered
         FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid
         JOIN pg_catalog.pg_class c ON c.oid = pr.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE p.pubname = $1 ORDER BY 1, 2`,
        [this.#name],
      ),
    );
    return result.rows;
  }

  async exists(signal: AbortSignal): Promise<boolean> {
    return (await this.#read(signal)) !== null;
  }

  async drop(signal: AbortSignal): Promise<void> {
    await this.#sessions.control(signal, (session) =>
      session.query(`DROP PUBLICATION IF EXISTS ${quoteName(this.#name)}`),
    );
  }

  async #read(signal: AbortSignal): Promise<PublicationRow | null> {
    const result = await this.#sessions.control(signal, (session) =>
      session.query<PublicationRow>(
        `SELECT puballtables AS all_tables, pubinsert AND pubupdate AND pubdelete AND pubtruncate AS complete
         FROM pg_catalog.pg_publication WHERE pubname = $1`,
        [this.#name],
      ),
    );
    return result.rows[0] ?? null;
  }

  async #create(signal: AbortSignal): Promise<void> {
    const found = await this.#read(signal);
    if (found === null) {
      await this.#sessions.control(signal, async (session) => {
        try {
          await session.query(`CREATE PUBLICATION ${quoteName(this.#name)}`);
        } catch (error) {
          throw sourceError(error, { privilege: ["source.grant_missing", { fix: createFix }] });
        }
      });
      failpoint("capture.after_publication_created");
      return;
    }
    if (found.all_tables || !found.complete) {
      throw new DataTraceError("source.setting", {
        message: `The publication ${this.#name} was not made by this pipeline: it is FOR ALL TABLES, or leaves out operations.`,
        fix: `DROP PUBLICATION ${quoteName(this.#name)}; it is made again.`,
      });
    }
  }

  async #remove(table: TableName, signal: AbortSignal): Promise<void> {
    await this.#sessions.control(signal, (session) =>
      session.query(`ALTER PUBLICATION ${quoteName(this.#name)} DROP TABLE ONLY ${quoteTable(table)}`),
    );
  }

  /**
   * A transaction that wrote the table before it joins and commits after is not decoded, and while it is open no chunk
   * sees it: its rows would be lost (I3). The lock waits until no such transaction is left, and holds off new ones
   * until the table has joined. A short lock_timeout, again and again: a longer wait would make every later writer
   * queue behind ours.
   */
  async #add(table: TableName, signal: AbortSignal): Promise<void> {
    const name = quoteTable(table);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#sessions.control(signal, (session) =>
          session.query(
            `BEGIN; SET LOCAL lock_timeout = '1s'; LOCK TABLE ONLY ${name} IN SHARE ROW EXCLUSIVE MODE;
             ALTER PUBLICATION ${quoteName(this.#name)} ADD TABLE ONLY ${name}; COMMIT`,
          ),
        );
        failpoint("capture.after_table_added");
        return;
      } catch (error) {
        if (!(error instanceof DataTraceError)) throw error;
        if (error.code === "source.grant_missing") throw ownerError(table, error);
        if (error.detail["code"] === "42P01") {
          throw new DataTraceError("source.table_missing", { detail: { table: tableId(table) } });
        }
        // Somebody else of this capture was quicker.
        if (error.detail["code"] === "42710") return;
        if (error.code !== "source.transient") throw error;
        if (attempt % 10 === 1) this.#logger.info("waiting for writers", { table: tableId(table), attempt });
        await delay(retryMs, undefined, { signal });
      }
    }
  }
}

const createFix = "GRANT CREATE ON DATABASE … TO the source's role.";

function ownerError(table: TableName, cause: DataTraceError): DataTraceError {
  return new DataTraceError("source.grant_missing", {
    message: `The role does not own the table ${tableId(table)}, so it cannot publish it.`,
    fix: `ALTER TABLE ${quoteTable(table)} OWNER TO a role that the source's role is a member of (${quoteText("GRANT owner TO role")}).`,
    detail: cause.detail,
  });
}
