import { setTimeout as delay } from "node:timers/promises";
import type {
  ApplyOutcome,
  ApplyUnit,
  Claim,
  Column,
  PartialUpdate,
  PartitionProgress,
  QuarantineEntry,
  RereadRequest,
  Row,
  Rows,
  Sink,
  TableExistsStrategy,
  TableName,
  TableSchema,
} from "@datatrace/core";

/** A signal that nothing aborts but the test's own end. */
export const never: AbortSignal = new AbortController().signal;

export const delivery = "warehouse";

export const items: TableName = { schema: "shop", table: "items" };

const int64: Pick<Column, "type" | "native"> = { type: { kind: "int64" }, native: { name: "int8" } };
const int32: Pick<Column, "type" | "native"> = { type: { kind: "int32" }, native: { name: "int4" } };
const text: Pick<Column, "type" | "native"> = { type: { kind: "string" }, native: { name: "text" } };

/** `id, name, quantity, note`, keyed by `id`. */
export const itemsSchema: TableSchema = {
  name: { schema: "public", table: "items" },
  columns: [
    { name: "id", ...int64, nullable: false },
    { name: "name", ...text, nullable: true },
    { name: "quantity", ...int32, nullable: true },
    { name: "note", ...text, nullable: true },
  ],
  key: [0],
};

/** The same with one more column. */
export const itemsSchema2: TableSchema = {
  ...itemsSchema,
  columns: [...itemsSchema.columns, { name: "colour", ...text, nullable: true }],
};

export function item(id: number, name: string | null, quantity: number | null = 1, note: string | null = null): Row {
  return [id, name, quantity, note];
}

export interface Changes {
  readonly target?: TableName;
  readonly schema?: TableSchema;
  readonly deletes?: Rows;
  readonly upserts?: Rows;
  readonly partials?: readonly PartialUpdate[];
  readonly quarantine?: readonly QuarantineEntry[];
  readonly rereadsDone?: readonly RereadRequest[];
}

/** A unit of one partition that goes `steps` offsets on. */
export function unitOf(taken: Claim, changes: Changes, steps = 1n): ApplyUnit {
  const { topic, partition, epoch, next } = taken;
  const progress: PartitionProgress = { topic, partition, epoch, loaded: next, next: next + steps };
  const { target = items, schema = itemsSchema, deletes = [], upserts = [], partials = [] } = changes;
  const isEmpty = deletes.length + upserts.length + partials.length === 0;
  return {
    partitions: [progress],
    tables: isEmpty ? [] : [{ target, schema, deletes, upserts, partials }],
    quarantine: changes.quarantine ?? [],
    rereadsDone: changes.rereadsDone ?? [],
  };
}

/** The claim after its unit was applied. */
export function advanced(taken: Claim, steps = 1n): Claim {
  return { ...taken, next: taken.next + steps };
}

export async function prepare(
  sink: Sink,
  schema: TableSchema = itemsSchema,
  target: TableName = items,
  strategy: TableExistsStrategy = "fail",
): Promise<void> {
  await sink.prepare(delivery, { target, schema, strategy }, never);
}

export async function claim(sink: Sink, topic = "shop.items", partition = 0, start = 0n): Promise<Claim> {
  const [taken] = await sink.claim(delivery, [{ topic, partition, topicEpoch: 1, start }], never);
  if (taken === undefined) throw new Error("no claim");
  return taken;
}

export async function apply(sink: Sink, unit: ApplyUnit): Promise<ApplyOutcome> {
  return sink.apply(delivery, unit, never);
}

/** Applies until no transient trouble is left, as the delivery runtime does. */
export async function applyPatiently(sink: Sink, unit: ApplyUnit): Promise<ApplyOutcome> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await apply(sink, unit);
    } catch (error) {
      if (attempt === 100) throw error;
      await delay(20);
    }
  }
}

export function entry(taken: Claim, key: string, changes: Partial<QuarantineEntry> = {}): QuarantineEntry {
  return {
    topic: taken.topic,
    partition: taken.partition,
    offset: taken.next,
    target: items,
    key: Buffer.from(key),
    keyText: `id=${key}`,
    value: Buffer.from([0, 255, 34, 92]),
    headers: { "datatrace.text.name": 'quo"te, \\ and \u2028' },
    code: "sink.row_rejected",
    detail: "sqlstate=23514",
    state: "parked",
    ...changes,
  };
}
