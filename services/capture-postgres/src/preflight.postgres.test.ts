import { Secret } from "@datatrace/core";
import type { Finding, TableName } from "@datatrace/core";
import { parseConnectionUrl } from "@datatrace/postgres";
import { RecordingLogger, availablePostgres, claimPort, startPostgres, waitFor } from "@datatrace/testkit";
import type { PostgresServer } from "@datatrace/testkit";
import { CaptureReader, captureDeadlineMs, startCapture } from "@datatrace/testkit/suites";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PostgresBed } from "./postgres-bed.ts";
import { PostgresSource } from "./postgres-source.ts";

const signal = (): AbortSignal => AbortSignal.timeout(captureDeadlineMs);
const planted = "planted-5f2c81";

function stopping(findings: readonly Finding[]): readonly string[] {
  return findings
    .filter((finding) => finding.severity === "error")
    .map(({ code, message, fix }) => `${code}: ${message} => ${fix}`);
}

function sourceAt(url: string, logger = new RecordingLogger()): PostgresSource {
  return new PostgresSource({
    server: parseConnectionUrl(new Secret(url)),
    capture: "preflight",
    parallelReads: 1,
    logger,
  });
}

function withLogin(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
}

describe.each(await availablePostgres())("PostgreSQL %i: what would stop a run is found before it", (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ major, password: "admin secret" });
  });

  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  test("a role without grants: each finding names the statement to run, and running them all is enough", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id int PRIMARY KEY)");
    await user.run(
      `DROP ROLE IF EXISTS capturer; CREATE ROLE capturer LOGIN PASSWORD 'pw'; CREATE ROLE owners_${bed.database}`,
    );
    await user.run(`REVOKE CREATE ON DATABASE ${bed.database} FROM PUBLIC`);
    const url = withLogin(bed.url, "capturer", "pw");
    const tables: readonly TableName[] = [bed.nameOf("items")];
    {
      await using source = sourceAt(url);
      const found = stopping(await source.inspect(tables, signal()));
      expect(found).toEqual([
        expect.stringMatching(/source.grant_missing: .*replication.* => ALTER ROLE "capturer" REPLICATION;/),
        expect.stringMatching(/source.grant_missing: .*publication.* => GRANT CREATE ON DATABASE/),
        expect.stringMatching(/source.grant_missing: .*cannot be read.* => GRANT USAGE ON SCHEMA, and GRANT SELECT/),
        expect.stringMatching(/source.grant_missing: .*not owned.* => GRANT the table's owner/),
      ]);
      const refused = await source.publish(tables, signal()).catch((reason: unknown) => reason);
      expect(refused).toMatchObject({ code: "source.grant_missing" });
      const noStream = await source.createStream(signal()).catch((reason: unknown) => reason);
      expect(noStream).toMatchObject({ code: "source.grant_missing" });
    }
    for (const sql of [
      `ALTER ROLE capturer REPLICATION`,
      `GRANT CREATE ON DATABASE ${bed.database} TO capturer`,
      `ALTER TABLE items OWNER TO owners_${bed.database}`,
      `GRANT USAGE ON SCHEMA public TO owners_${bed.database}`,
      `GRANT owners_${bed.database} TO capturer`,
    ]) {
      await user.run(sql);
    }
    await using source = sourceAt(url);
    expect(stopping(await source.inspect(tables, signal()))).toEqual([]);
    const { position, schemas } = await startCapture(source, tables);
    await user.run("INSERT INTO items VALUES (1)");
    await using reader = new CaptureReader(source, position, schemas);
    await reader.until(({ events }) => events.length > 0);
    await source.decommission(true, signal());
    await user.run(
      `DROP OWNED BY capturer; DROP TABLE items; DROP OWNED BY owners_${bed.database}; DROP ROLE capturer, owners_${bed.database}`,
    );
  });

  const tables: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["no primary key", ["CREATE TABLE t (id int)"], /source.table_without_key: .*ADD PRIMARY KEY/],
    [
      "a domain",
      ["CREATE DOMAIN email AS text", "CREATE TABLE t (id int PRIMARY KEY, mail email)"],
      /source.type_unsupported: Column mail of public.t has the type domain public.email/,
    ],
    [
      "a composite type",
      ["CREATE TYPE pair AS (a int, b int)", "CREATE TABLE t (id int PRIMARY KEY, p pair)"],
      /source.type_unsupported: Column p of public.t has the type composite type public.pair/,
    ],
    [
      "a range",
      ["CREATE TABLE t (id int PRIMARY KEY, r int4range)"],
      /source.type_unsupported: Column r of public.t has the type range pg_catalog.int4range/,
    ],
    [
      "money",
      ["CREATE TABLE t (id int PRIMARY KEY, m money)"],
      /source.type_unsupported: Column m of public.t has the type pg_catalog.money/,
    ],
    [
      "an array of domains",
      ["CREATE DOMAIN email AS text", "CREATE TABLE t (id int PRIMARY KEY, mail email[])"],
      /source.type_unsupported: Column mail of public.t has the type public._email/,
    ],
    [
      "a replica identity of nothing",
      ["CREATE TABLE t (id int PRIMARY KEY)", "ALTER TABLE t REPLICA IDENTITY NOTHING"],
      /source.replica_identity: .*REPLICA IDENTITY DEFAULT/,
    ],
    [
      "a replica identity of another column",
      [
        "CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE)",
        "ALTER TABLE t REPLICA IDENTITY USING INDEX t_u_key",
      ],
      /source.replica_identity: .*REPLICA IDENTITY DEFAULT/,
    ],
    [
      "a deferrable key",
      ["CREATE TABLE t (id int PRIMARY KEY DEFERRABLE)"],
      /source.replica_identity: .*deferrable.*REPLICA IDENTITY FULL/,
    ],
    [
      "a nondeterministic key",
      [
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        "CREATE TABLE t (id text COLLATE ci PRIMARY KEY)",
      ],
      /source.key_unsupported: .*nondeterministic collation/,
    ],
    [
      "a generated key",
      ["CREATE TABLE t (id int, k int GENERATED ALWAYS AS (id) STORED, PRIMARY KEY (k))"],
      /source.key_unsupported: .*generated column/,
    ],
    ["an unlogged table", ["CREATE UNLOGGED TABLE t (id int PRIMARY KEY)"], /source.setting: .*unlogged.*SET LOGGED/],
    [
      "a partitioned table",
      ["CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)"],
      /source.type_unsupported: public.t is a partitioned table.*partitions/,
    ],
    ["a view", ["CREATE VIEW t AS SELECT 1 AS id"], /source.type_unsupported: public.t is a view/],
    [
      "a materialized view",
      ["CREATE MATERIALIZED VIEW t AS SELECT 1 AS id"],
      /source.type_unsupported: public.t is a materialized view/,
    ],
  ];
  test.each(tables)("%s is refused by name, with what to do", async (_what, statements, expected) => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    for (const sql of statements) await user.run(sql);
    await using source = sourceAt(bed.url);
    const found = stopping(await source.inspect([bed.nameOf("t")], signal()));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(expected);
  });

  test("row security that would hide rows is found, and a chunk never leaves out rows because of it", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run(
      `DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN REPLICATION PASSWORD 'pw'; GRANT CREATE ON DATABASE ${bed.database} TO reader`,
    );
    await user.run(
      "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1), (2); ALTER TABLE items OWNER TO reader",
    );
    await user.run(
      "ALTER TABLE items ENABLE ROW LEVEL SECURITY; ALTER TABLE items FORCE ROW LEVEL SECURITY; CREATE POLICY few ON items USING (id > 1)",
    );
    await using source = sourceAt(withLogin(bed.url, "reader", "pw"));
    const found = stopping(await source.inspect([bed.nameOf("items")], signal()));
    expect(found).toEqual([expect.stringMatching(/source.grant_missing: .*row security.*BYPASSRLS/)]);
    const [description] = await source.describeTables([bed.nameOf("items")], signal());
    expect(description).toBeDefined();
    const read = await source
      .readChunk(description!.schema, { after: null, upTo: null }, null, signal())
      .catch((reason: unknown) => reason);
    expect(read).toMatchObject({ code: "source.grant_missing" });
    await user.run("DROP OWNED BY reader CASCADE; DROP ROLE reader");
  });

  test("open transactions that hold up a new slot are told, with their number and age", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    await user.run("CREATE TABLE items (id int PRIMARY KEY)");
    await using source = sourceAt(bed.url);
    const warnings = async (): Promise<readonly string[]> =>
      (await source.inspect([bed.nameOf("items")], signal())).map(({ severity, message }) => `${severity} ${message}`);
    const limit = expect.stringMatching(/^warning max_slot_wal_keep_size has no limit/);
    expect(await warnings()).toEqual([limit]);
    await user.run("BEGIN; INSERT INTO items VALUES (1)");
    const told = await waitFor(
      async () => {
        const now = await warnings();
        return now.length > 1 && now;
      },
      { deadlineMs: captureDeadlineMs, what: "the transaction to count as long", intervalMs: 500 },
    );
    expect(told).toEqual([limit, expect.stringMatching(/^warning 1 transactions have been open for more than 10 s/)]);
    await user.run("ROLLBACK");
  });

  test("a database of another encoding is refused", async () => {
    await using bed = await PostgresBed.make(server);
    const name = `${bed.database}_latin`;
    await bed.query(`CREATE DATABASE ${name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
    await using source = sourceAt(bed.url.replace(bed.database, name));
    expect(stopping(await source.inspect([], signal()))).toEqual([
      expect.stringMatching(/source.setting: .*encoding is LATIN1/),
    ]);
  });

  test("I8: a wrong password, database or server: a code, a fix, and no secret", async () => {
    await using bed = await PostgresBed.make(server);
    const free = await claimPort();
    const logger = new RecordingLogger();
    const dead = new URL(bed.url);
    dead.port = String(free.port);
    const cases = [
      [withLogin(bed.url, "postgres", planted), "source.login_failed", "28P01"],
      [withLogin(bed.url, planted, planted), "source.login_failed", "28P01"],
      [bed.url.replace(bed.database, `no_${planted}`), "source.login_failed", "3D000"],
      [withLogin(dead.href, "postgres", planted), "source.connection_lost", "ECONNREFUSED"],
      [`${withLogin(bed.url, "postgres", planted)}?sslmode=require`, "source.login_failed", ""],
    ] as const;
    for (const [url, code, state] of cases) {
      await using source = sourceAt(url, logger);
      const findings = await source.inspect([bed.nameOf("items")], signal());
      expect(findings).toMatchObject([{ severity: "error", code }]);
      expect(findings[0]?.message).toContain(state);
      const errors = await Promise.all(
        [source.identity(signal()), source.head(signal()), source.createStream(signal())].map(
          async (work) => await work.catch((reason: unknown) => reason),
        ),
      );
      for (const error of errors) expect(error).toMatchObject({ code });
      const told = JSON.stringify([
        findings,
        errors.map((error) => [String(error), error, (error as Error).cause ?? null]),
      ]);
      expect(told).not.toContain(planted);
    }
    expect(logger.text()).not.toContain(planted);
    free[Symbol.dispose]();
  });

  test("I8: no cell value is in an error or a log line", async () => {
    await using bed = await PostgresBed.make(server);
    await using user = await bed.connect();
    const logger = new RecordingLogger();
    await user.run(`CREATE TABLE items (id text PRIMARY KEY, name text)`);
    await user.run(`INSERT INTO items VALUES ('${planted}', '${planted}')`);
    await using source = sourceAt(bed.url, logger);
    const { position, schemas } = await startCapture(source, [bed.nameOf("items")]);
    const [schema] = schemas;
    expect(schema).toBeDefined();
    const errors: unknown[] = [];
    const keep = (reason: unknown): void => void errors.push(reason);
    // A literal that the key's type does not take, rows that the schema does not fit, a table that is gone.
    const wrong = {
      ...schema!,
      columns: schema!.columns.map((column) => ({ ...column, type: { kind: "int32" } as const })),
    };
    await source.readChunk(wrong, { after: null, upTo: null }, null, signal()).catch(keep);
    await user.run("ALTER TABLE items ALTER COLUMN name TYPE bytea USING name::bytea");
    await source.readKeys(schema!, [[planted]], signal()).catch(keep);
    await user.run("CREATE TABLE numbers (id int PRIMARY KEY)");
    const asText = { ...schema!, name: bed.nameOf("numbers"), columns: schema!.columns.slice(0, 1) };
    await source.readKeys(asText, [[planted]], signal()).catch(keep);
    await source.readChunk(asText, { after: [planted], upTo: null }, null, signal()).catch(keep);
    await user.run(`INSERT INTO items VALUES ('${planted} 2', '\\x00')`);
    await source.writeWatermark("end", signal());
    await using reader = new CaptureReader(source, position, [wrong]);
    const batches = await reader.untilWatermark("end");
    for (const event of batches.flatMap(({ events }) => events)) if (event.kind === "table-lost") keep(event.error);
    expect(errors).toHaveLength(4);
    const told = JSON.stringify(
      errors.map((error) => [String(error), error, (error as Error).stack, (error as Error).cause ?? null]),
    );
    expect(told).not.toContain(planted);
    expect(logger.text()).not.toContain(planted);
  });
});

describe.each(await availablePostgres())("PostgreSQL %i with settings that do not allow it", (major) => {
  test("a wal_level that is too low is named, with the statement that changes it", async () => {
    await using server = await startPostgres({ major, settings: { wal_level: "replica" } });
    await using source = sourceAt(server.url);
    expect(stopping(await source.inspect([], signal()))).toEqual([
      expect.stringMatching(/source.setting: wal_level is replica.*ALTER SYSTEM SET wal_level = 'logical'/),
    ]);
    const refused = await source.createStream(signal()).catch((reason: unknown) => reason);
    expect(refused).toMatchObject({ code: "source.setting", detail: { code: "55000" } });
  });

  test("slots that are all in use are named, with the statement that makes room", async () => {
    await using server = await startPostgres({ major, settings: { max_replication_slots: "1" } });
    await using bed = await PostgresBed.make(server);
    await bed.query("SELECT pg_create_logical_replication_slot('other', 'pgoutput')");
    await using source = sourceAt(bed.url);
    expect(stopping(await source.inspect([], signal()))).toEqual([
      expect.stringMatching(/source.setting: All 1 replication slots are in use.*max_replication_slots = 5/),
    ]);
    const full = await source.createStream(signal()).catch((reason: unknown) => reason);
    expect(full).toMatchObject({ code: "source.setting", detail: { code: "53400" } });
  });
});
