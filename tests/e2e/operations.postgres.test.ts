import { readdir } from "node:fs/promises";
import { startPostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer, TestPostgres } from "@datatrace/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PipelineBed, printed } from "./pipeline-bed.ts";

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
const all = "SELECT * FROM items ORDER BY id";

/** Everything that somebody could have made in a database, and the slots of the server for it. */
async function catalog(client: Client): Promise<string> {
  const parts = [
    "SELECT n.nspname, c.relname, c.relkind, c.relacl::text, c.reloptions::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2",
    "SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_t' ORDER BY 1",
    "SELECT pubname, puballtables FROM pg_publication ORDER BY 1",
    "SELECT slot_name FROM pg_replication_slots WHERE database = current_database() ORDER BY 1",
    "SELECT tgname, tgrelid::regclass::text FROM pg_trigger ORDER BY 1, 2",
    "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1",
    "SELECT attrelid::regclass::text, attname, atttypid::regtype::text, attnotnull FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND attnum > 0 ORDER BY 1, 2",
  ];
  const found: string[] = [];
  for (const part of parts) found.push(await printed(client, part));
  return found.join("\n--\n");
}

/** The value of a sample line of /metrics; null when there is none. */
async function metric(url: string, name: string, labels: string): Promise<number | null> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${name}{${labels}`));
  return line === undefined ? null : Number(line.split(" ").at(-1));
}

const capture = 'direction="capture",connector="postgres",endpoint="shop",task=""';
const delivery = 'direction="delivery",connector="postgres",endpoint="warehouse",task="all"';

describe("check", () => {
  test("changes nothing, at the source, the target or on disk, and ends with 0 when all is well", async () => {
    await using bed = await PipelineBed.open({ name: "check" }, server, targets);
    await bed.source.query(items);
    const before = [await catalog(bed.source), await catalog(bed.target), await readdir(bed.folder)];
    const check = bed.start("check");
    await check.exits(0);
    expect(check.records.at(-1)).toMatchObject({ event: "result", ok: true, tables: 1, errors: 0 });
    expect([await catalog(bed.source), await catalog(bed.target), await readdir(bed.folder)]).toEqual(before);
  });

  test("finds what would stop a run: tables, target, globs, with place and fix", async () => {
    const objects = ["- table: public.*", "- table: public.itemz", "- table: sales.*"];
    await using bed = await PipelineBed.open({ name: "check_findings", objects }, server, targets);
    await bed.source.query(`${items}; CREATE TABLE keyless (a int); CREATE TABLE odd (id int PRIMARY KEY, spot point)`);
    await bed.target.query("CREATE TABLE items (id int PRIMARY KEY)");
    const check = bed.start("check");
    await check.exits(1);
    const found = check.records.map(({ code, level, at }) => `${String(level)} ${String(code)} ${String(at)}`);
    for (const finding of [
      `error source.table_without_key ${bed.file}:11 public.keyless`,
      `error source.type_unsupported ${bed.file}:11 public.odd`,
      `error source.table_missing ${bed.file}:12 public.itemz`,
      `warn task.table_unmatched ${bed.file}:13`,
    ]) {
      expect(found).toContain(finding);
    }
    expect(found.some((line) => line.startsWith("error sink.table_exists "))).toBe(true);
    expect(check.records.every(({ event, fix }) => event === "result" || (typeof fix === "string" && fix !== ""))).toBe(
      true,
    );
  });

  test("an unreachable target is a finding; the source is looked at all the same", async () => {
    await using bed = await PipelineBed.open({ name: "check_dead" }, server);
    await bed.source.query("CREATE TABLE keyless (a int)");
    bed.set("TARGET_URL", "postgres://nobody:planted@127.0.0.1:1/none");
    const check = bed.start("check");
    await check.exits(1);
    const codes = check.records.map(({ code }) => code);
    expect(codes).toContain("sink.connection_lost");
    expect(codes).toContain("source.table_without_key");
    expect(check.output).not.toContain("planted");
  });
});

describe("status and decommission", () => {
  test("status says what is there, before, while and after it runs, and disturbs nobody", async () => {
    await using bed = await PipelineBed.open({ name: "status" }, server, targets);
    await bed.source.query(items);
    const never = bed.start("status");
    await never.exits(0);
    expect(never.records).toEqual([{ event: "status", pipeline: "status", ran: false }]);
    const run = bed.start("run");
    await bed.equal(all);
    const during = bed.start("status");
    await during.exits(0);
    expect(during.records.at(-1)).toMatchObject({
      event: "status",
      ran: true,
      sources: [{ source: "shop", capture: "status.shop", error: null }],
      deliveries: [{ task: "all", target: "warehouse", lagRows: 0, parkedKeys: 0, error: null }],
      tables: [
        {
          table: "public.items",
          targetTable: "public.items",
          phase: "streaming",
          rowsRead: 200,
          lagRows: 0,
          error: null,
        },
      ],
    });
    await bed.source.query("INSERT INTO items VALUES (1000, 'more')");
    await bed.equal(all);
    expect(run.running).toBe(true);
    run.signal("SIGTERM");
    await run.exits(0);
    const text = bed.startPlain(["status", bed.file]);
    await text.exits(0);
    expect(text.stdout).toMatch(
      /^all {2,}public\.items {2,}warehouse: public\.items {2,}streaming {2,}200 {2,}0 {2,}0/m,
    );
  });

  test("decommission asks for --yes, leaves nothing behind but the target tables, and can be repeated", async () => {
    await using bed = await PipelineBed.open({ name: "decommission" }, server, targets);
    await bed.source.query(items);
    const before = await catalog(bed.source);
    const run = bed.start("run", "--until-caught-up");
    await run.exits(0);
    expect(await catalog(bed.source)).not.toBe(before);

    const ask = bed.start("decommission");
    await ask.exits(2);
    expect(ask.records.filter(({ event }) => event === "removal")).toHaveLength(2);
    expect(ask.records.at(-1)).toMatchObject({ code: "config.usage", fix: expect.stringContaining("--yes") });
    const again = bed.start("run", "--until-caught-up");
    await again.exits(0);

    const remove = bed.start("decommission", "--yes");
    await remove.exits(0);
    expect(remove.records.at(-1)).toEqual({ event: "result", removed: true });
    expect(await catalog(bed.source)).toBe(before);
    const left = await printed(
      bed.target,
      "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind = 'r'",
    );
    expect(left).toBe("public|items");
    expect(await printed(bed.target, "SELECT count(*) FROM items")).toBe("200");
    const nothing = bed.start("decommission", "--yes");
    await nothing.exits(0);
    expect(nothing.records).toEqual([{ event: "result", removed: false }]);

    // The target table is there from before: it has to be taken over on purpose.
    const refused = bed.start("run", "--until-caught-up");
    await refused.exits(1);
    expect(refused.records.map(({ code }) => code)).toContain("sink.table_exists");
    await bed.write({ name: "decommission", sync: ["table_exists_strategy: append"] });
    await bed.source.query("UPDATE items SET note = 'changed' WHERE id < 10");
    const redo = bed.start("decommission", "--yes");
    await redo.exits(0);
    const afresh = bed.start("run", "--until-caught-up");
    await afresh.exits(0);
    expect(await printed(bed.target, all)).toBe(await printed(bed.source, all));
  });

  test("decommission of one delivery leaves the capture and its log", async () => {
    const sync = ["table_exists_strategy: append"];
    await using bed = await PipelineBed.open({ name: "one_delivery", sync }, server, targets);
    await bed.source.query(items);
    await bed.start("run", "--until-caught-up").exits(0);
    const captured = await catalog(bed.source);

    const wrong = bed.start("decommission", "--yes", "--delivery", "all.warehose");
    await wrong.exits(2);
    expect(wrong.records.at(-1)).toMatchObject({
      code: "config.usage",
      message: expect.stringContaining("all.warehouse"),
    });
    const remove = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await remove.exits(0);
    expect(remove.records.filter(({ event }) => event === "removal")).toMatchObject([
      { what: expect.arrayContaining([expect.stringContaining("which keeps records for it")]) },
    ]);
    expect(await catalog(bed.source)).toBe(captured);
    expect(await printed(bed.target, "SELECT count(*) FROM pg_namespace WHERE nspname = 'datatrace'")).toBe("0");
    const nothing = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await nothing.exits(0);
    expect(nothing.records).toEqual([{ event: "result", removed: false }]);

    await bed.target.query("TRUNCATE items");
    await bed.start("run", "--until-caught-up").exits(0);
    expect(await printed(bed.target, all)).toBe(await printed(bed.source, all));
  });

  test("decommission of one delivery is refused while a run delivers, which goes on", async () => {
    await using bed = await PipelineBed.open({ name: "delivery_alive" }, server, targets);
    await bed.source.query(items);
    const run = bed.start("run");
    await bed.equal(all);
    const refused = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await refused.exits(1, 60_000);
    expect(refused.records.at(-1)).toMatchObject({
      event: "error",
      code: "log.group_in_use",
      message: expect.stringContaining("delivery all to warehouse"),
      fix: expect.stringContaining("Stop it"),
    });
    await bed.source.query("INSERT INTO items VALUES (1000, 'more')");
    await bed.equal(all);
    expect(run.running).toBe(true);
    run.signal("SIGTERM");
    await run.exits(0);
    const remove = bed.start("decommission", "--yes", "--delivery", "all.warehouse");
    await remove.exits(0);
    expect(remove.records.at(-1)).toEqual({ event: "result", removed: true });
  });

  test("decommission takes the writer from a run that is alive, which ends with log.fenced", async () => {
    await using bed = await PipelineBed.open({ name: "decommission_alive" }, server, targets);
    await bed.source.query(items);
    const before = await catalog(bed.source);
    const run = bed.start("run");
    await bed.equal(all);
    const remove = bed.start("decommission", "--yes");
    await remove.exits(0);
    await run.exits(1);
    expect(run.records.map(({ code }) => code)).toContain("log.fenced");
    expect(await catalog(bed.source)).toBe(before);
  });
});

describe("health and metrics", () => {
  test("every metric that is promised is there, and moves; readiness tells of a target that is gone", async () => {
    await using bed = await PipelineBed.open({ name: "metrics" }, server, targets);
    await bed.source.query(items);
    const run = bed.start("run");
    const url = await run.adminUrl();
    await bed.equal(all);
    await bed.source.query("INSERT INTO items SELECT g, 'x' FROM generate_series(1001, 1100) g");
    await bed.equal(all);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    for (const [name, labels, least] of [
      ["datatrace_rows_total", capture, 300],
      ["datatrace_rows_total", delivery, 300],
      ["datatrace_bytes_total", capture, 3000],
      ["datatrace_bytes_total", delivery, 3000],
      ["datatrace_batch_rows_count", capture, 1],
      ["datatrace_batch_rows_count", delivery, 1],
      ["datatrace_batch_seconds_count", delivery, 1],
      ["datatrace_lag_rows", delivery, 0],
      ["datatrace_lag_bytes", capture, 0],
      ["datatrace_lag_seconds", capture, 0],
      ["datatrace_lag_seconds", delivery, 0],
      ["datatrace_slot_retained_bytes", capture, 1],
      ["datatrace_quarantine_keys", delivery, 0],
      ["datatrace_quarantined_rows_total", delivery, 0],
      ["datatrace_tables", `${capture},phase="streaming"`, 1],
      ["datatrace_snapshot_rows", capture, 200],
      ["datatrace_commit_to_applied_seconds_count", delivery, 1],
      ["datatrace_log_bytes", 'kind="used"', 1],
    ] as const) {
      const value = await waitFor(
        async () => {
          const now = await metric(url, name, labels);
          return now !== null && now >= least ? [now] : null;
        },
        { deadlineMs: 5_000, what: `${name}{${labels}} of at least ${least}` },
      );
      expect(value[0]).toBeGreaterThanOrEqual(least);
    }
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain("\nprocess_cpu_seconds_total ");
    expect(text).toContain("\ndatatrace_ready 1");

    await targets.stop();
    await bed.source.query("INSERT INTO items VALUES (2000, 'while it is gone')");
    await waitFor(async () => ((await metric(url, "datatrace_retries_total", delivery)) ?? 0) > 0, {
      deadlineMs: 20_000,
      what: "retries to be counted",
    });
    await waitFor(async () => ((await metric(url, "datatrace_lag_rows", delivery)) ?? 0) > 0, {
      deadlineMs: 20_000,
      what: "the lag to be counted",
    });
    const ready = (await (await fetch(`${url}/health/ready`)).json()) as { readonly parts: readonly unknown[] };
    expect(ready.parts).toMatchObject([
      { part: "capture shop", state: "running" },
      { state: "retrying", error: { code: "sink.connection_lost" } },
    ]);
    await targets.start();
    await waitFor(async () => (await metric(url, "datatrace_lag_rows", delivery)) === 0, {
      deadlineMs: 30_000,
      what: "the lag to be worked off",
    });
    await waitFor(async () => (await fetch(`${url}/health/ready`)).ok, { deadlineMs: 10_000, what: "to be ready" });
  });
});
