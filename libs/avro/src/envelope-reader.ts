import { type LogHeaders, headers as headerNames, type Row, type TableSchema, type Value } from "@datatrace/core";
import type { AvroField, AvroNode } from "./avro-schema.ts";
import { type ByteReader, CorruptBytes } from "./byte-reader.ts";
import { cellReader } from "./cell-reader.ts";
import { withoutNull } from "./column-type.ts";
import type { Operation } from "./event-encoder.ts";
import { type ReadEnvelope, type ReadKey, readEnvelope, tableOf } from "./read-schemas.ts";
import { AbsentCells, CellsReader } from "./row-reader.ts";
import { skipper } from "./skip.ts";

/** One change as it stands in the log. */
export interface ChangeEvent {
  readonly kind: "change";
  readonly op: Operation;
  /** The same object for every event written with the same pair of schema ids. Rows are aligned with it. */
  readonly schema: TableSchema;
  /** Cells of the key, in key order; empty for a table without a key. */
  readonly key: Row;
  /** `d`: the old row with at least its key cells. `u`: null unless asked for and known. */
  readonly before: Row | null;
  /** Null exactly for `d`. */
  readonly after: Row | null;
  /** Commit time at the source, in microseconds since the epoch. */
  readonly tsUs: number;
  readonly txId: number | bigint | null;
  readonly lsn: number | bigint | null;
  /** `source.snapshot`: `false` for the stream. */
  readonly snapshot: string;
  /** The header of that name, or null. */
  readonly rFollows: string | null;
}

/** What an envelope says beside its rows, and where those begin in it: -1 for null. */
interface Draft {
  op: string;
  /** Where the row begins that the event is about. */
  rowAt: number;
  beforeAt: number;
  afterAt: number;
  tsMs: Value;
  tsUs: Value;
  txId: Value;
  lsn: Value;
  snapshot: Value;
}

type Step = (reader: ByteReader, draft: Draft) => void;

/** An envelope whose structure was found whole, its rows passed over. */
export type ScannedEnvelope = Readonly<Draft> & { readonly op: Operation };

/** Reads envelopes of one writer's schema. */
export class EnvelopeReader {
  readonly #schemas: ReadEnvelope;
  readonly #row: CellsReader;
  readonly #absent: AbsentCells;
  readonly #steps: readonly Step[];
  readonly #withBefore: boolean;
  readonly #tables = new Map<ReadKey | null, TableSchema>();

  constructor(schemaText: string, withBefore: boolean) {
    this.#schemas = readEnvelope(schemaText);
    this.#withBefore = withBefore;
    this.#row = new CellsReader(this.#schemas.value.fields, this.#schemas.columns);
    this.#absent = new AbsentCells(this.#schemas.columns);
    this.#steps = this.#schemas.envelope.fields.map((field) => this.#step(field));
  }

  /** The table that this envelope and a key describe together. */
  table(key: ReadKey | null): TableSchema {
    let table = this.#tables.get(key);
    if (table === undefined) {
      table = tableOf(key, this.#schemas);
      this.#tables.set(key, table);
    }
    return table;
  }

  /** @throws CorruptBytes, UnknownOperation */
  scan(reader: ByteReader): ScannedEnvelope {
    const draft: Draft = {
      op: "",
      rowAt: -1,
      beforeAt: -1,
      afterAt: -1,
      tsMs: null,
      tsUs: null,
      txId: null,
      lsn: null,
      snapshot: null,
    };
    const steps = this.#steps;
    for (let i = 0; i < steps.length; i += 1) (steps[i] as Step)(reader, draft);
    reader.finish();
    const { op, beforeAt, afterAt } = draft;
    if (op !== "c" && op !== "u" && op !== "d" && op !== "r") throw new UnknownOperation(op);
    draft.rowAt = op === "d" ? beforeAt : afterAt;
    if (draft.rowAt < 0 || (op === "d") !== afterAt < 0) throw new CorruptBytes("a row is missing");
    return draft as ScannedEnvelope;
  }

  /**
   * The row at a place that `scan` found, alone.
   * @throws CorruptBytes
   */
  row(reader: ByteReader, rowAt: number, headers: LogHeaders): Row {
    reader.at = rowAt;
    const row = this.#row.read(reader);
    this.#absent.restore(headers, row, null);
    return row;
  }

  /** @throws CorruptBytes, UnknownOperation */
  read(reader: ByteReader, schema: TableSchema, key: Row, headers: LogHeaders): ChangeEvent {
    const scanned = this.scan(reader);
    const { op, beforeAt, afterAt, txId, lsn, snapshot } = scanned;
    const before = beforeAt < 0 || (op !== "d" && !this.#withBefore) ? null : this.#cells(reader, beforeAt);
    const after = afterAt < 0 ? null : this.#cells(reader, afterAt);
    const row = op === "d" ? before : after;
    if (row !== null) this.#absent.restore(headers, row, before);
    return {
      kind: "change",
      op,
      schema,
      key,
      before,
      after,
      tsUs: commitTsUs(scanned),
      txId: integerOf(txId),
      lsn: integerOf(lsn),
      snapshot: typeof snapshot === "string" ? snapshot : "false",
      rFollows: headers[headerNames.rFollows] ?? null,
    };
  }

  #cells(reader: ByteReader, at: number): Value[] {
    reader.at = at;
    return this.#row.read(reader);
  }

  #step({ name, node }: AvroField): Step {
    switch (name) {
      case "before": {
        const skip = skipper(rowNode(node));
        const rowBranch = rowBranchOf(node);
        return (reader, draft) => {
          if (reader.int() !== rowBranch) return;
          draft.beforeAt = reader.at;
          skip(reader);
        };
      }
      case "after": {
        const skip = skipper(rowNode(node));
        const rowBranch = rowBranchOf(node);
        return (reader, draft) => {
          if (reader.int() !== rowBranch) return;
          draft.afterAt = reader.at;
          skip(reader);
        };
      }
      case "op":
        return (reader, draft) => {
          draft.op = reader.string();
        };
      case "source":
        return sourceStep(node);
      default:
        return skipper(node);
    }
  }
}

/** Commit time in microseconds since the epoch: Debezium before 2.6 gives milliseconds only. */
export function commitTsUs({ tsUs, tsMs }: ScannedEnvelope): number {
  return tsUs === null ? Number(tsMs) * 1000 : Number(tsUs);
}

/** An operation that is not one of a row. */
export class UnknownOperation extends Error {
  readonly op: string;

  constructor(op: string) {
    super("an operation that is not one of a row");
    this.name = "UnknownOperation";
    this.op = op;
  }
}

function rowNode(node: AvroNode): AvroNode {
  return withoutNull(node) ?? node;
}

function rowBranchOf(node: AvroNode): number {
  return node.kind === "union" ? node.branches.findIndex((branch) => branch.kind !== "null") : -1;
}

const sourceFields = new Map<string, readonly [property: "tsMs" | "tsUs" | "txId" | "lsn" | "snapshot", kinds: RegExp]>(
  [
    ["ts_ms", ["tsMs", /^long$/]],
    ["ts_us", ["tsUs", /^long$/]],
    ["txId", ["txId", /^long$/]],
    ["lsn", ["lsn", /^long$/]],
    ["snapshot", ["snapshot", /^string$/]],
  ],
);

function sourceStep(node: AvroNode): Step {
  if (node.kind !== "record") return skipper(node);
  const steps = node.fields.map((field): Step => {
    const wanted = sourceFields.get(field.name);
    const kind = withoutNull(field.node)?.kind ?? "";
    if (wanted === undefined || !wanted[1].test(kind)) return skipper(field.node);
    const [property] = wanted;
    if (property === "snapshot" && field.node.kind === "union") return snapshotStep(field.node.branches);
    const read = cellReader(field.node, { kind: property === "snapshot" ? "string" : "long" });
    return (reader, draft) => {
      draft[property] = read(reader);
    };
  });
  return (reader, draft) => {
    for (let i = 0; i < steps.length; i += 1) (steps[i] as Step)(reader, draft);
  };
}

/** Nearly all events of a batch say the same. */
function snapshotStep(branches: readonly AvroNode[]): Step {
  const textBranch = branches.findIndex((branch) => branch.kind === "string");
  let last = "false";
  return (reader, draft) => {
    const branch = reader.int();
    if (branch === textBranch) {
      last = reader.stringLike(last);
      draft.snapshot = last;
    } else if (branch < 0 || branch >= branches.length) throw new CorruptBytes("a union has no such branch");
  };
}

function integerOf(value: Value): number | bigint | null {
  return typeof value === "number" || typeof value === "bigint" ? value : null;
}
