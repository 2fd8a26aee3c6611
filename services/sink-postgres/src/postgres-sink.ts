import { DataTraceError, failpoint } from "@datatrace/core";
import type {
  ApplyOutcome,
  ApplyUnit,
  Claim,
  ClaimedTopicPartition,
  Finding,
  RereadRequest,
  Sink,
  TargetTable,
  TopicPartition,
} from "@datatrace/core";
import type { ConnectionSettings, PipelinedSession } from "@datatrace/postgres";
import { attemptUnit } from "./apply-unit.ts";
import { claimPartitions, storedParkedKeys, storedProgress, storedRereads } from "./claims.ts";
import { decommissionDelivery } from "./decommission.ts";
import { helperTables, openHelperTables } from "./helper-tables.ts";
import type { HelperTables } from "./helper-tables.ts";
import { inspectTarget } from "./inspect-target.ts";
import { outcomeOfLostCommit } from "./lost-commit.ts";
import { prepareTable } from "./prepare-table.ts";
import { sinkApplicationName, takingOver } from "./row-lock.ts";
import { SessionPool } from "./session-pool.ts";
import { sqlStateOf, targetError } from "./target-error.ts";
import { TargetTables } from "./target-tables.ts";

export interface PostgresSinkOptions {
  readonly server: ConnectionSettings;
  /** Schema of the helper tables. */
  readonly helperSchema: string;
  /** Units applied at once. */
  readonly parallelApplies: number;
  readonly connectTimeoutMs?: number;
  /** Longest wait for an answer before the connection counts as lost. */
  readonly answerTimeoutMs?: number;
  /** The server ends our session when it stands still this long inside a transaction. */
  readonly idleTransactionTimeoutMs?: number;
  /** Longest wait for somebody else's lock before the unit is tried again. */
  readonly lockTimeoutMs?: number;
  /** A claim ends sessions of earlier owners that stand still this long inside a transaction. */
  readonly takeOverMs?: number;
}

/** Sessions beside those that apply: claims, `prepare`, progress. */
const controlSessions = 2;

/** Applies to one PostgreSQL database. Thin: each operation has a file of its own. */
export class PostgresSink implements Sink {
  readonly #pool: SessionPool;
  readonly #helpers: HelperTables;
  readonly #targets = new TargetTables();
  readonly #takeOverMs: number;

  constructor(options: PostgresSinkOptions) {
    this.#helpers = helperTables(options.helperSchema);
    this.#takeOverMs = options.takeOverMs ?? 1_000;
    this.#pool = new SessionPool(
      {
        server: options.server,
        applicationName: sinkApplicationName,
        connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
        answerTimeoutMs: options.answerTimeoutMs ?? 60_000,
        settings: {
          default_transaction_isolation: "read committed",
          // Without it a claim waits behind a frozen owner for ever.
          idle_in_transaction_session_timeout: String(options.idleTransactionTimeoutMs ?? 30_000),
          lock_timeout: String(options.lockTimeoutMs ?? 10_000),
          statement_timeout: "0",
          // An answer to COMMIT must mean that it is durable: the log may forget what was applied.
          synchronous_commit: "on",
          // Every statement has its rows in array parameters: a plan made for one array's length is no better.
          plan_cache_mode: "force_generic_plan",
          // A plan is kept, and made for the first batch, when the table is empty: reading all of it would look cheap.
          enable_seqscan: "off",
          enable_hashjoin: "off",
          enable_mergejoin: "off",
          jit: "off",
        },
      },
      options.parallelApplies + controlSessions,
    );
  }

  async inspect(delivery: string, tables: readonly TargetTable[], signal: AbortSignal): Promise<readonly Finding[]> {
    try {
      return await this.#use(signal, async (session) => inspectTarget(session, this.#helpers, delivery, tables));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DataTraceError)) throw error;
      return [{ severity: "error", code: error.code, message: error.message, fix: error.fix }];
    }
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#use(signal, async (session) => openHelperTables(session, this.#helpers));
  }

  async prepare(delivery: string, table: TargetTable, signal: AbortSignal): Promise<void> {
    // A frozen owner may hold the lock of all DDL, or rows of the table that a column is to be added to.
    const shape = await this.#useTakingOver(signal, async (session) =>
      prepareTable(session, this.#helpers, delivery, table),
    );
    failpoint("sink.after_prepare");
    this.#targets.remember(table.target, shape);
  }

  async claim(
    delivery: string,
    partitions: readonly (ClaimedTopicPartition & { readonly start: bigint })[],
    signal: AbortSignal,
  ): Promise<readonly Claim[]> {
    return this.#useTakingOver(signal, async (session) =>
      claimPartitions(session, this.#helpers, delivery, partitions),
    );
  }

  async apply(delivery: string, unit: ApplyUnit, signal: AbortSignal): Promise<ApplyOutcome> {
    const context = {
      delivery,
      tables: this.#helpers,
      statements: this.#targets.statements.bind(this.#targets),
    };
    // A fenced owner changes no row, but holds the lock of its offset when the claim was made while it waited for that;
    // frozen then, it would be in the way until the server ends it. Large units take long by themselves.
    const takeOver = { idleMs: this.#takeOverMs, lookAfterMs: this.#takeOverMs };
    const outcome = await this.#pool.use(signal, async (session) =>
      takingOver(this.#pool, session, takeOver, signal, async () => attemptUnit(session, context, unit)),
    );
    if (outcome.kind !== "unknown") return outcome;
    const decided = await this.#useTakingOver(signal, async (session) =>
      outcomeOfLostCommit(session, this.#helpers, delivery, unit, outcome.rereads),
    );
    if (decided !== null) return decided;
    throw new DataTraceError("sink.connection_lost", { detail: { during: "commit", applied: false } });
  }

  async progress(
    delivery: string,
    signal: AbortSignal,
  ): Promise<readonly (TopicPartition & { readonly next: bigint })[]> {
    return this.#stored(signal, async (session) => storedProgress(session, this.#helpers, delivery));
  }

  async parkedKeys(
    delivery: string,
    partitions: readonly TopicPartition[],
    signal: AbortSignal,
  ): Promise<readonly (TopicPartition & { readonly key: Uint8Array })[]> {
    return this.#stored(signal, async (session) => storedParkedKeys(session, this.#helpers, delivery, partitions));
  }

  async openRereads(delivery: string, signal: AbortSignal): Promise<readonly RereadRequest[]> {
    return this.#stored(signal, async (session) => storedRereads(session, this.#helpers, delivery));
  }

  async decommission(delivery: string, apply: boolean, signal: AbortSignal): Promise<readonly string[]> {
    return this.#use(signal, async (session) => decommissionDelivery(session, this.#helpers, delivery, apply));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  /** Rows of a helper table; none where the tables have not been made yet. */
  async #stored<T>(
    signal: AbortSignal,
    read: (session: PipelinedSession) => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    return this.#use(signal, async (session) => {
      try {
        return await read(session);
      } catch (error) {
        if (sqlStateOf(error) === "42P01") return [];
        throw error;
      }
    });
  }

  /** As `#use`, for work that an owner who no longer moves may be in the way of. */
  async #useTakingOver<T>(signal: AbortSignal, work: (session: PipelinedSession) => Promise<T>): Promise<T> {
    return this.#use(signal, async (session) =>
      takingOver(this.#pool, session, { idleMs: this.#takeOverMs }, signal, async () => work(session)),
    );
  }

  /** As the pool's `use`, for work in which every error is the target's. */
  async #use<T>(signal: AbortSignal, work: (session: PipelinedSession) => Promise<T>): Promise<T> {
    return this.#pool.use(signal, async (session) => {
      try {
        return await work(session);
      } catch (error) {
        signal.throwIfAborted();
        throw targetError(error);
      }
    });
  }
}
