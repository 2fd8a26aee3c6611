import type { Database } from "better-sqlite3";

import { walSizeBytes } from "./maintenance.ts";
import type { Space } from "./space.ts";
import type { LogStatistics, TopicStatistics } from "./statistics.ts";

interface TopicRow {
  readonly name: string;
  readonly partitions: bigint;
  readonly cleanup: "delete" | "compact";
  readonly records: bigint;
  readonly appended: bigint;
}

/** Counts without reading any record. Inside of a transaction that the caller holds. */
export function readStatistics(database: Database, space: Space, maxSizeBytes: number): LogStatistics {
  const rows = database
    .prepare(`
      SELECT t.name, t.partitions, t.cleanup, sum(p."end") AS appended,
        CASE t.cleanup WHEN 'delete' THEN sum(p."end" - p.earliest)
          ELSE (SELECT count(*) FROM latest l JOIN partitions lp ON lp.id = l.partition WHERE lp.topic = t.id) END AS records
      FROM topics t JOIN partitions p ON p.topic = t.id WHERE t.deleted = 0 GROUP BY t.id ORDER BY t.name`)
    .safeIntegers()
    .all() as TopicRow[];
  const topics = rows.map((row): TopicStatistics => ({ ...row, partitions: Number(row.partitions) }));
  return {
    sizeBytes: space.fileBytes() + walSizeBytes(database.name),
    usedBytes: space.usedBytes(),
    maxSizeBytes,
    topics,
  };
}
