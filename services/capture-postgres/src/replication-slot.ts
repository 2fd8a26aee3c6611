import { setTimeout as delay } from "node:timers/promises";
import { DataTraceError, failpoint } from "@datatrace/core";
import type { Position, StreamStart, StreamState } from "@datatrace/core";
import { PostgresSnapshot, formatLsn, parseLsn, postgresFailure, quoteName, quoteText } from "@datatrace/postgres";
import type { Lsn } from "@datatrace/postgres";
import type { ServerSessions } from "./server-sessions.ts";
import { sourceError } from "./source-error.ts";
import { formatPosition } from "./stream-position.ts";

/** A row of `pg_replication_slots`. */
export interface SlotState {
  /** Of this database, and read through pgoutput. */
  readonly ours: boolean;
  readonly confirmed: Lsn | null;
  /** `reserved`, `extended`, `unreserved`, or `lost`: the server has thrown away WAL that the slot needs. */
  readonly walStatus: string | null;
  readonly activePid: number | null;
  /** WAL that the server keeps because of it. */
  readonly retainedBytes: number;
}

interface SlotRow {
  readonly ours: boolean;
  readonly confirmed: string | null;
  readonly wal_status: string | null;
  readonly active_pid: number | null;
  readonly retained: number | null;
}

const retryMs = 50;
/** How long another reader of the slot may take to end after it was told to. */
const releaseTimeoutMs = 30_000;

/** The logical replication slot of a capture. */
export class ReplicationSlot {
  readonly #sessions: ServerSessions;
  readonly #name: string;

  constructor(sessions: ServerSessions, name: string) {
    this.#sessions = sessions;
    this.#name = name;
  }

  async read(signal: AbortSignal): Promise<SlotState | null> {
    const result = await this.#sessions.control(signal, (session) =>
      session.query<SlotRow>(
        `SELECT slot_type = 'logical' AND plugin = 'pgoutput' AND database = current_database() AS ours,
           confirmed_flush_lsn::text AS confirmed, wal_status, active_pid,
           CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::float8 END AS retained
         FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`,
        [this.#name],
      ),
    );
    const [row] = result.rows;
    if (row === undefined) return null;
    const confirmed = row.confirmed === null ? null : parseLsn(row.confirmed);
    const { ours, wal_status: walStatus, active_pid: activePid, retained } = row;
    return { ours, confirmed, walStatus, activePid, retainedBytes: retained ?? 0 };
  }

  async state(signal: AbortSignal): Promise<StreamState> {
    const slot = await this.read(signal);
    if (slot === null) return { exists: false, acknowledged: null };
    const acknowledged = slot.confirmed === null ? null : formatPosition({ end: slot.confirmed, open: null });
    return { exists: true, acknowledged, retainedBytes: slot.retainedBytes };
  }

  /**
   * Makes the slot, and finds the transactions that lie before it and that other sessions cannot see yet: what the
   * snapshot exported at its first position sees, less what an ordinary one of afterwards sees.
   */
  async create(signal: AbortSignal): Promise<StreamStart> {
    return await this.#sessions.replication(signal, async (replication) => {
      let made: { consistent_point: string; snapshot_name: string };
      try {
        const result = await replication.query<typeof made>(
          `CREATE_REPLICATION_SLOT ${quoteName(this.#name)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
        );
        [made = { consistent_point: "", snapshot_name: "" }] = result.rows;
      } catch (error) {
        throw sourceError(error, {
          exists: ["source.position_missing", { detail: { slot: this.#name } }],
          other: ["source.setting", { detail: { slot: this.#name }, fix: slotFix }],
        });
      }
      failpoint("capture.after_slot_created");
      // The exported snapshot lives as long as the replication session does nothing else.
      const before = await this.#snapshot(made.snapshot_name, signal);
      const now = await this.#snapshot(null, signal);
      return {
        position: formatPosition({ end: parseLsn(made.consistent_point), open: null }),
        unseen: now.missing(before),
      };
    });
  }

  /** Ends whoever reads the slot, and waits until it is free. Nothing happens when there is no such slot. */
  async release(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + releaseTimeoutMs;
    for (;;) {
      const slot = await this.read(signal);
      if (slot?.activePid === undefined || slot.activePid === null) return;
      if (performance.now() > deadline) {
        throw new DataTraceError("source.transient", {
          message: "The replication slot is still in use by another session.",
          detail: { slot: this.#name, pid: slot.activePid },
        });
      }
      const pid = slot.activePid;
      await this.#sessions.control(signal, (session) => session.query("SELECT pg_terminate_backend($1)", [pid]));
      await delay(retryMs, undefined, { signal });
    }
  }

  async drop(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.release(signal);
      try {
        await this.#sessions.control(signal, async (session) => {
          try {
            await session.query("SELECT pg_drop_replication_slot($1)", [this.#name]);
          } catch (error) {
            if (postgresFailure(error).kind !== "missing") throw error;
          }
        });
        return;
      } catch (error) {
        // Somebody took it again in between.
        const busy = error instanceof DataTraceError && error.detail["code"] === "55006";
        if (!busy) throw error;
        await delay(retryMs, undefined, { signal });
      }
    }
  }

  /** @throws DataTraceError `source.history_lost` unless the slot still has everything after `from`. */
  async requireHistory(from: Lsn, signal: AbortSignal): Promise<void> {
    const slot = await this.read(signal);
    const lost = (message: string, detail: Readonly<Record<string, string>> = {}): DataTraceError =>
      new DataTraceError("source.history_lost", { message, detail: { slot: this.#name, ...detail } });
    if (slot === null) throw lost("The replication slot is gone.");
    if (!slot.ours) throw lost("The replication slot belongs to another database or plugin.");
    if (slot.walStatus === "lost" || slot.confirmed === null) {
      throw lost("The server has removed WAL that the replication slot needs.");
    }
    if (slot.confirmed > from) {
      const detail = { acknowledged: formatLsn(slot.confirmed), stored: formatLsn(from) };
      throw lost("The replication slot was acknowledged beyond the stored position.", detail);
    }
    const head = await this.#head(signal);
    if (head < from) {
      const detail = { head: formatLsn(head), stored: formatLsn(from) };
      throw lost("The server's WAL ends before the stored position: it was restored from an older copy.", detail);
    }
  }

  /** The end of the WAL: everything that has committed lies before it. */
  async head(signal: AbortSignal): Promise<Position> {
    return formatPosition({ end: await this.#head(signal), open: null });
  }

  async #head(signal: AbortSignal): Promise<Lsn> {
    const result = await this.#sessions.control(signal, (session) =>
      session.query<{ lsn: string; block: string }>(
        "SELECT pg_current_wal_insert_lsn()::text AS lsn, current_setting('wal_block_size') AS block",
      ),
    );
    const [row = { lsn: "0/0", block: "8192" }] = result.rows;
    return recordEnd(parseLsn(row.lsn), BigInt(row.block));
  }

  /** Imports an exported snapshot, or takes a new one. */
  async #snapshot(exported: string | null, signal: AbortSignal): Promise<PostgresSnapshot> {
    const text: string[] = [];
    const adopt = exported === null ? "" : `SET TRANSACTION SNAPSHOT ${quoteText(exported)};`;
    await this.#sessions.read(
      `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${adopt} SELECT pg_current_snapshot()::text; COMMIT`,
      { row: ([cell]) => text.push(cell ?? "") },
      signal,
    );
    return PostgresSnapshot.parse(text[0] ?? "");
  }
}

const slotFix =
  "Set wal_level = logical and raise max_replication_slots and max_wal_senders (ALTER SYSTEM SET …), then restart the server; or drop a slot that nobody uses.";

/** Longest header of a WAL page. */
const pageHeaderBytes = 40n;

/**
 * At the beginning of a page the server answers the place behind the page's header, where the next record will go;
 * records that are there already end at the page's border.
 */
function recordEnd(lsn: Lsn, blockBytes: bigint): Lsn {
  const within = lsn % blockBytes;
  return within <= pageHeaderBytes ? lsn - within : lsn;
}
