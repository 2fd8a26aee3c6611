import { positionTopic } from "@datatrace/core";
import { openSqliteEventLog } from "@datatrace/event-log-sqlite";
import { startPostgres, TcpProxy, testPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer, TestPostgres } from "@datatrace/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PipelineBed, printed } from "./pipeline-bed.ts";

const planted = "planted-s3cret";

let server: TestPostgres;
let targets: PostgresServer;

beforeAll(async () => {
  [server, targets] = await Promise.all([testPostgres(18), startPostgres({ major: 18 })]);
});

afterAll(async () => {
  await Promise.all([server[Symbol.asyncDispose](), targets[Symbol.asyncDispose]()]);
});

const items = `CREATE TABLE items (id int PRIMARY KEY, note text);
  INSERT INTO items SELECT g, 'n' || g FROM generate_series(1, 200) g`;
const others = `CREATE TABLE others (id int PRIMARY KEY, note text);
  INSERT INTO others SELECT g, 'o' || g FROM generate_series(1, 100) g`;
const allItems = "SELECT * FROM items ORDER BY id";
const allOthers = "SELECT * FROM others ORDER BY id";

test("a dead target: said with code and fix, retried for ever; nothing is lost. --until-caught-up gives up", async () => {
  await using bed = await PipelineBed.open({ name: "dead_target" }, server, targets);
  await bed.source.query(items);
  await using proxy = await TcpProxy.start(targets.port);
  await proxy.refuse();
  const through = new URL(proxy.through(bed.targetUrl));
  through.password = planted;
  bed.set("TARGET_URL", through.href);
  const waits = bed.start("run", "--until-caught-up");
  await waits.exits(1, 90_000);
  expect(waits.records).toContainEqual(
    expect.objectContaining({
      event: "error",
      code: "sink.connection_lost",
      message: expect.stringContaining("delivery all to warehouse"),
    }),
  );
  const run = bed.start("run");
  await run.line("log", { level: "warn", event: "delivery is held up, tries again", code: "sink.connection_lost" });
  await bed.source.query("INSERT INTO items VALUES (1000, 'while it is dead')");
  expect(run.running).toBe(true);
  await proxy.accept();
  await bed.equal(allItems);
  for (const process of [waits, run]) expect(process.output).not.toContain(planted);
});

test("I6, I8: a value that the target cannot hold is put into quarantine, by its key; the rest is delivered", async () => {
  await using bed = await PipelineBed.open(
    { name: "refused", sync: ["table_exists_strategy: append"] },
    server,
    targets,
  );
  await bed.source.query(`${items}; ${others}`);
  await bed.target.query("CREATE TABLE items (id int PRIMARY KEY, note text CHECK (length(note) < 10))");
  await bed.source.query(`UPDATE items SET note = '${planted} too long' WHERE id = 7`);
  const run = bed.start("run", "--until-caught-up", "--log-level", "debug");
  await run.exits(1);
  expect(run.records).toContainEqual(
    expect.objectContaining({ event: "error", code: "sink.row_rejected", fix: expect.stringContaining("quarantine") }),
  );
  expect(run.output).not.toContain(planted);
  expect(await printed(bed.target, allOthers)).toBe(await printed(bed.source, allOthers));
  expect(await printed(bed.target, "SELECT count(*) FROM items")).toBe("199");
  const entries = "SELECT target_table, code, state FROM datatrace._datatrace_quarantine";
  expect(await printed(bed.target, entries)).toContain("sink.row_rejected");
  const status = bed.start("status");
  await status.exits(0);
  expect(status.records.at(-1)).toMatchObject({ deliveries: [{ parkedKeys: 1 }] });
});

test("error_strategy pause stops before the row, and goes on from it once the target is corrected", async () => {
  const sync = ["table_exists_strategy: append", "error_strategy: pause"];
  await using bed = await PipelineBed.open({ name: "paused", sync }, server, targets);
  await bed.source.query(items);
  await bed.target.query("CREATE TABLE items (id int PRIMARY KEY, note text CHECK (length(note) < 10))");
  await bed.source.query(`UPDATE items SET note = '${planted} too long' WHERE id = 7`);
  const run = bed.start("run");
  await run.exits(1);
  const [error] = run.records.filter(({ event }) => event === "error");
  expect(error).toMatchObject({
    code: "sink.row_rejected",
    at: "delivery all to warehouse",
    fix: expect.stringMatching(/./),
  });
  expect(run.output).not.toContain(planted);
  await bed.target.query("ALTER TABLE items DROP CONSTRAINT items_note_check");
  const again = bed.start("run", "--until-caught-up");
  await again.exits(0);
  expect(await printed(bed.target, allItems)).toBe(await printed(bed.source, allItems));
});

test("a target table that is there already stops that table before anything is written", async () => {
  await using bed = await PipelineBed.open({ name: "exists" }, server, targets);
  await bed.source.query(`${items}; ${others}`);
  await bed.target.query("CREATE TABLE items (id int PRIMARY KEY, mine text)");
  const run = bed.start("run", "--until-caught-up");
  await run.exits(1);
  expect(run.records).toContainEqual(
    expect.objectContaining({ event: "error", code: "sink.table_exists", at: "public.items to warehouse" }),
  );
  expect(await printed(bed.target, allOthers)).toBe(await printed(bed.source, allOthers));
  expect(await printed(bed.target, "SELECT count(*) FROM items")).toBe("0");
});

test("truncated Avro in the log stops its table at that record; what came before and other tables are delivered", async () => {
  await using bed = await PipelineBed.open({ name: "truncated", sync: ["partitions: 1"] }, server, targets);
  await bed.source.query(`${items}; ${others}`);
  const capture = bed.start("run", "--only", "capture", "--until-caught-up");
  await capture.exits(0);
  {
    await using log = await openSqliteEventLog({ directory: `${bed.folder}/datatrace-data` });
    await using writer = await log.openWriter("test");
    const at = { topic: "truncated.public.items", partition: 0 };
    const text = new TextEncoder();
    // The framing of a value whose body ends in the middle.
    await writer.append([
      {
        ...at,
        key: text.encode("key"),
        value: new Uint8Array([0, 0, 0, 0, 2, 2, 14, ...text.encode(planted).subarray(0, 3)]),
      },
    ]);
    expect((await log.bounds({ topic: positionTopic("truncated.shop"), partition: 0 })).end).toBeGreaterThan(0n);
  }
  const sink = bed.start("run", "--only", "sink", "--until-caught-up");
  await sink.exits(1);
  expect(sink.records).toContainEqual(
    expect.objectContaining({
      event: "error",
      code: "log.corrupt",
      at: "public.items to warehouse",
      fix: expect.stringMatching(/./),
    }),
  );
  expect(sink.output).not.toContain(planted.slice(0, 3));
  for (const query of [allItems, allOthers])
    expect(await printed(bed.target, query)).toBe(await printed(bed.source, query));
});

test("a log at its size limit holds capture up, says so, and goes on when it has been worked off; nothing is lost", async () => {
  await using bed = await PipelineBed.open({ name: "full", top: ["log: { max_size: 16MiB }"] }, server, targets);
  await bed.source.query("CREATE TABLE items (id int PRIMARY KEY, note text)");
  const capture = bed.start("run", "--only", "capture");
  await capture.adminUrl();
  for (let from = 0; from < 60_000; from += 6000) {
    await bed.source.query(
      "INSERT INTO items SELECT g, repeat(md5(g::text), 10) FROM generate_series($1::int, $1::int + 5999) g",
      [from],
    );
  }
  await capture.line("log", { level: "warn", code: "log.full" });
  expect(capture.running).toBe(true);
  const sink = bed.start("run", "--only", "sink");
  await bed.equal("SELECT count(*), sum(id), md5(string_agg(note, '' ORDER BY id)) FROM items", 60_000);
  expect(sink.running).toBe(true);
});

test("I7: a disk that takes no more ends the run with a code; with room again nothing is lost", async () => {
  await using bed = await PipelineBed.open({ name: "disk" }, server, targets);
  await bed.source.query("CREATE TABLE items (id int PRIMARY KEY, note text)");
  await bed.source.query("INSERT INTO items SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 20000) g");
  const args = ["run", bed.file, "--json", "--port", "0", "--only", "capture", "--until-caught-up"];
  const run = bed.startPlain(args, [], 2000);
  await waitFor(() => run.output.includes('"log.') || !run.running, {
    deadlineMs: 60_000,
    what: "the disk to be full",
  });
  run.signal("SIGTERM");
  await run.ended;
  const codes = [...run.records, ...run.log].map(({ code }) => code);
  expect(codes.some((code) => code === "log.io_failed" || code === "log.full" || code === "log.commit_unknown")).toBe(
    true,
  );
  const again = bed.start("run", "--until-caught-up");
  await again.exits(0);
  const sum = "SELECT count(*), sum(id), md5(string_agg(note, '' ORDER BY id)) FROM items";
  expect(await printed(bed.target, sum)).toBe(await printed(bed.source, sum));
});
