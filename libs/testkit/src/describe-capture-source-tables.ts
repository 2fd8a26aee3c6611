import { UNCHANGED } from "@datatrace/core";
import type { TableSchema } from "@datatrace/core";
import { expect, test } from "vitest";
import type { CaptureHarness } from "./capture-harness.ts";
import { CaptureReader, captureDeadlineMs, eventsOf, rowText, startCapture } from "./capture-reader.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);

/** A text that no database packs into its row. */
const large = Array.from({ length: 20_000 }, (_, index) => ((index * 7_919) % 36).toString(36)).join("");

/** What a change carries, how tables change their shape, and what is left when a capture is removed. */
export function describeCaptureSourceTables(harness: CaptureHarness): void {
  test("tables are listed and described; one that does not exist is refused with a suggestion", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY, name varchar(20) NOT NULL, amount integer)");
    await using source = bed.openSource();
    expect(await source.listTables(signal())).toEqual([bed.nameOf("items")]);
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    expect(description?.findings).toEqual([]);
    expect(description?.schema).toMatchObject({
      name: bed.nameOf("items"),
      key: [0],
      columns: [
        { name: "id", type: { kind: "int32" }, nullable: false },
        { name: "name", type: { kind: "string", length: 20 }, nullable: false },
        { name: "amount", type: { kind: "int32" }, nullable: true },
      ],
    });
    const error = await source.describeTables([bed.nameOf("item")], signal()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "source.table_missing" });
    expect(String(error)).toContain("items");
    const findings = await source.inspect([bed.nameOf("item")], signal());
    expect(findings).toContainEqual(expect.objectContaining({ severity: "error", code: "source.table_missing" }));
  });

  test("a healthy source has no finding that would stop a run", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const findings = await source.inspect([bed.nameOf("items")], signal());
    expect(findings.filter((finding) => finding.severity === "error")).toEqual([]);
    expect(await bed.leftovers()).toEqual([]);
  });

  test("a table without a key is refused, the others are not", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run("CREATE TABLE keyless (id integer)");
    await using source = bed.openSource();
    const tables = ["items", "keyless"].map((table) => bed.nameOf(table));
    const described = await source.describeTables(tables, signal());
    expect(described.map(({ findings }) => findings.map(({ severity, code }) => [severity, code]))).toEqual([
      [],
      [["error", "source.table_without_key"]],
    ]);
  });

  test("a change of the key carries the old one, another change does not", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (a integer, b integer, name varchar(100), PRIMARY KEY (a, b))");
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    for (const sql of [
      "INSERT INTO items VALUES (1, 1, 'x')",
      "UPDATE items SET name = 'y'",
      "UPDATE items SET b = 2",
      "UPDATE items SET a = a",
      "DELETE FROM items",
    ]) {
      await user.run(sql);
    }
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const lines = eventsOf(await reader.untilWatermark("end")).flatMap((event) => {
      if (event.kind === "update")
        return [`${event.oldKey === null ? "" : rowText(event.oldKey.slice(0, 2))} > ${rowText(event.after)}`];
      if (event.kind === "delete") return [`gone ${rowText(event.before.slice(0, 2))}`];
      return [];
    });
    expect(lines).toEqual([" > 1|1|y", "1|1 > 1|2|y", " > 1|2|y", "gone 1|2"]);
  });

  test("a large value that an update did not touch is whole or `UNCHANGED`, never something else", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run(`CREATE TABLE items (id integer PRIMARY KEY, body ${bed.largeText}, amount integer)`);
    await using source = bed.openSource();
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await user.run(`INSERT INTO items VALUES (1, '${large}', 0)`);
    await user.run("UPDATE items SET amount = 1");
    await user.run("UPDATE items SET id = 2");
    await user.run("UPDATE items SET body = 'small'");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, schemas);
    const bodies = eventsOf(await reader.untilWatermark("end")).flatMap((event) =>
      event.kind === "insert" || event.kind === "update" ? [event.after[1]] : [],
    );
    expect(bodies).toHaveLength(4);
    expect(bodies[0]).toBe(large);
    expect(bodies.slice(1, 3).every((body) => body === UNCHANGED || body === large)).toBe(true);
    expect(bodies[3]).toBe("small");
  });

  test("tables join and leave a running stream; the answer names those that joined", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await user.run("CREATE TABLE others (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    const [one, other] = [bed.nameOf("items"), bed.nameOf("others")];
    expect(await source.publish([one], signal())).toEqual([one]);
    const { position } = await source.createStream(signal());
    await using reader = new CaptureReader(source, position);
    await user.run("INSERT INTO others VALUES (1)");
    expect(await source.publish([one, other], signal())).toEqual([other]);
    await user.run("INSERT INTO others VALUES (2)");
    expect(await source.publish([other], signal())).toEqual([]);
    await user.run("INSERT INTO items VALUES (3)");
    await user.run("INSERT INTO others VALUES (4)");
    await source.writeWatermark("end", signal());
    const events = eventsOf(await reader.untilWatermark("end"));
    const rows = events.flatMap((event) =>
      event.kind === "insert" ? [`${event.schema.name.table} ${rowText(event.after)}`] : [],
    );
    expect(rows).toEqual(["others 2", "others 4"]);
    expect(events.filter((event) => event.kind === "table-lost")).toEqual([]);
  });

  test("I3: a table joins only when every transaction that had written it has ended", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await using writer = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using source = bed.openSource();
    await source.publish([], signal());
    const { position } = await source.createStream(signal());
    await writer.run("BEGIN");
    await writer.run("INSERT INTO items VALUES (1)");
    let joined = false;
    const publishing = source.publish([bed.nameOf("items")], signal()).then((added) => {
      joined = true;
      return added;
    });
    // Time for the table to join, if it did not wait.
    for (let beat = 0; beat < 3; beat += 1) await source.writeWatermark(`beat ${beat}`, signal());
    expect(joined).toBe(false);
    await writer.run("COMMIT");
    expect(await publishing).toEqual([bed.nameOf("items")]);
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    const chunk = await source.readChunk(
      description?.schema as TableSchema,
      { after: null, upTo: null },
      null,
      signal(),
    );
    await user.run("INSERT INTO items VALUES (2)");
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position);
    const events = eventsOf(await reader.untilWatermark("end"));
    const streamed = events.flatMap((event) => (event.kind === "insert" ? [rowText(event.after)] : []));
    expect([...chunk.rows.map((row) => rowText(row)), ...streamed]).toEqual(["1", "2"]);
  });

  test("decommission removes all that was made, and nothing else", async () => {
    await using bed = await harness.makeBed();
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id integer PRIMARY KEY)");
    await using other = bed.openSource({ capture: "other" });
    await startCapture(other, [bed.nameOf("items")]);
    const before = await bed.leftovers();
    expect(before).not.toEqual([]);
    await using source = bed.openSource({ capture: "one" });
    expect(await source.decommission(true, signal())).toEqual([]);
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    await using reader = new CaptureReader(source, position, schemas);
    const reading = reader.next().catch((reason: unknown) => reason);
    const made = await bed.leftovers();
    const told = await source.decommission(false, signal());
    expect(told).toHaveLength(made.length - before.length);
    expect(await bed.leftovers()).toEqual(made);
    expect(await source.decommission(true, signal())).toEqual(told);
    expect(await bed.leftovers()).toEqual(before);
    expect(await reading).toMatchObject({ name: "DataTraceError" });
    expect(await source.decommission(true, signal())).toEqual([]);
    expect(await source.identity(signal())).toBe(await other.identity(signal()));
  });
}
