import type {
  CaptureSource,
  Position,
  Row,
  RowChange,
  SourceBatch,
  SourceEvent,
  TableName,
  TableSchema,
  Value,
} from "@datatrace/core";
import { SourceText, UNCHANGED } from "@datatrace/core";
import { waitFor } from "./wait-for.ts";

/** No wait of a test may be longer. */
export const captureDeadlineMs = 30_000;

/** A stream that a test pulls step by step. Every wait ends at the deadline. */
export class CaptureReader implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #batches: AsyncIterator<SourceBatch>;
  readonly #deadline: NodeJS.Timeout;

  constructor(source: CaptureSource, from: Position, known: readonly TableSchema[] = []) {
    this.#deadline = setTimeout(
      () => this.#abort.abort(new Error("the stream did not bring in time what was waited for")),
      captureDeadlineMs,
    );
    this.#batches = source.changes(from, known, this.#abort.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<SourceBatch> {
    const { value, done } = await this.#batches.next();
    if (done === true) throw new Error("the stream has ended");
    return value;
  }

  /** Batches up to the first that holds what is looked for. */
  async until(found: (batch: SourceBatch) => boolean): Promise<readonly SourceBatch[]> {
    const batches: SourceBatch[] = [];
    for (;;) {
      const batch = await this.next();
      batches.push(batch);
      if (found(batch)) return batches;
    }
  }

  /** Batches up to this watermark's, inclusive. */
  async untilWatermark(id: string): Promise<readonly SourceBatch[]> {
    return await this.until(({ events }) => events.some((event) => event.kind === "watermark" && event.id === id));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#deadline);
    this.#abort.abort(new Error("the test closed the stream"));
    await this.#batches.return?.();
  }
}

export function eventsOf(batches: readonly SourceBatch[]): readonly SourceEvent[] {
  return batches.flatMap((batch) => batch.events);
}

export function isRowChange(event: SourceEvent): event is RowChange {
  return event.kind === "insert" || event.kind === "update" || event.kind === "delete";
}

/** A transaction as a test expects it: one line per change. */
export type SeenTransaction = readonly string[];

/**
 * Whole transactions, each change as a line: `items + 1|ann|10`, `items ~ …` with `(key)` before it when the key changed,
 * `items - 1`. A stream that went on inside a transaction says `begin` again, which is left out.
 */
export function transactionsOf(events: readonly SourceEvent[]): readonly SeenTransaction[] {
  const all: string[][] = [];
  let open: { readonly txId: bigint; readonly lines: string[] } | null = null;
  for (const event of events) {
    if (event.kind === "begin") {
      if (open !== null && open.txId !== event.txId) throw new Error("a transaction began inside of another");
      open ??= { txId: event.txId, lines: [] };
    } else if (event.kind === "commit") {
      if (open?.txId !== event.txId) throw new Error("a commit without its begin");
      all.push(open.lines);
      open = null;
    } else if (event.kind === "watermark") {
      if (open === null) throw new Error("a watermark outside of a transaction");
      open.lines.push(`watermark ${event.id}`);
    } else if (event.kind === "truncate") {
      open?.lines.push(`truncate ${event.tables.map((table) => table.table).join(" ")}`);
    } else if (isRowChange(event)) {
      if (open === null) throw new Error("a change outside of a transaction");
      open.lines.push(changeLine(event));
    }
  }
  if (open !== null) all.push([...open.lines, "…"]);
  return all;
}

function changeLine(change: RowChange): string {
  const { table } = change.schema.name;
  switch (change.kind) {
    case "insert":
      return `${table} + ${rowText(change.after)}`;
    case "update": {
      const key = change.oldKey === null ? "" : `(${rowText(keyOf(change.schema, change.oldKey))}) `;
      return `${table} ~ ${key}${rowText(change.after)}`;
    }
    case "delete":
      return `${table} - ${rowText(keyOf(change.schema, change.before))}`;
  }
  throw new Error("a change of no kind");
}

/** Cells of the key, in key order. */
export function keyOf(schema: TableSchema, row: Row): Row {
  return schema.key.map((index) => row[index] ?? null);
}

export function rowText(row: Row): string {
  return row.map((value) => valueText(value)).join("|");
}

function valueText(value: Value): string {
  if (value === UNCHANGED) return "unchanged";
  if (value instanceof SourceText) return `text ${value.text}`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return `[${value.map((item: Value) => valueText(item)).join(",")}]`;
  return value === null ? "null" : (value as string | number | bigint | boolean).toString();
}

/** A source made ready in the order that the runtime keeps: publication, stream, first position. */
export async function startCapture(
  source: CaptureSource,
  tables: readonly TableName[],
  signal: AbortSignal = AbortSignal.timeout(captureDeadlineMs),
): Promise<{
  readonly position: Position;
  readonly unseen: readonly bigint[];
  readonly schemas: readonly TableSchema[];
}> {
  await source.publish(tables, signal);
  const { position, unseen } = await source.createStream(signal);
  const described = await source.describeTables(tables, signal);
  return { position, unseen, schemas: described.map(({ schema }) => schema) };
}

/** Changes without transactions around them: batches may end anywhere. */
export function changeLines(batches: readonly SourceBatch[]): readonly string[] {
  return transactionsOf(eventsOf(batches))
    .flat()
    .filter((line) => line !== "…" && !line.startsWith("watermark"));
}

/** The batch has the end of a transaction. */
export function isCommit({ events }: SourceBatch): boolean {
  return events.some((event) => event.kind === "commit");
}

/** Acknowledges, and waits until the source has it: answers what it has. */
export async function acknowledged(source: CaptureSource, position: Position): Promise<Position | null> {
  source.acknowledge(position);
  return await waitFor(
    async () => {
      const { acknowledged: now } = await source.stream(AbortSignal.timeout(captureDeadlineMs));
      return now === position && now;
    },
    { deadlineMs: captureDeadlineMs, what: "the acknowledgement to arrive" },
  );
}
