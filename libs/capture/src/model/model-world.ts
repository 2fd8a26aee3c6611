import { type Finding, type StoredRecord, stateTopic, type TableName } from "@datatrace/core";
import { RecordingLogger } from "@datatrace/testkit";
import type { CaptureOptions } from "../capture-options.ts";
import { type Capture, openCapture } from "../capture.ts";
import { storedTables, type TableRecord } from "../table-record.ts";
import { Interleaving } from "./interleaving.ts";
import { ModelDatabase, ModelTable } from "./model-database.ts";
import { type LogFailures, ModelLog } from "./model-log.ts";
import { type ModelSlot, ModelSource } from "./model-source.ts";
import { SeededRandom } from "./seeded-random.ts";

export interface RunningModel extends AsyncDisposable {
  readonly capture: Capture;
  /** What `run` gave: null when it ended well. */
  readonly ended: Promise<unknown>;
}

const noFailures: LogFailures = { codes: [], chance: 0 };

/** A model of a database and a log in which everything that waits goes on by itself: for tests of one thing at a time. */
export class ModelWorld implements AsyncDisposable {
  readonly capture = "world";
  readonly prefix = "world";
  readonly random: SeededRandom;
  readonly interleaving: Interleaving;
  readonly database = new ModelDatabase();
  readonly slot: ModelSlot = { acknowledged: null };
  readonly log: ModelLog;
  readonly logger = new RecordingLogger();
  /** What is wrong with a table, by its id. */
  readonly findings = new Map<string, Finding>();
  /** Ranges and keys that were read of tables, in order. */
  readonly reads: string[] = [];
  identity = "model";
  #running = true;
  readonly #loop: Promise<void>;

  constructor(seed = 1, failures = noFailures) {
    this.random = new SeededRandom(seed);
    this.interleaving = new Interleaving(this.random);
    this.log = new ModelLog(this.interleaving, this.random, failures);
    this.#loop = this.#run();
  }

  /** A table with keys 0 to `rows` - 1. */
  addTable(name: string, rows: number): ModelTable {
    const table = new ModelTable(name);
    this.write((put) => {
      for (let key = 0; key < rows; key += 1) put(table, key);
    });
    this.database.tables.push(table);
    return table;
  }

  /** Commits a transaction that is visible at once. */
  write(
    work: (put: (table: ModelTable, key: number) => void, remove: (table: ModelTable, key: number) => void) => void,
  ): void {
    const tx = this.database.begin();
    work(
      (table, key) => this.database.put(tx, table, key, this.random.below(1000), `large ${key}`),
      (table, key) => this.database.remove(tx, table, key),
    );
    this.database.commit(tx);
    this.database.makeVisible(tx);
  }

  start(options: Partial<CaptureOptions> = {}): RunningModel {
    const capture = this.open(options);
    const ended = capture.run().then(
      () => null,
      (error: unknown) => error,
    );
    return { capture, ended, [Symbol.asyncDispose]: async () => await capture[Symbol.asyncDispose]() };
  }

  /** One that does not run. */
  open(options: Partial<CaptureOptions> = {}): Capture {
    const source = new ModelSource({
      database: this.database,
      slot: this.slot,
      random: this.random,
      interleaving: this.interleaving,
      failures: 0,
      acknowledged: () => undefined,
      findings: this.findings,
      identity: () => this.identity,
      read: (what) => this.reads.push(what),
    });
    return openCapture({
      capture: this.capture,
      prefix: this.prefix,
      source,
      log: this.log,
      registry: this.log,
      tables: { select: (all) => all, partitions: () => 2 },
      mode: "snapshot+stream",
      chunkRows: 5,
      parallelChunks: 2,
      logger: this.logger,
      ...options,
      timing: {
        tablesMs: 5,
        visibilityMs: 1,
        heartbeatMs: 60_000,
        lagMs: 5,
        retryFirstMs: 1,
        retryMaxMs: 2,
        ...options.timing,
      },
    });
  }

  /** Records of a table's topic, all partitions behind each other. */
  records(name: string): readonly StoredRecord[] {
    return this.log.records(`${this.prefix}.public.${name}`).flat();
  }

  async storedTable(name: string): Promise<TableRecord | undefined> {
    const tables = storedTables(await this.log.latestByKey(stateTopic(this.capture)));
    return tables.find(({ table }) => table.table === name);
  }

  selecting(...names: readonly string[]): Partial<CaptureOptions> {
    const select = (all: readonly TableName[]): readonly TableName[] =>
      all.filter(({ table }) => names.includes(table));
    return { tables: { select, partitions: () => 2 } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#running = false;
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (this.#running || this.interleaving.waiting > 0) {
      this.interleaving.release();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}
