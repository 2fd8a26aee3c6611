import { DataTraceError } from "@datatrace/core";
import Database from "better-sqlite3";

import type { WireError } from "./protocol.ts";

/** SQLite's extended result code, or null for any other error. Its messages are never passed on (I8). */
export function sqliteCode(error: unknown): string | null {
  return error instanceof Database.SqliteError ? error.code : null;
}

/** Another connection holds what this one needs: nothing has happened, and it may be tried again. */
export function isBusy(error: unknown): boolean {
  return sqliteCode(error)?.startsWith("SQLITE_BUSY") ?? false;
}

/** Turns an error of SQLite into the one that the user meets; any other error is returned as it is. */
export function fromSqlite(error: unknown, file: string): unknown {
  const sqlite = sqliteCode(error);
  if (sqlite === null) return error;
  const detail = { file, sqlite };
  if (sqlite === "SQLITE_FULL") return new DataTraceError("log.full", { detail });
  if (sqlite === "SQLITE_NOTADB" || sqlite.startsWith("SQLITE_CORRUPT"))
    return new DataTraceError("log.corrupt", { detail });
  if (sqlite.startsWith("SQLITE_BUSY")) return new DataTraceError("log.locked", { detail });
  if (/^SQLITE_(IOERR|CANTOPEN|READONLY|PERM|AUTH|NOLFS)/.test(sqlite))
    return new DataTraceError("log.io_failed", { detail });
  return new DataTraceError("internal.bug", { detail });
}

/** Errors cross the thread border as code and detail: causes may hold driver text, so they stay behind (I8). */
export function toWire(error: unknown): WireError {
  if (error instanceof DataTraceError) return { code: error.code, detail: error.detail };
  if (error instanceof Error) {
    const system = "code" in error && typeof error.code === "string" ? error.code : null;
    if (system === "ENOSPC" || system === "EDQUOT") return { code: "log.full", detail: { system } };
    if (system !== null) return { code: "log.io_failed", detail: { system } };
    const said = error.message.startsWith("invariant broken: ") ? error.message : error.name;
    return { code: "internal.bug", detail: { error: said, at: error.stack?.split("\n")[1]?.trim() ?? "" } };
  }
  return { code: "internal.bug", detail: { error: typeof error } };
}
