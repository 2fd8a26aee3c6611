import { DataTraceError, invariant, tableId } from "@datatrace/core";
import type { Position, SourceBatch, TableName, TableSchema } from "@datatrace/core";
import { PostgresSnapshot, ReplicationConnection } from "@datatrace/postgres";
import type { Lsn } from "@datatrace/postgres";
import type { BatchLimits } from "./batch-builder.ts";
import { Bell } from "./bell.ts";
import type { CaptureNames } from "./capture-names.ts";
import { CatalogWatch } from "./catalog-watch.ts";
import { ChangeAssembler } from "./change-assembler.ts";
import { FollowedTables } from "./followed-tables.ts";
import type { Publication } from "./publication.ts";
import type { ReplicationSlot } from "./replication-slot.ts";
import type { ServerSessions } from "./server-sessions.ts";
import { sourceError } from "./source-error.ts";
import { parsePosition } from "./stream-position.ts";
import type { TableCatalog } from "./table-catalog.ts";
import type { TableVersions } from "./table-versions.ts";

export interface StreamSettings {
  readonly limits: BatchLimits;
  /** How often an idle stream gives out the position of a keep-alive. */
  readonly heartbeatMs: number;
  /** How often the catalog is compared with what is being followed. */
  readonly catalogWatchMs: number;
  /** Silence of a server that is asked to answer, after which the connection counts as lost. */
  readonly silenceMs: number;
}

/** What a stream works with. */
export interface StreamParts {
  readonly sessions: ServerSessions;
  readonly slot: ReplicationSlot;
  readonly publication: Publication;
  readonly catalog: TableCatalog;
  readonly versions: TableVersions;
  readonly names: CaptureNames;
  readonly settings: StreamSettings;
}

/** Retries of START_REPLICATION while an earlier reader is being ended. */
const maxAttempts = 20;
/** Between two questions to the server how far it is. */
const hurryMs = 100;

/** One reading of the slot, from a position on. Its parts meet on one bell: socket, timers, acknowledgements, abort. */
export class ChangeStream implements AsyncDisposable {
  readonly #parts: StreamParts;
  readonly #wanted: () => readonly TableName[];
  readonly #known: ReadonlyMap<string, TableSchema>;
  readonly #assembler: ChangeAssembler;
  readonly #bell = new Bell();
  readonly #watch = new CatalogWatch();
  #connection: ReplicationConnection | null = null;
  #failed: { readonly error: unknown } | null = null;
  /** The position is to be given out without delay once it is as far as this. */
  #hurryTo: Lsn = 0n;
  #pingedMs = 0;
  readonly #closing = new AbortController();
  #watching: Promise<void> | null = null;

  private constructor(
    parts: StreamParts,
    wanted: () => readonly TableName[],
    known: readonly TableSchema[],
    assembler: ChangeAssembler,
  ) {
    this.#parts = parts;
    this.#wanted = wanted;
    this.#known = new Map(known.map((schema) => [tableId(schema.name), schema]));
    this.#assembler = assembler;
  }

  /**
   * `wanted`: the tables that should be followed, whenever they are looked at.
   * @throws DataTraceError `source.history_lost`
   */
  static async open(
    parts: StreamParts,
    from: Position,
    known: readonly TableSchema[],
    wanted: () => readonly TableName[],
    signal: AbortSignal,
  ): Promise<ChangeStream> {
    const position = parsePosition(from);
    await parts.slot.requireHistory(position.end, signal);
    const { nearTxId, senderTimeoutMs } = await readServer(parts.sessions, signal);
    const assembler = new ChangeAssembler({
      from: position,
      tables: new FollowedTables(parts.versions),
      limits: parts.settings.limits,
      watermarkPrefix: parts.names.watermarkPrefix,
      nearTxId,
    });
    const stream = new ChangeStream(parts, wanted, known, assembler);
    await stream.#connect(position.end, senderTimeoutMs, signal);
    return stream;
  }

  /** Exactly this place, never a later one (I1). */
  acknowledge(lsn: Lsn): void {
    invariant(lsn <= this.#assembler.end, "what is acknowledged was given out before");
    this.#connection?.acknowledge(lsn);
  }

  /** Somebody waits for the position to be as far as `lsn`: an idle stream then does not wait for its heartbeat. */
  hurry(lsn: Lsn): void {
    if (lsn <= this.#hurryTo || lsn <= this.#assembler.given) return;
    this.#hurryTo = lsn;
    if (lsn > this.#assembler.end) this.#ping();
    this.#bell.ring();
  }

  /** Ends with the signal's reason, or with the error that ended the stream. */
  async *batches(signal: AbortSignal): AsyncGenerator<SourceBatch> {
    const { heartbeatMs, catalogWatchMs } = this.#parts.settings;
    const ring = (): void => this.#bell.ring();
    signal.addEventListener("abort", ring);
    let nextBeatMs = performance.now() + heartbeatMs;
    let nextWatchMs = performance.now();
    try {
      for (;;) {
        signal.throwIfAborted();
        if (this.#failed !== null) throw this.#failed.error;
        await this.#lookUp(signal);
        const now = performance.now();
        if (now >= nextWatchMs && this.#watching === null) {
          nextWatchMs = now + catalogWatchMs;
          this.#watching = this.#lookAround(AbortSignal.any([signal, this.#closing.signal]));
        }
        const beat = now >= nextBeatMs || (this.#hurryTo > 0n && this.#assembler.end >= this.#hurryTo);
        const batch = this.#assembler.take() ?? (beat ? this.#assembler.takeIdle() : null);
        if (beat || batch !== null) nextBeatMs = now + heartbeatMs;
        if (this.#assembler.given >= this.#hurryTo) this.#hurryTo = 0n;
        this.#throttle();
        if (batch === null) await this.#rest(Math.min(nextBeatMs, nextWatchMs) - now);
        else yield batch;
      }
    } finally {
      signal.removeEventListener("abort", ring);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#connection?.[Symbol.asyncDispose]();
    await this.#watching;
  }

  async #connect(startAt: Lsn, senderTimeoutMs: number, signal: AbortSignal): Promise<void> {
    const { sessions, slot, names, settings } = this.#parts;
    // A third of the server's patience; a server without a limit still wants to know what it may throw away.
    const statusIntervalMs = Math.min(10_000, senderTimeoutMs > 0 ? senderTimeoutMs / 3 : 10_000);
    const options = {
      ...sessions.options,
      server: sessions.server,
      slot: names.slot,
      publication: names.publication,
      startAt,
      statusIntervalMs,
      // A server that decodes a large transaction answers only when its own patience runs out.
      silenceTimeoutMs: Math.max(settings.silenceMs, 2 * senderTimeoutMs),
    };
    for (let attempt = 1; this.#connection === null; attempt += 1) {
      await slot.release(signal);
      try {
        this.#connection = await ReplicationConnection.open(options, this.#receiver(), signal);
      } catch (error) {
        signal.throwIfAborted();
        const known = startError(error);
        const busy = known instanceof DataTraceError && known.detail["code"] === "55006";
        if (!busy || attempt >= maxAttempts) throw known;
      }
    }
    this.#connection.failure.catch((error: unknown) => this.#fail(sourceError(error)));
  }

  #ping(): void {
    this.#pingedMs = performance.now();
    this.#connection?.ping();
  }

  async #rest(longestMs: number): Promise<void> {
    if (this.#hurryTo === 0n) return await this.#bell.wait(Math.max(1, longestMs));
    await this.#bell.wait(hurryMs);
    // What it waits for may not have been flushed when the server answered last.
    if (performance.now() - this.#pingedMs >= hurryMs) this.#ping();
  }

  #receiver(): { message(message: Buffer, walStart: number): void; keepAlive(walEnd: Lsn): void } {
    return {
      message: (message, walStart) => {
        try {
          this.#assembler.feed(message, walStart);
        } catch (error) {
          this.#fail(error);
        }
        this.#throttle();
        this.#bell.ring();
      },
      keepAlive: (walEnd) => {
        this.#assembler.keepAlive(walEnd);
        this.#bell.ring();
      },
    };
  }

  #fail(error: unknown): void {
    this.#failed ??= { error };
    this.#bell.ring();
  }

  /** What is not pulled is not read: the server waits, at the cost of its WAL, not of our memory. */
  #throttle(): void {
    if (this.#assembler.isFull) this.#connection?.pause();
    else this.#connection?.resume();
  }

  async #lookUp(signal: AbortSignal): Promise<void> {
    for (;;) {
      const relation = this.#assembler.wanted;
      if (relation === null) return;
      const name = { schema: relation.schema, table: relation.table };
      this.#assembler.resolve(await this.#parts.catalog.read([name], [relation.oid], signal));
    }
  }

  /** In the background: a slow answer of the catalog does not hold up the stream. */
  async #lookAround(signal: AbortSignal): Promise<void> {
    try {
      const wanted = this.#wanted();
      const published = new Set((await this.#parts.publication.read(signal)).map(({ oid }) => oid));
      const catalog = await this.#parts.catalog.read(wanted, [], signal);
      // Taken after the look: what the catalog showed has happened before it.
      const after = parsePosition(await this.#parts.slot.head(signal)).end;
      // One that was taken out meanwhile on purpose is no loss.
      const still = new Set(this.#wanted().map((name) => tableId(name)));
      const found = this.#watch.look(wanted, this.#known, catalog, published);
      const losses = found.filter(({ table }) => still.has(tableId(table)));
      for (const { table, error } of losses) this.#assembler.lose(table, error, after);
      if (losses.length > 0) this.hurry(after);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#watching = null;
      this.#bell.ring();
    }
  }
}

function startError(error: unknown): unknown {
  const known = sourceError(error);
  if (!(known instanceof DataTraceError)) return known;
  const state = known.detail["code"];
  // The slot is not there, was invalidated, or a WAL segment that it needs is gone.
  const lost = state === "42704" || state === "55000" || state === "58P01";
  return lost ? new DataTraceError("source.history_lost", { detail: known.detail }) : known;
}

async function readServer(
  sessions: ServerSessions,
  signal: AbortSignal,
): Promise<{ nearTxId: bigint; senderTimeoutMs: number }> {
  const result = await sessions.control(signal, (session) =>
    session.query<{ snapshot: string; timeout: string }>(
      `SELECT pg_current_snapshot()::text AS snapshot,
         (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout') AS timeout`,
    ),
  );
  const [row = { snapshot: "", timeout: "0" }] = result.rows;
  return { nearTxId: PostgresSnapshot.parse(row.snapshot).xmax, senderTimeoutMs: Number(row.timeout) };
}
