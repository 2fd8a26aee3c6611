import type { TableName } from "./table-schema.ts";

/** What a topic's name may hold on every log: letters, digits, `.`, `_`, `-`. */
function legal(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/g, "_");
}

/** `<prefix>.<schema>.<table>`; illegal characters become `_`, so two tables may collide: `inspect` refuses that. */
export function dataTopic(prefix: string, table: TableName): string {
  return legal(`${prefix}.${table.schema}.${table.table}`);
}

/** Compacted, one partition: one small record, the capture's position, written in the same append as the events (I3). */
export function positionTopic(capture: string): string {
  return legal(`datatrace.capture.${capture}.position`);
}

/** Compacted, one partition: one record per table and one for the stream's intent, written when they change. */
export function stateTopic(capture: string): string {
  return legal(`datatrace.capture.${capture}.state`);
}

/** Compacted, one partition, keyed by topic and key: rows that a sink asks the capture to publish again. */
export const rereadsTopic = "datatrace.control.rereads";
