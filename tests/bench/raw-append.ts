import { join } from "node:path";
import Database from "better-sqlite3";

export interface RawAppendResult {
  readonly rows: number;
  readonly bytes: number;
  readonly ms: number;
}

/**
 * Raw limit of the embedded log: appends of `batchRows` records of `recordBytes` as one blob each, a durable
 * transaction per append, WAL mode with `synchronous=FULL`, and nothing else.
 */
export function rawAppend(folder: string, rows: number, batchRows: number, recordBytes: number): RawAppendResult {
  const database = new Database(join(folder, "raw.sqlite"));
  try {
    database.pragma("journal_mode = WAL");
    database.pragma("synchronous = FULL");
    database.exec("CREATE TABLE batch (first INTEGER PRIMARY KEY, records BLOB NOT NULL)");
    const insert = database.prepare("INSERT INTO batch VALUES (?, ?)");
    const blob = Buffer.alloc(batchRows * recordBytes, 7);
    const begunMs = performance.now();
    let done = 0;
    for (; done < rows; done += batchRows) {
      database.exec("BEGIN IMMEDIATE");
      insert.run(done, blob);
      database.exec("COMMIT");
    }
    return { rows: done, bytes: done * recordBytes, ms: performance.now() - begunMs };
  } finally {
    database.close();
  }
}
