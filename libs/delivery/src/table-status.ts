import type { TableState, TableStatus } from "./delivery-status.ts";
import type { PartitionDelivery } from "./partition-delivery.ts";
import type { TableDelivery } from "./table-delivery.ts";

/** A table and its partitions here, in one view. */
export function tableStatus(
  table: TableDelivery,
  partitions: readonly PartitionDelivery[],
  lagRows: bigint,
): TableStatus {
  const views = partitions.map((partition) => partition.status());
  const troubled = views.find(({ state }) => state === "stopped") ?? views.find(({ state }) => state === "retrying");
  const state: TableState =
    table.error !== null || troubled?.state === "stopped" ? "failed" : troubled === undefined ? "running" : "retrying";
  return {
    table: table.table,
    target: table.target,
    topic: table.topic,
    phase: table.phase,
    state,
    error: table.error ?? troubled?.cause ?? null,
    partitions: views,
    lagRows,
    parkedKeys: views.reduce((sum, { parkedKeys }) => sum + parkedKeys, 0),
    rowsApplied: table.rowsApplied,
  };
}
