import { closeSync, linkSync, openSync, unlinkSync } from "node:fs";
import { basename } from "node:path";

import { DataTraceError } from "@datatrace/core";
import Database from "better-sqlite3";

import { BusyRetry } from "./busy-retry.ts";
import { LockHolder } from "./lock-holder.ts";
import { fromSqlite, isBusy, sqliteCode } from "./sqlite-error.ts";

/** While a file is being opened the thread has nothing else to do than to wait for other processes. */
const openingPatienceMs = 1000;
/** "DTrc": tells our files from any other SQLite file. */
const applicationId = 0x4454_7263;

export interface SqliteFileSpec {
  readonly path: string;
  readonly format: number;
  /** Makes the tables of an empty file. */
  readonly schema: string;
  readonly pageSizeBytes: number;
  readonly lockedAfterMs: number;
}

/**
 * One SQLite file in WAL mode, shared with other processes: short synchronous transactions, busy handled by retrying
 * later. `durable` writes are on disk when they resolve; others survive a crash of the process but not of the machine.
 */
export class SqliteFile {
  readonly name: string;
  readonly database: Database.Database;
  readonly #reads: BusyRetry;
  readonly #writes: BusyRetry;
  readonly #holder: LockHolder;
  readonly #begin: Database.Statement;
  readonly #beginRead: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #rollback: Database.Statement;
  readonly #dataVersion: Database.Statement;
  #durable = true;

  private constructor(database: Database.Database, spec: SqliteFileSpec) {
    this.name = basename(spec.path);
    this.database = database;
    this.#holder = new LockHolder(spec.path);
    const locked = (cause: unknown): Error =>
      new DataTraceError("log.locked", { cause, detail: { file: this.name, ...this.#holder.find() } });
    this.#reads = new BusyRetry(spec.lockedAfterMs, locked);
    this.#writes = new BusyRetry(spec.lockedAfterMs, locked);
    this.#begin = database.prepare("BEGIN IMMEDIATE");
    this.#beginRead = database.prepare("BEGIN");
    this.#commit = database.prepare("COMMIT");
    this.#rollback = database.prepare("ROLLBACK");
    this.#dataVersion = database.prepare("PRAGMA data_version").pluck();
  }

  /**
   * Opens the file, and makes it when it is not there.
   * @throws DataTraceError `log.format_unsupported`, `log.corrupt`, `log.io_failed`, `log.locked`.
   */
  static async open(spec: SqliteFileSpec): Promise<SqliteFile> {
    const name = basename(spec.path);
    const holder = new LockHolder(spec.path);
    const retry = new BusyRetry(
      spec.lockedAfterMs,
      (cause) => new DataTraceError("log.locked", { cause, detail: { file: name, ...holder.find() } }),
    );
    try {
      const database = await retry.run(() => openOnce(spec), null);
      return new SqliteFile(database, spec);
    } catch (error) {
      throw fromSqlite(error, name);
    } finally {
      holder.close();
    }
  }

  /** From here on the thread never blocks on another process: what is busy is tried again later. */
  share(): void {
    this.database.pragma("busy_timeout = 0");
  }

  /** Runs queries on one snapshot. */
  async read<T>(work: () => T, id: number | null = null): Promise<T> {
    try {
      return await this.#reads.run(() => {
        this.#beginRead.run();
        try {
          return work();
        } finally {
          if (this.database.inTransaction) this.#commit.run();
        }
      }, id);
    } catch (error) {
      throw fromSqlite(error, this.name);
    }
  }

  /**
   * Runs one transaction (I5). Everything that `work` throws rolls it back.
   * @throws DataTraceError `log.commit_unknown` when the disk failed in the commit itself.
   */
  async write<T>(work: () => T, id: number | null = null, durable = true): Promise<T> {
    try {
      return await this.#writes.run(() => this.#roomyTransaction(work, durable), id);
    } catch (error) {
      throw fromSqlite(error, this.name);
    }
  }

  /** A write of our own that can as well be done later: undefined when another process is writing. */
  tryWrite<T>(work: () => T, durable: boolean): T | undefined {
    try {
      return this.#roomyTransaction(work, durable);
    } catch (error) {
      if (isBusy(error)) return undefined;
      throw fromSqlite(error, this.name);
    }
  }

  /** Changes whenever another connection has committed. */
  dataVersion(): number {
    return this.#dataVersion.get() as number;
  }

  cancel(id: number): boolean {
    return this.#reads.cancel(id) || this.#writes.cancel(id);
  }

  close(): void {
    const closed = new DataTraceError("log.closed");
    this.#reads.close(closed);
    this.#writes.close(closed);
    this.#holder.close();
    this.database.close();
  }

  /** On a full disk there may be room yet in the write-ahead log, once its pages are moved into the file. */
  #roomyTransaction<T>(work: () => T, durable: boolean): T {
    try {
      return this.#transaction(work, durable);
    } catch (error) {
      if (sqliteCode(error) !== "SQLITE_FULL") throw error;
      const [moved] = this.database.pragma("wal_checkpoint(RESTART)") as [{ busy: number }?];
      if (moved?.busy !== 0) throw error;
      return this.#transaction(work, durable);
    }
  }

  #transaction<T>(work: () => T, durable: boolean): T {
    if (durable !== this.#durable) {
      this.database.pragma(`synchronous = ${durable ? "FULL" : "NORMAL"}`);
      this.#durable = durable;
    }
    this.#begin.run(); // I5
    try {
      this.#holder.note();
      const result = work();
      this.#commitNow();
      return result;
    } catch (error) {
      if (this.database.inTransaction) this.#rollback.run();
      throw error;
    }
  }

  #commitNow(): void {
    try {
      this.#commit.run();
    } catch (error) {
      // A full disk is met before the commit frame is whole. After any other failure the frame may lie in the
      // write-ahead log, where recovery by a later process would find it.
      const sqlite = sqliteCode(error);
      if (sqlite === "SQLITE_FULL") throw error;
      throw new DataTraceError("log.commit_unknown", { cause: error, detail: { sqlite: sqlite ?? "" } });
    }
  }
}

function openOnce(spec: SqliteFileSpec): Database.Database {
  createPrivate(spec.path);
  const database = new Database(spec.path, { timeout: openingPatienceMs });
  try {
    database.pragma(`page_size = ${spec.pageSizeBytes}`);
    database.pragma("auto_vacuum = INCREMENTAL");
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.pragma("trusted_schema = OFF");
    // Only macOS needs to be told that durable means on the disk, not in the disk's cache.
    database.pragma("fullfsync = ON");
    database.pragma("checkpoint_fullfsync = ON");
    database.exec("BEGIN IMMEDIATE");
    try {
      const empty = database.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() === 0;
      if (empty) {
        database.exec(spec.schema);
        database.pragma(`application_id = ${applicationId}`);
        database.pragma(`user_version = ${spec.format}`);
      } else {
        checkFormat(database, spec);
      }
      database.exec("COMMIT");
      // So that the file, and not only its write-ahead log, has the space of its tables should the disk fill up.
      if (empty) database.pragma("wal_checkpoint(PASSIVE)");
    } catch (error) {
      if (database.inTransaction) database.exec("ROLLBACK");
      throw error;
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * Makes an empty file that only its owner can read; SQLite gives the files beside it the same mode. It gets its name
 * only once it is closed: closing a descriptor of a file drops all POSIX locks that this process has on it, those of
 * another connection too.
 */
function createPrivate(path: string): void {
  const unnamed = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}`;
  closeSync(openSync(unnamed, "wx", 0o600));
  try {
    linkSync(unnamed, path);
  } catch {
    // It exists, or the file system has no links: then SQLite makes the file, and the directory's mode protects it.
  } finally {
    unlinkSync(unnamed);
  }
}

function checkFormat(database: Database.Database, spec: SqliteFileSpec): void {
  const application = database.pragma("application_id", { simple: true });
  const format = database.pragma("user_version", { simple: true });
  if (application === applicationId && format === spec.format) return;
  throw new DataTraceError("log.format_unsupported", {
    detail: {
      file: basename(spec.path),
      format: application === applicationId ? Number(format) : "not an event log",
      supported: spec.format,
    },
  });
}
