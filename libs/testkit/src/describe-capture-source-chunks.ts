import type { CaptureSource, KeyRange, Row, RowChange, SourceEvent, TableSchema } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import {
  CaptureReader,
  captureDeadlineMs,
  eventsOf,
  isRowChange,
  keyOf,
  rowText,
  startCapture,
  transactionsOf,
} from "./capture-reader.ts";
import { CaptureWorkload, createWorkloadTables, workloadTables } from "./capture-workload.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

/** Rows as they are, read in pieces while they change. */
export function describeCaptureSourceChunks(harness: CaptureHarness): void {
  test.each([1, 2, 7, 1_000])("ranges of about %i rows cover every key once", async (chunkRows) => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (a integer, b varchar(20), amount integer, PRIMARY KEY (b, a))");
    const rows = Array.from({ length: 23 }, (_, index) => [index - 11, `k${index % 4}`, index] as const);
    for (const [a, b, amount] of rows) await user.run(`INSERT INTO items VALUES (${a}, '${b}', ${amount})`);
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const schema = description?.schema as TableSchema;
    const chunks = await readAll(source, schema, null, chunkRows);
    expect(
      chunks
        .flat()
        .map((row) => rowText(row))
        .toSorted(),
    ).toEqual(rows.map((row) => rowText(row)).toSorted());
    const sizes = chunks.map((chunk) => chunk.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(chunkRows);
    // Every range but the last is full.
    expect(sizes.slice(0, -1).every((size) => size === chunkRows)).toBe(true);
    // From the middle on: what lies behind that key, and nothing else.
    const ordered = chunks.flat();
    const middle = ordered[Math.floor(ordered.length / 2)] ?? [];
    const rest = (await readAll(source, schema, keyOf(schema, middle), chunkRows)).flat();
    const before = ordered.filter((row) => !rest.some((other) => rowText(other) === rowText(row)));
    expect(before.length + rest.length).toBe(rows.length);
    expect(before.map((row) => rowText(row))).toContain(rowText(middle));
  });

  test("an empty table is one range without rows", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const schema = description?.schema as TableSchema;
    expect(await rangesOf(source, schema, null, 10)).toEqual([{ after: null, upTo: null }]);
    expect((await source.readChunk(schema, { after: null, upTo: null }, null, signal())).rows).toEqual([]);
  });

  test("a chunk can be only the rows where a column is not null", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(100))");
    await user.run("INSERT INTO items VALUES (1, NULL), (2, 'two'), (3, NULL), (4, 'four')");
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const schema = description?.schema as TableSchema;
    const chunk = await source.readChunk(schema, { after: [1], upTo: [4] }, "name", signal());
    expect(chunk.rows.map((row) => rowText(row)).toSorted()).toEqual(["2|two", "4|four"]);
    expect(chunk.schema).toBe(schema);
  });

  test("keys are read in one snapshot, and those that are gone are left out", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (a integer, b varchar(20), PRIMARY KEY (a, b))");
    await user.run("INSERT INTO items VALUES (1, 'x'), (1, 'y'), (2, 'it''s'), (3, 'back\\slash')");
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const schema = description?.schema as TableSchema;
    const keys: readonly Row[] = [
      [1, "y"],
      [2, "it's"],
      [3, "back\\slash"],
      [9, "x"],
    ];
    const chunk = await source.readKeys(schema, keys, signal());
    expect(chunk.rows.map((row) => rowText(row)).toSorted()).toEqual(["1|y", "2|it's", "3|back\\slash"]);
    const many = Array.from({ length: 1_500 }, (_, index): Row => [index, "x"]);
    expect((await source.readKeys(schema, many, signal())).rows.map((row) => rowText(row))).toEqual(["1|x"]);
  });

  test.each([11, 12])(
    "I3: chunks read among writers, with the changes of the stream laid over them, give the table (seed %i)",
    { timeout: 2 * captureDeadlineMs },
    async (seed) => {
      await using bed = await harness.makeBed();
      await using user = await bed.connect();
      await createWorkloadTables(user);
      await using source = bed.openSource({ tuning: { maxEvents: 20 } });
      await using workload = await CaptureWorkload.start(bed, seed);
      // Rows of before the stream: only chunks can bring them.
      await workload.run(300);
      await workload.settle();
      const { position, schemas } = await startCapture(
        source,
        workloadTables.map((table) => bed.nameOf(table)),
      );
      await using reader = new CaptureReader(source, position, schemas);
      const copy = new Replica(reader);
      for (const schema of schemas) {
        for (const range of await rangesOf(source, schema, null, 5)) {
          await copy.readChunk(source, schema, range, () => workload.run(8));
        }
      }
      await workload.run(50);
      await workload.settle();
      await source.writeWatermark("end", signal());
      await copy.follow("end");
      expect(workloadTables.map((table) => copy.rows(table))).toEqual(
        workloadTables.map((table) => workload.rows(table)),
      );
    },
  );

  test("a watermark comes behind what was committed before it, and before what is committed after", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run("INSERT INTO items VALUES (1)");
    await source.writeWatermark("one", signal());
    await user.run("INSERT INTO items VALUES (2)");
    await source.writeWatermark('it\'s two; "quoted"', signal());
    await user.run("INSERT INTO items VALUES (3)");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    expect(transactionsOf(eventsOf(await reader.untilWatermark("end")))).toEqual([
      ["items + 1"],
      ["watermark one"],
      ["items + 2"],
      ['watermark it\'s two; "quoted"'],
      ["items + 3"],
      ["watermark end"],
    ]);
  });

  test("a chunk sees exactly the transactions that its view says", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await using other = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const { position, schemas, unseen } = await startCapture(source, [bed.nameOf("items")]);
    expect(unseen).toEqual([]);
    const schema = schemas[0] as TableSchema;
    await user.run("INSERT INTO items VALUES (1)");
    await other.run("BEGIN");
    await other.run("INSERT INTO items VALUES (2)");
    await user.run("INSERT INTO items VALUES (3)");
    const chunk = await source.readChunk(schema, { after: null, upTo: null }, null, signal());
    const now = await source.currentView(signal());
    await other.run("COMMIT");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const rows = new Set(chunk.rows.map((row) => rowText(row)));
    const later = await source.currentView(signal());
    let txId = 0n;
    const compared: [boolean, boolean, boolean, boolean][] = [];
    for (const event of eventsOf(await reader.untilWatermark("end"))) {
      if (event.kind === "begin") ({ txId } = event);
      if (event.kind !== "insert") continue;
      compared.push([rows.has(rowText(event.after)), chunk.view.sees(txId), now.sees(txId), later.sees(txId)]);
    }
    // In commit order: 1, 3, and 2, which was open when the chunk was read.
    expect(compared).toEqual([
      [true, true, true, true],
      [true, true, true, true],
      [false, false, false, true],
    ]);
  });

  test("several chunks can be read at once", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run(`INSERT INTO items VALUES ${Array.from({ length: 100 }, (_, id) => `(${id})`).join(",")}`);
    await using source = bed.openSource();
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const schema = description?.schema as TableSchema;
    const ranges = await rangesOf(source, schema, null, 9);
    const chunks = await Promise.all(ranges.map((range) => source.readChunk(schema, range, null, signal())));
    const keys = chunks.flatMap((chunk) => chunk.rows.map((row) => Number(row[0])));
    expect(keys.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 100 }, (_, id) => id));
  });
}

async function rangesOf(
  source: CaptureSource,
  schema: TableSchema,
  after: Row | null,
  rows: number,
): Promise<KeyRange[]> {
  const ranges: KeyRange[] = [];
  for await (const range of source.planChunks(schema, after, rows, signal())) ranges.push(range);
  return ranges;
}

async function readAll(source: CaptureSource, schema: TableSchema, after: Row | null, rows: number): Promise<Row[][]> {
  const chunks: Row[][] = [];
  for (const range of await rangesOf(source, schema, after, rows)) {
    chunks.push([...(await source.readChunk(schema, range, null, signal())).rows]);
  }
  return chunks;
}

/**
 * The window of the snapshot, in its plainest form: a chunk lies between two watermarks, what the stream brings between
 * them wins, and the chunk waits until its snapshot sees all that came before the first.
 */
class Replica {
  readonly #reader: CaptureReader;
  readonly #tables = new Map<string, Map<string, string>>();
  readonly #delivered = new Set<bigint>();
  /** Read from the stream and not yet taken. */
  readonly #waiting: SourceEvent[] = [];
  #number = 0;

  constructor(reader: CaptureReader) {
    this.#reader = reader;
  }

  async readChunk(
    source: CaptureSource,
    schema: TableSchema,
    range: KeyRange,
    meanwhile: () => Promise<void>,
  ): Promise<void> {
    for (;;) {
      this.#number += 1;
      const [low, high] = [`low ${this.#number}`, `high ${this.#number}`];
      await source.writeWatermark(low, signal());
      await meanwhile();
      const chunk = await source.readChunk(schema, range, null, signal());
      await meanwhile();
      await source.writeWatermark(high, signal());
      await this.follow(low);
      const isStale = [...this.#delivered].some((txId) => !chunk.view.sees(txId));
      const touched = await this.follow(high);
      if (isStale) continue;
      const rows = this.#table(schema.name.table);
      for (const row of chunk.rows) {
        const key = rowText(keyOf(schema, row));
        if (!touched.has(`${schema.name.table} ${key}`)) rows.set(key, rowText(row));
      }
      return;
    }
  }

  /** Takes in what comes up to this watermark; answers the keys that were touched. */
  async follow(watermark: string): Promise<ReadonlySet<string>> {
    const touched = new Set<string>();
    for (;;) {
      const event = this.#waiting.shift();
      if (event === undefined) this.#waiting.push(...(await this.#reader.next()).events);
      else if (event.kind === "watermark" && event.id === watermark) return touched;
      else if (event.kind === "commit") this.#delivered.add(event.txId);
      else if (isRowChange(event)) this.#apply(event, touched);
    }
  }

  rows(table: string): readonly string[] {
    const rows = [...this.#table(table)].toSorted(([one], [other]) => Number(one) - Number(other));
    return rows.map(([, row]) => row);
  }

  #apply(change: RowChange, touched: Set<string>): void {
    const { schema } = change;
    const rows = this.#table(schema.name.table);
    const touch = (row: Row): string => {
      const key = rowText(keyOf(schema, row));
      touched.add(`${schema.name.table} ${key}`);
      return key;
    };
    if (change.kind === "delete") rows.delete(touch(change.before));
    else if (change.kind === "update") rows.delete(touch(change.oldKey ?? change.after));
    if (change.kind !== "delete") rows.set(touch(change.after), rowText(change.after));
  }

  #table(name: string): Map<string, string> {
    const rows = this.#tables.get(name) ?? new Map<string, string>();
    this.#tables.set(name, rows);
    return rows;
  }
}
