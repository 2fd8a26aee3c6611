import { tableId } from "@datatrace/core";
import type {
  CaptureSource,
  Chunk,
  Finding,
  KeyRange,
  Logger,
  Position,
  Row,
  SnapshotView,
  SourceBatch,
  SourceDescriptor,
  StreamStart,
  StreamState,
  TableDescription,
  TableName,
  TableSchema,
} from "@datatrace/core";
import { PostgresSnapshot } from "@datatrace/postgres";
import type { ConnectionSettings, Lsn } from "@datatrace/postgres";
import { captureNames } from "./capture-names.ts";
import type { CaptureNames } from "./capture-names.ts";
import { ChangeStream } from "./change-stream.ts";
import type { StreamSettings } from "./change-stream.ts";
import { ChunkReads } from "./chunk-reads.ts";
import { inspectServer } from "./inspect-server.ts";
import { Publication } from "./publication.ts";
import { ReplicationSlot } from "./replication-slot.ts";
import { ServerSessions } from "./server-sessions.ts";
import { parsePosition } from "./stream-position.ts";
import { TableCatalog } from "./table-catalog.ts";
import { TableVersions } from "./table-versions.ts";
import { writeWatermark } from "./watermark.ts";

export interface PostgresSourceOptions {
  readonly server: ConnectionSettings;
  /** Id of the capture. */
  readonly capture: string;
  readonly parallelReads: number;
  readonly logger: Logger;
  readonly stream?: Partial<StreamSettings>;
}

const defaultStream: StreamSettings = {
  limits: { maxEvents: 5_000, maxBytes: 4 * 1024 * 1024 },
  heartbeatMs: 5_000,
  catalogWatchMs: 2_000,
  silenceMs: 60_000,
};

/** A PostgreSQL database from 14 on, read through a publication and a logical replication slot of its own. */
export class PostgresSource implements CaptureSource {
  readonly descriptor: SourceDescriptor;
  readonly #names: CaptureNames;
  readonly #sessions: ServerSessions;
  readonly #versions = new TableVersions();
  readonly #catalog: TableCatalog;
  readonly #chunks: ChunkReads;
  readonly #publication: Publication;
  readonly #slot: ReplicationSlot;
  readonly #settings: StreamSettings;
  #published: readonly TableName[] = [];
  #stream: ChangeStream | null = null;
  #acknowledged: Lsn = 0n;
  /** The newest head that somebody has asked for, and may be waiting to reach. */
  #head: Lsn = 0n;

  constructor({ server, capture, parallelReads, logger, stream }: PostgresSourceOptions) {
    this.descriptor = sourceDescriptor(server.database);
    this.#names = captureNames(capture);
    this.#sessions = new ServerSessions(server, this.#names.applicationName, parallelReads);
    this.#catalog = new TableCatalog(this.#sessions, this.#versions);
    this.#chunks = new ChunkReads(this.#sessions, this.#catalog, this.#versions);
    this.#publication = new Publication(this.#sessions, this.#names.publication, logger);
    this.#slot = new ReplicationSlot(this.#sessions, this.#names.slot);
    this.#settings = { ...defaultStream, ...stream };
  }

  /** System identifier, timeline and database: another of any of them has other WAL positions or other tables. */
  async identity(signal: AbortSignal): Promise<string> {
    return await this.#sessions.replication(signal, async (session) => {
      const system = await session.query<{ systemid: string; timeline: number }>("IDENTIFY_SYSTEM");
      const database = await session.query<{ oid: string }>(
        "SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()",
      );
      return `${system.rows[0]?.systemid}/${system.rows[0]?.timeline}/${database.rows[0]?.oid}`;
    });
  }

  async inspect(tables: readonly TableName[], signal: AbortSignal): Promise<readonly Finding[]> {
    const server = await inspectServer(this.#sessions, this.#names, signal);
    // Without a connection there is nothing more to say.
    if (server.some((finding) => finding.code === "source.connection_lost" || finding.code === "source.login_failed")) {
      return server;
    }
    const { tables: found } = await this.#catalog.read(tables, [], signal);
    const present = new Set(found.map((table) => tableId(table.name)));
    const missing = tables.filter((table) => !present.has(tableId(table)));
    const there = tables.filter((table) => present.has(tableId(table)));
    const described = await this.#catalog.describe(there, signal);
    return [
      ...server,
      ...(await this.#catalog.missingFindings(missing, signal)),
      ...described.flatMap((description) => description.findings),
    ];
  }

  async listTables(signal: AbortSignal): Promise<readonly TableName[]> {
    return await this.#catalog.list(signal);
  }

  async describeTables(tables: readonly TableName[], signal: AbortSignal): Promise<readonly TableDescription[]> {
    return await this.#catalog.describe(tables, signal);
  }

  async publish(tables: readonly TableName[], signal: AbortSignal): Promise<readonly TableName[]> {
    // First what is no longer wanted, so that its leaving is not taken for a loss.
    const wanted = new Set(tables.map((table) => tableId(table)));
    this.#published = this.#published.filter((table) => wanted.has(tableId(table)));
    const added = await this.#publication.publish(tables, signal);
    this.#published = tables;
    return added;
  }

  async stream(signal: AbortSignal): Promise<StreamState> {
    return await this.#slot.state(signal);
  }

  async createStream(signal: AbortSignal): Promise<StreamStart> {
    return await this.#slot.create(signal);
  }

  async dropStream(signal: AbortSignal): Promise<void> {
    await this.#slot.drop(signal);
  }

  async *changes(from: Position, known: readonly TableSchema[], signal: AbortSignal): AsyncGenerator<SourceBatch> {
    this.#versions.adopt(known);
    await using stream = await ChangeStream.open(
      {
        sessions: this.#sessions,
        slot: this.#slot,
        publication: this.#publication,
        catalog: this.#catalog,
        versions: this.#versions,
        names: this.#names,
        settings: this.#settings,
      },
      from,
      known,
      () => this.#published,
      signal,
    );
    this.#acknowledged = parsePosition(from).end;
    this.#stream = stream;
    stream.hurry(this.#head);
    try {
      yield* stream.batches(signal);
    } finally {
      if (this.#stream === stream) this.#stream = null;
    }
  }

  async head(signal: AbortSignal): Promise<Position> {
    const head = await this.#slot.head(signal);
    this.#head = parsePosition(head).end;
    this.#stream?.hurry(this.#head);
    return head;
  }

  reached(position: Position, target: Position): boolean {
    return parsePosition(position).end >= parsePosition(target).end;
  }

  distanceBytes(position: Position, head: Position): number {
    const distance = parsePosition(head).end - parsePosition(position).end;
    return distance > 0n ? Number(distance) : 0;
  }

  async writeWatermark(id: string, signal: AbortSignal): Promise<void> {
    await writeWatermark(this.#sessions, this.#names.watermarkPrefix, id, signal);
  }

  planChunks(schema: TableSchema, after: Row | null, chunkRows: number, signal: AbortSignal): AsyncIterable<KeyRange> {
    return this.#chunks.plan(schema, after, chunkRows, signal);
  }

  async readChunk(schema: TableSchema, range: KeyRange, notNull: string | null, signal: AbortSignal): Promise<Chunk> {
    return await this.#chunks.readRange(schema, range, notNull, signal);
  }

  async readKeys(schema: TableSchema, keys: readonly Row[], signal: AbortSignal): Promise<Chunk> {
    return await this.#chunks.readKeys(schema, keys, signal);
  }

  async currentView(signal: AbortSignal): Promise<SnapshotView> {
    const result = await this.#sessions.control(signal, (session) =>
      session.query<{ snapshot: string }>("SELECT pg_current_snapshot()::text AS snapshot"),
    );
    return PostgresSnapshot.parse(result.rows[0]?.snapshot ?? "");
  }

  /** Only whole transactions: the part of an open one is sent again, and skipped by its index. */
  acknowledge(position: Position): void {
    const { end } = parsePosition(position);
    if (end <= this.#acknowledged) return; // I2
    this.#acknowledged = end;
    this.#stream?.acknowledge(end);
  }

  async decommission(apply: boolean, signal: AbortSignal): Promise<readonly string[]> {
    const slot = await this.#slot.read(signal);
    const publication = await this.#publication.exists(signal);
    if (apply) {
      await this.#slot.drop(signal);
      await this.#publication.drop(signal);
    }
    const { database } = this.#sessions.server;
    return [
      ...(slot === null ? [] : [`replication slot ${this.#names.slot} of database ${database}`]),
      ...(publication ? [`publication ${this.#names.publication} of database ${database}`] : []),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.[Symbol.asyncDispose]();
    await this.#sessions[Symbol.asyncDispose]();
  }
}

/** Debezium's source block of its PostgreSQL connector. `lsn`: where the change lies in the WAL. */
export function sourceDescriptor(database: string): SourceDescriptor {
  return {
    connector: "postgresql",
    database,
    fields: [
      { name: "schema", type: "string" },
      { name: "table", type: "string" },
      { name: "txId", type: "nullable-long" },
      { name: "lsn", type: "nullable-long" },
      { name: "xmin", type: "nullable-long" },
      { name: "origin", type: "nullable-string" },
      { name: "origin_lsn", type: "nullable-long" },
    ],
  };
}
