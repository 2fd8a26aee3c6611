import { RecordingLogger, TcpProxy, availablePostgres, testPostgres, waitFor } from "@datatrace/testkit";
import type { TestPostgres } from "@datatrace/testkit";
import type { ApplyOutcome, ApplyUnit, Claim, Finding, Row, Sink, TableSchema, TargetTable } from "@datatrace/core";
import { Secret } from "@datatrace/core";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postgresSink } from "./index.ts";
import { PostgresBed, openSink } from "./postgres-bed.ts";

const never = new AbortController().signal;
const delivery = "warehouse";
const target = { schema: "shop", table: "items" };
const schema: TableSchema = {
  name: { schema: "public", table: "items" },
  columns: [
    { name: "id", type: { kind: "int32" }, native: { name: "int4" }, nullable: false },
    { name: "name", type: { kind: "string" }, native: { name: "text" }, nullable: true },
  ],
  key: [0],
};
const table: TargetTable = { target, schema, strategy: "append" };

async function claimOf(sink: Sink): Promise<Claim> {
  const [claim] = await sink.claim(delivery, [{ topic: "t", partition: 0, topicEpoch: 1, start: 0n }], never);
  if (claim === undefined) throw new Error("claimed");
  return claim;
}

function unitOf(claim: Claim, upserts: readonly Row[], deletes: readonly Row[] = []): ApplyUnit {
  return {
    partitions: [{ ...claim, loaded: claim.next, next: claim.next + 1n }],
    tables: [{ target, schema, deletes, upserts, partials: [] }],
    quarantine: [],
    rereadsDone: [],
  };
}

async function apply(sink: Sink, unit: ApplyUnit): Promise<ApplyOutcome> {
  return sink.apply(delivery, unit, never);
}

async function inspect(url: string): Promise<readonly Finding[]> {
  await using sink = openSink(url);
  return await sink.inspect(delivery, [table], never);
}

function codes(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ severity, code }) => `${severity} ${code}`);
}

/** The same database as another role. */
function as(url: string, role: string): string {
  const other = new URL(url);
  other.username = role;
  other.password = "secret";
  return other.href;
}

/** A role of this test's own that may log in and nothing else; gone with its grants at the end. */
async function makeRole(bed: PostgresBed): Promise<AsyncDisposable & { readonly name: string }> {
  const name = `role_${process.pid}_${Date.now()}`;
  await bed.client.query(`CREATE ROLE ${name} LOGIN PASSWORD 'secret'`);
  return {
    name,
    [Symbol.asyncDispose]: async () => {
      await bed.client.query(`DROP OWNED BY ${name} CASCADE`);
      await bed.client.query(`DROP ROLE ${name}`);
    },
  };
}

describe.each(await availablePostgres())("PostgreSQL %i", (major) => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await testPostgres(major);
  }, 120_000);
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  async function openBed(): Promise<PostgresBed> {
    return PostgresBed.open(await server.createDatabase());
  }

  test("I2, I5: applies read committed and durable, whatever the database's own defaults are", async () => {
    await using bed = await openBed();
    const database = new URL(bed.target).pathname.slice(1);
    for (const setting of [
      "default_transaction_isolation = serializable",
      "synchronous_commit = off",
      "idle_in_transaction_session_timeout = 0",
    ]) {
      await bed.client.query(`ALTER DATABASE ${database} SET ${setting}`);
    }
    await using sink = openSink(bed.target, { idleTransactionTimeoutMs: 12_345 });
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    await bed.client.query("CREATE TABLE seen (name text, setting text)");
    await bed.client.query(`CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO public.seen SELECT n, current_setting(n) FROM unnest(ARRAY['transaction_isolation', 'synchronous_commit',
        'idle_in_transaction_session_timeout', 'TimeZone']) n; RETURN NEW; END $$`);
    await bed.client.query("CREATE TRIGGER look BEFORE INSERT ON shop.items FOR EACH ROW EXECUTE FUNCTION look()");
    expect(await apply(sink, unitOf(await claimOf(sink), [[1, "one"]]))).toMatchObject({ kind: "applied" });
    const { rows } = await bed.client.query<{ name: string; setting: string }>("SELECT * FROM seen ORDER BY 1");
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      transaction_isolation: "read committed",
      synchronous_commit: "on",
      idle_in_transaction_session_timeout: "12345ms",
      TimeZone: "UTC",
    });
  });

  test("I5: a constraint that is only checked at COMMIT refuses the unit, offset and all", async () => {
    await using bed = await openBed();
    await using sink = openSink(bed.target);
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    await bed.client.query("ALTER TABLE shop.items ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED");
    const claim = await claimOf(sink);
    expect(
      await apply(
        sink,
        unitOf(claim, [
          [1, "same"],
          [2, "same"],
        ]),
      ),
    ).toMatchObject({ kind: "rejected", scope: "order" });
    expect(await bed.rows(target, schema)).toEqual([]);
    expect(await sink.progress(delivery, never)).toMatchObject([{ next: 0n }]);
    expect(
      await apply(
        sink,
        unitOf(claim, [
          [1, "same"],
          [2, "other"],
        ]),
      ),
    ).toMatchObject({ kind: "applied" });
  });

  const refusals: readonly (readonly [string, string, string, string])[] = [
    ["a check", "ALTER TABLE shop.items ADD CHECK (id > 100)", "row", "sink.row_rejected"],
    ["not null", "ALTER TABLE shop.items ALTER name SET NOT NULL", "row", "sink.row_rejected"],
    [
      "a trigger of the user's",
      "CREATE TRIGGER no BEFORE INSERT ON shop.items FOR EACH ROW EXECUTE FUNCTION refuse()",
      "row",
      "sink.row_rejected",
    ],
    ["a foreign key", "ALTER TABLE shop.items ADD FOREIGN KEY (id) REFERENCES other", "order", "sink.row_rejected"],
    ["an exclusion", "ALTER TABLE shop.items ADD EXCLUDE USING btree ((1) WITH =)", "order", "sink.row_rejected"],
    ["a missing column", "ALTER TABLE shop.items DROP COLUMN name", "target", "sink.target_rejected"],
    ["another type", "ALTER TABLE shop.items ALTER name TYPE bytea USING NULL", "target", "sink.target_rejected"],
    ["a missing key", "ALTER TABLE shop.items DROP CONSTRAINT items_pkey", "target", "sink.target_rejected"],
  ];
  test.each(refusals)("I8: %s is refused for what it is", async (_, change, scope, code) => {
    await using bed = await openBed();
    await using sink = openSink(bed.target);
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    await bed.client.query("CREATE TABLE other (id int PRIMARY KEY)");
    await bed.client.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'row % is refused', NEW.name; END $$`);
    await bed.client.query(change);
    const unit = unitOf(await claimOf(sink), [
      [1, null],
      [2, null],
    ]);
    const outcome = await apply(sink, unit);
    expect(outcome).toMatchObject({ kind: "rejected", scope, error: { code } });
    expect(JSON.stringify(outcome)).not.toContain("is refused");
  });

  test("I7: a lock of somebody else's is waited for, then tried again; his session is left alone", async () => {
    await using bed = await openBed();
    await using sink = openSink(bed.target, { lockTimeoutMs: 700, takeOverMs: 50 });
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    const claim = await claimOf(sink);
    await bed.client.query("BEGIN");
    await bed.client.query("SELECT 1 FROM datatrace._datatrace_offsets FOR UPDATE");
    await expect(claimOf(sink)).rejects.toMatchObject({
      code: "sink.transient",
      retry: "timed",
      detail: { code: "55P03" },
    });
    await expect(apply(sink, unitOf(claim, [[1, "one"]]))).rejects.toMatchObject({ code: "sink.transient" });
    await bed.client.query("COMMIT");
    expect(await apply(sink, unitOf(claim, [[1, "one"]]))).toMatchObject({ kind: "applied" });
  });

  test("I7: an owner that is fenced, and frozen with the lock of its offset, is not in the way", async () => {
    await using bed = await openBed();
    await using sink = openSink(bed.target, { lockTimeoutMs: 20_000, takeOverMs: 300 });
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    const lost = await claimOf(sink);
    const frozen = new Client({ connectionString: bed.target, application_name: "datatrace-sink" });
    frozen.on("error", () => undefined);
    await frozen.connect();
    // As a claim would, at the moment at which the old owner's fence waits for it.
    await bed.client.query("BEGIN");
    await bed.client.query("UPDATE datatrace._datatrace_offsets SET epoch = epoch + 1");
    await frozen.query("BEGIN");
    const fence = frozen.query(`UPDATE datatrace._datatrace_offsets SET next_offset = 1 WHERE epoch = ${lost.epoch}`);
    await waitFor(async () => (await bed.client.query("SELECT FROM pg_locks WHERE NOT granted")).rowCount === 1, {
      deadlineMs: 10_000,
      what: "the fence to wait",
    });
    await bed.client.query("COMMIT");
    expect((await fence).rowCount).toBe(0);
    const taken = { ...lost, epoch: lost.epoch + 1n };
    expect(await apply(sink, unitOf(taken, [[1, "heir"]]))).toMatchObject({ kind: "applied" });
    await frozen.end();
  });

  test("I7: a session that the server ends is replaced", async () => {
    await using bed = await openBed();
    await using sink = openSink(bed.target);
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    const claim = await claimOf(sink);
    await bed.client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'datatrace-sink' AND datname = current_database()",
    );
    const unit = unitOf(claim, [[1, "one"]]);
    const outcome = await waitFor(async () => apply(sink, unit).catch(() => null), {
      deadlineMs: 10_000,
      what: "a session",
    });
    expect(outcome).toMatchObject({ kind: "applied" });
  });

  test("finds rows by their key, not by reading the table", async () => {
    await using bed = await openBed();
    await using sink = openSink(bed.target);
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    await bed.client.query("ALTER TABLE shop.items SET (autovacuum_enabled = false)");
    let claim = await claimOf(sink);
    await apply(sink, unitOf(claim, [[1, "one"]], [[2, null]]));
    await bed.client.query("INSERT INTO shop.items SELECT g, 'x' FROM generate_series(10, 50000) g");
    await bed.client.query("ANALYZE shop.items");
    const scans = async (): Promise<number> => {
      await bed.client.query("SELECT pg_stat_clear_snapshot()");
      const { rows } = await bed.client.query<{ seq: string }>(
        "SELECT seq_scan AS seq FROM pg_stat_user_tables WHERE schemaname = 'shop' AND relname = 'items'",
      );
      return Number(rows[0]?.seq);
    };
    for (let turn = 0; turn < 8; turn += 1) {
      claim = { ...claim, next: claim.next + 1n };
      const deletes = Array.from({ length: 300 }, (_, id): Row => [10 + turn * 300 + id, null]);
      expect(await apply(sink, unitOf(claim, [], deletes))).toMatchObject({ kind: "applied" });
    }
    // Statistics come with a delay: a session that ends reports them.
    await sink[Symbol.asyncDispose]();
    await waitFor(
      async () => {
        const { rows } = await bed.client.query<{ dead: string }>(
          "SELECT n_tup_del AS dead FROM pg_stat_user_tables WHERE schemaname = 'shop' AND relname = 'items'",
        );
        await bed.client.query("SELECT pg_stat_clear_snapshot()");
        return Number(rows[0]?.dead) >= 2400;
      },
      { deadlineMs: 20_000, what: "the statistics of the deletes" },
    );
    // Making the key's index has read the empty table once.
    expect(await scans()).toBe(1);
  });

  describe("inspect", () => {
    test("names each missing grant with the statement that gives it", async () => {
      await using bed = await openBed();
      await using role = await makeRole(bed);
      const url = as(bed.target, role.name);
      const first = await inspect(url);
      expect(codes(first)).toEqual(["error sink.grant_missing", "error sink.grant_missing"]);
      for (const { fix } of first) {
        expect(fix).toMatch(/^GRANT CREATE ON DATABASE test_\w+ TO "role_\w+";$/);
        await bed.client.query(fix);
      }
      expect(await inspect(url)).toEqual([]);

      await bed.client.query("CREATE SCHEMA shop");
      const [second, ...others] = await inspect(url);
      expect(others).toEqual([]);
      expect(second?.fix).toBe(`GRANT USAGE, CREATE ON SCHEMA "shop" TO "${role.name}";`);
      await bed.client.query(second?.fix ?? "");
      expect(await inspect(url)).toEqual([]);

      await bed.client.query("CREATE TABLE shop.items (id int PRIMARY KEY)");
      const third = await inspect(url);
      expect(third.map(({ message }) => message).join("\n")).toMatch(
        /SELECT, INSERT, UPDATE, DELETE[^]*lacks columns \(name\)/,
      );
      for (const { fix } of third) await bed.client.query(fix);
      expect(await inspect(url)).toEqual([]);
      // What inspect calls ready is ready.
      await using sink = openSink(url);
      await sink.open(never);
      await sink.prepare(delivery, table, never);
      expect(await apply(sink, unitOf(await claimOf(sink), [[1, "one"]]))).toMatchObject({ kind: "applied" });
    });

    test("a missing privilege stops prepare with its code", async () => {
      await using bed = await openBed();
      await using role = await makeRole(bed);
      await using sink = openSink(as(bed.target, role.name));
      await expect(sink.open(never)).rejects.toMatchObject({ code: "sink.grant_missing", detail: { code: "42501" } });
    });

    test("an existing helper schema needs no privilege on the database", async () => {
      await using bed = await openBed();
      await using role = await makeRole(bed);
      for (const name of ["datatrace", "shop"]) {
        await bed.client.query(`CREATE SCHEMA ${name}`);
        await bed.client.query(`GRANT USAGE, CREATE ON SCHEMA ${name} TO ${role.name}`);
      }
      const url = as(bed.target, role.name);
      expect(await inspect(url)).toEqual([]);
      await using sink = openSink(url);
      await sink.open(never);
      await sink.prepare(delivery, table, never);
      expect(await sink.decommission(delivery, true, never)).toEqual([
        "the record of 1 target tables (the tables and their rows stay)",
        "the helper tables in schema datatrace",
      ]);
      // Somebody else's schema stays.
      expect((await bed.client.query("SELECT FROM pg_namespace WHERE nspname = 'datatrace'")).rowCount).toBe(1);
    });

    test("a target that takes no writes", async () => {
      await using bed = await openBed();
      await bed.client.query(
        `ALTER DATABASE ${new URL(bed.target).pathname.slice(1)} SET default_transaction_read_only = on`,
      );
      const [found] = await inspect(bed.target);
      expect(found).toMatchObject({ severity: "error", code: "sink.read_only" });
      await using sink = openSink(bed.target);
      await expect(sink.open(never)).rejects.toMatchObject({ code: "sink.read_only", retry: "timed" });
    });

    test("constraints that make order matter are warned of", async () => {
      await using bed = await openBed();
      await bed.client.query("CREATE SCHEMA shop");
      await bed.client.query("CREATE TABLE shop.items (id int PRIMARY KEY, name text CONSTRAINT one_name UNIQUE)");
      await bed.client.query("CREATE TABLE shop.child (id int CONSTRAINT child_of REFERENCES shop.items)");
      await bed.client.query("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$");
      await bed.client.query("CREATE TRIGGER theirs AFTER INSERT ON shop.items FOR EACH ROW EXECUTE FUNCTION f()");
      const found = await inspect(bed.target);
      expect(codes(found)).toEqual(Array<string>(3).fill("warning sink.order_dependent"));
      expect(found.map(({ message }) => message).join("\n")).toMatch(/one_name[^]*child_of[^]*theirs/);
    });

    test("a table of ours that is gone", async () => {
      await using bed = await openBed();
      await using sink = openSink(bed.target);
      await sink.open(never);
      await sink.prepare(delivery, table, never);
      await bed.client.query("DROP TABLE shop.items");
      expect(await inspect(bed.target)).toMatchObject([{ severity: "error", code: "sink.table_missing" }]);
    });

    test("I8: an unreachable target and a wrong login, without address and password", async () => {
      await using bed = await openBed();
      await using proxy = await TcpProxy.start(bed.port);
      await proxy.refuse();
      expect(await inspect(proxy.through(bed.target))).toMatchObject([
        { severity: "error", code: "sink.connection_lost" },
      ]);
      const missing = new URL(bed.target);
      missing.pathname = "/planted_database";
      missing.password = "planted_password";
      const found = await inspect(missing.href);
      expect(found).toMatchObject([{ severity: "error", code: "sink.login_failed" }]);
      expect(JSON.stringify(found)).not.toContain("planted");
    });
  });

  test("a column that was there and is gone is not added again without its values", async () => {
    await using bed = await openBed();
    await using sink = openSink(bed.target);
    await sink.open(never);
    await sink.prepare(delivery, table, never);
    await bed.client.query("ALTER TABLE shop.items DROP COLUMN name");
    await expect(sink.prepare(delivery, table, never)).rejects.toMatchObject({
      code: "sink.schema_conflict",
      detail: { column: "name" },
    });
  });

  test("helper tables go into the schema that is asked for", async () => {
    await using bed = await openBed();
    const context = { parallelApplies: 1, logger: new RecordingLogger() };
    await using sink = postgresSink.open({ url: new Secret(bed.target), helper_schema: 'Odd "one"' }, context);
    await sink.open(never);
    const { rows } = await bed.client.query<{ schemaname: string }>(
      "SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE '\\_datatrace%'",
    );
    expect(rows).toEqual([{ schemaname: 'Odd "one"' }]);
  });
});
