import type {
  PublishedTable,
  Sink,
  TableExistsStrategy,
  TableName,
  TablePhase,
  TableSchema,
  DataTraceError,
} from "@datatrace/core";
import { statusError } from "./delivery-status.ts";
import type { StatusError } from "./delivery-status.ts";

/** Keys that may wait in quarantine before the table itself is thought to be wrong. */
const mostParkedKeys = 1000;
/** Below this number of keys their share says nothing. */
const fewParkedKeys = 20;
const mostParkedShare = 0.05;

export interface PartitionStanding {
  readonly parkedKeys: number;
  /** Offset stored in the target. */
  readonly next: bigint;
}

export interface TableDeliveryOptions {
  readonly sink: Sink;
  readonly delivery: string;
  readonly strategy: TableExistsStrategy;
  readonly target: TableName;
  /** Of the delivery: one partition's end must not end what all of them wait for. */
  readonly signal: AbortSignal;
}

/** What the partitions of one table share. */
export class TableDelivery {
  readonly table: TableName;
  readonly topic: string;
  readonly target: TableName;
  readonly #options: TableDeliveryOptions;
  readonly #prepared = new Map<TableSchema, Promise<void>>();
  readonly #stop = new AbortController();
  phase: TablePhase;
  readonly #standings = new Map<number, PartitionStanding>();
  #error: StatusError | null = null;
  rowsApplied = 0n;

  constructor({ table, topic, phase }: PublishedTable, options: TableDeliveryOptions) {
    this.table = table;
    this.topic = topic;
    this.target = options.target;
    this.phase = phase;
    this.#options = options;
  }

  /** Aborted when the table has stopped until the next start. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Why it has. */
  get error(): StatusError | null {
    return this.#error;
  }

  /** The target table can take rows of this version afterwards. Asks the target once per version. */
  async prepare(schema: TableSchema): Promise<void> {
    let preparing = this.#prepared.get(schema);
    if (preparing === undefined) {
      const { sink, delivery, strategy, signal } = this.#options;
      preparing = sink.prepare(delivery, { target: this.target, schema, strategy }, signal);
      this.#prepared.set(schema, preparing);
    }
    try {
      await preparing;
    } catch (error) {
      if (this.#prepared.get(schema) === preparing) this.#prepared.delete(schema);
      throw error;
    }
  }

  /** The target is not what it was: it is prepared anew before the next rows. */
  forgetPrepared(): void {
    this.#prepared.clear();
  }

  /** Nothing more of this table until the next start. Keeps the first error: a later one is its consequence. */
  fail(error: DataTraceError): void {
    this.#error ??= statusError(error);
    this.#stop.abort(error);
  }

  /** Where a partition stands, for what is counted over all partitions of the table that this member has had. */
  note(partition: number, standing: PartitionStanding): void {
    this.#standings.set(partition, standing);
  }

  mayPark(): boolean {
    let parkedKeys = 0;
    let passed = 0n;
    for (const standing of this.#standings.values()) {
      parkedKeys += standing.parkedKeys;
      passed += standing.next;
    }
    return isBearable(parkedKeys, passed);
  }
}

/**
 * Whether one more key may be parked. Records passed stand for keys applied: a count that a restart does not lose, since
 * it is the stored offset. A share counts from the twenty-first key on.
 */
export function isBearable(parkedKeys: number, recordsPassed: bigint): boolean {
  if (parkedKeys >= mostParkedKeys) return false;
  return parkedKeys < fewParkedKeys || parkedKeys < Number(recordsPassed) * mostParkedShare;
}
