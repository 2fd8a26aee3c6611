/** Raised with every change of what the files hold that an older or newer version could not read. */
export const logFormat = 1;

/**
 * The log's file. A topic's row outlives the topic (`deleted`), so that a later one of the name gets a higher epoch. A
 * partition's id belongs to one incarnation and is never used again. Rows of `batches` and `latest` have the id
 * `recordId(partition id, offset)`, so one B-tree keeps each partition together, in offset order.
 */
export const logSchema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;
  CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL,
    partitions INTEGER NOT NULL,
    cleanup TEXT NOT NULL CHECK (cleanup IN ('delete', 'compact')),
    deleted INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE partitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic INTEGER NOT NULL REFERENCES topics (id),
    partition INTEGER NOT NULL,
    earliest INTEGER NOT NULL DEFAULT 0,
    "end" INTEGER NOT NULL DEFAULT 0,
    UNIQUE (topic, partition)
  ) STRICT;
  CREATE TABLE dropped_partitions (id INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE batches (
    id INTEGER PRIMARY KEY,
    count INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    frames BLOB NOT NULL
  ) STRICT;
  CREATE TABLE latest (
    id INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    key BLOB NOT NULL,
    tombstone INTEGER NOT NULL,
    frame BLOB NOT NULL,
    UNIQUE (partition, key)
  ) STRICT;
  CREATE INDEX tombstones ON latest (id) WHERE tombstone = 1;
  CREATE TABLE writers (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID, STRICT;
  CREATE TABLE group_topics ("group" TEXT, topic TEXT, PRIMARY KEY ("group", topic)) WITHOUT ROWID, STRICT;
  CREATE TABLE schemas (id INTEGER PRIMARY KEY, canonical_sha256 BLOB NOT NULL UNIQUE, text TEXT NOT NULL) STRICT;
  CREATE TABLE subjects (
    subject TEXT, version INTEGER, schema INTEGER NOT NULL REFERENCES schemas (id),
    PRIMARY KEY (subject, version), UNIQUE (subject, schema)
  ) WITHOUT ROWID, STRICT;
  INSERT INTO meta VALUES ('log_id', lower(hex(randomblob(16)))), ('topics_version', 0);
`;

/**
 * The second file: what must not wait behind a busy writer, and may be lost without harm. Times are milliseconds of the
 * machine's monotonic clock. `log_id` names the log that the partition ids belong to.
 */
export const leasesSchema = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID, STRICT;
  CREATE TABLE members (
    id TEXT PRIMARY KEY,
    "group" TEXT NOT NULL,
    topics TEXT NOT NULL,
    lease_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
  ) WITHOUT ROWID, STRICT;
  CREATE INDEX members_by_group ON members ("group");
  CREATE TABLE assignments (
    "group" TEXT, partition INTEGER, member TEXT NOT NULL, grant_id INTEGER NOT NULL,
    PRIMARY KEY ("group", partition)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE commits (
    "group" TEXT, partition INTEGER, next INTEGER NOT NULL,
    PRIMARY KEY ("group", partition)
  ) WITHOUT ROWID, STRICT;
  INSERT INTO meta VALUES ('last_grant', 0);
`;

const offsetBits = 44n;
/** 2^44 records: more than five years at 100,000 records per second into one partition. */
export const offsetLimit = 1n << offsetBits;

/** The row id of a record, or of the batch that starts with it. */
export function recordId(partitionId: number | bigint, offset: bigint): bigint {
  return (BigInt(partitionId) << offsetBits) | offset;
}

/** The offset in a row id. */
export function offsetOf(id: bigint): bigint {
  return id & (offsetLimit - 1n);
}
