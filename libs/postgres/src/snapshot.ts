import { DataTraceError } from "@datatrace/core";
import type { SnapshotView } from "@datatrace/core";

/** What `pg_current_snapshot()` says: which transactions, by their 64-bit ids, a reader could see. */
export class PostgresSnapshot implements SnapshotView {
  /** All below have ended. */
  readonly xmin: bigint;
  /** None from here on had ended. */
  readonly xmax: bigint;
  /** Those between the two that were still running. */
  readonly running: ReadonlySet<bigint>;

  constructor(xmin: bigint, xmax: bigint, running: Iterable<bigint>) {
    this.xmin = xmin;
    this.xmax = xmax;
    this.running = new Set(running);
  }

  /** Reads `10:20:10,14,15`. */
  static parse(text: string): PostgresSnapshot {
    const match = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/.exec(text);
    if (match === null) throw new DataTraceError("source.decode_failed", { message: "A snapshot is malformed." });
    const [, xmin = "", xmax = "", list = ""] = match;
    return new PostgresSnapshot(BigInt(xmin), BigInt(xmax), list === "" ? [] : list.split(",").map(BigInt));
  }

  /** True also for transactions that ended by rolling back: they have nothing to show. */
  sees(txId: bigint): boolean {
    return txId < this.xmin || (txId < this.xmax && !this.running.has(txId));
  }

  /**
   * Transactions that `other` sees and this one does not. Bounded by what was running here and by how far `other`
   * reaches beyond, not by how old the oldest transaction is.
   */
  missing(other: PostgresSnapshot): bigint[] {
    const ids = [...this.running].filter((id) => other.sees(id));
    for (let id = this.xmax; id < other.xmax; id += 1n) if (other.sees(id)) ids.push(id);
    return ids;
  }
}

const epoch = 1n << 32n;

/**
 * The 64-bit id of a transaction of which the WAL gives 32 bits. Ids in use lie within 2^31 of each other, so it is the
 * one nearest to an id that is known in full.
 */
export function widenTransactionId(xid: number, near: bigint): bigint {
  const same = near - (near % epoch) + BigInt(xid);
  if (same - near > epoch / 2n && same >= epoch) return same - epoch;
  return near - same > epoch / 2n ? same + epoch : same;
}
