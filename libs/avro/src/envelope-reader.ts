import {
  headers as headerNames,
  type LogHeaders,
  type Row,
  type TableSchema,
  UNCHANGED,
  type Value,
} from "@datatrace/core";
import type { AvroField, AvroNode } from "./avro-schema.ts";
import { type ByteReader, CorruptBytes } from "./byte-reader.ts";
import { cellReader } from "./cell-reader.ts";
import { withoutNull } from "./column-type.ts";
import type { Operation } from "./event-encoder.ts";
import { type ReadEnvelope, type ReadKey, readEnvelope, tableOf } from "./read-schemas.ts";
import { AbsentCells, CellsReader } from "./row-reader.ts";
import { skipper } from "./skip.ts";
import { UnavailableCells } from "./unavailable-cells.ts";

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
  /** `after` has `UNCHANGED` cells: the source left these columns out. */
  readonly partial: boolean;
  /** Commit time at the source, in microseconds since the epoch. */
  readonly tsUs: number;
  readonly txId: number | bigint | null;
  readonly lsn: number | bigint | null;
  /** `source.snapshot`: `false` for the stream. */
  readonly snapshot: string;
  /** The header of that name, or null. */
  readonly rFollows: string | null;
}

interface Draft {
  op: string;
  beforeAt: number;
  after: Value[] | null;
  tsMs: Value;
  tsUs: Value;
  txId: Value;
  lsn: Value;
  snapshot: Value;
}

type Step = (reader: ByteReader, draft: Draft) => void;

/** Reads envelopes of one writer's schema. */
export class EnvelopeReader {
  readonly #schemas: ReadEnvelope;
  readonly #row: CellsReader;
  readonly #absent: AbsentCells;
  readonly #unavailable: UnavailableCells | null;
  readonly #steps: readonly Step[];
  readonly #withBefore: boolean;
  readonly #tables = new Map<ReadKey | null, TableSchema>();

  constructor(schemaText: string, withBefore: boolean) {
    this.#schemas = readEnvelope(schemaText);
    this.#withBefore = withBefore;
    this.#row = new CellsReader(this.#schemas.value.fields, this.#schemas.columns);
    this.#absent = new AbsentCells(this.#schemas.columns);
    const isOwn = this.#schemas.columns.every(({ own }) => own);
    this.#unavailable = isOwn ? null : new UnavailableCells(this.#schemas.columns);
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

  /** @throws CorruptBytes */
  read(reader: ByteReader, schema: TableSchema, key: Row, headers: LogHeaders): ChangeEvent {
    const draft: Draft = {
      op: "",
      beforeAt: -1,
      after: null,
      tsMs: null,
      tsUs: null,
      txId: null,
      lsn: null,
      snapshot: null,
    };
    const steps = this.#steps;
    for (let i = 0; i < steps.length; i += 1) (steps[i] as Step)(reader, draft);
    reader.finish();
    const { op, after } = draft;
    if (op !== "c" && op !== "u" && op !== "d" && op !== "r") throw new UnknownOperation(op);
    const before = this.#before(reader, draft, op);
    const row = op === "d" ? before : after;
    if (row === null || (op === "d") !== (after === null)) throw new CorruptBytes("a row is missing");
    this.#absent.restore(headers, row, before);
    // I6: an insert and a snapshot row hold every column, whatever it looks like; the new row of a key change may not.
    const isChanged = op === "u" || (op === "c" && headers[headerNames.oldKey] !== undefined);
    if (isChanged) this.#unavailable?.mark(row, schema.key);
    return {
      kind: "change",
      op,
      schema,
      key,
      before,
      after,
      partial: after !== null && mayBePartial(this.#unavailable, headers) && after.includes(UNCHANGED),
      tsUs: draft.tsUs === null ? Number(draft.tsMs) * 1000 : Number(draft.tsUs),
      txId: integerOf(draft.txId),
      lsn: integerOf(draft.lsn),
      snapshot: typeof draft.snapshot === "string" ? draft.snapshot : "false",
      rFollows: headers[headerNames.rFollows] ?? null,
    };
  }

  /** The old row is passed over at first: whether it is wanted is known only at the end of the envelope. */
  #before(reader: ByteReader, { beforeAt }: Draft, op: Operation): Value[] | null {
    if (beforeAt < 0 || (op !== "d" && !this.#withBefore)) return null;
    reader.at = beforeAt;
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
        const row = this.#row;
        const rowBranch = rowBranchOf(node);
        return (reader, draft) => {
          if (reader.int() === rowBranch) draft.after = row.read(reader);
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

/** Most rows are whole: they are not looked through for nothing. */
function mayBePartial(unavailable: UnavailableCells | null, headers: LogHeaders): boolean {
  return unavailable !== null || headers[headerNames.unchanged] !== undefined;
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
